"""The methods that can be compared, and the classifiers made of prompts.

N training images, C classes, d joint width."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import Prepared, train_config_for
from coop_demo.prompts.templates import class_weights, imagenet_ensemble
from coop_demo.prompts.training import LearnedPrompt, Preset, TrainEvent, train_prompt


@dataclass(frozen=True)
class Method:
    """One row of the comparison."""

    key: str
    title: str
    about: str  # one sentence for people
    needs_pictures: bool = True  # False: the same at every shot count and seed
    trains: bool = False  # True: takes gradient steps, so it is not there at once


#: in the order in which a comparison runs them: what is there soonest comes first (the ensemble
#: reads 80 sentences a class)
COMPARISON_METHODS: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "hand-crafted",
            "Hand-crafted prompt",
            "A sentence a person wrote; it has seen no picture.",
            needs_pictures=False,
        ),
        Method(
            "class-mean",
            "Nearest class mean",
            "The class whose pictures are most alike on average; it reads no words.",
        ),
        Method(
            "tip-adapter",
            "Tip-Adapter",
            "The hand-crafted prompt plus a vote of the most similar training pictures.",
        ),
        Method(
            "gda",
            "Gaussian classifier (GDA)",
            "The hand-crafted prompt plus a Gaussian around each class's pictures.",
        ),
        Method(
            "ensemble",
            "Hand-crafted ensemble",
            "The average of the 80 sentences of CLIP's authors; it has seen no picture.",
            needs_pictures=False,
        ),
        Method(
            "linear-probe",
            "Linear probe",
            "Logistic regression on picture features; it reads no words.",
            trains=True,
        ),
        Method(
            "learned",
            "Learned prompt",
            "Context vectors in front of the class name, learned from the pictures (CoOp).",
            trains=True,
        ),
        Method(
            "learned-csc",
            "Learned prompt, class-specific",
            "As the learned prompt, with context vectors of its own for every class.",
            trains=True,
        ),
        Method(
            "kgcoop",
            "Learned prompt with KgCoOp",
            "As the learned prompt, pulled towards the hand-crafted one while it learns.",
            trains=True,
        ),
    )
}


LEARNED_METHODS = ("learned", "learned-csc", "kgcoop")


#: fitted on pictures without a gradient step, and so never in the way of showing a first table
TRAINING_FREE_METHODS = tuple(m.key for m in COMPARISON_METHODS.values() if not m.trains)


KGCOOP_WEIGHT = 8.0  # λ of the KgCoOp paper (arXiv 2303.13283)


@dataclass(frozen=True)
class PictureCache:
    """Training pictures that vote: Tip-Adapter's cache model.

    Shape: keys (N, d) unit vectors, labels (N,).
    """

    keys: Tensor
    labels: Tensor
    alpha: float  # weight of the vote beside the zero-shot logits
    beta: float  # how quickly a picture's vote falls with its distance

    def logits(self, features: Tensor, n_classes: int) -> Tensor:
        """α · Σ exp(−β (1 − cos)) over the training pictures of each class. -> (K, C)."""
        votes = torch.exp(-self.beta * (1 - features @ self.keys.T))  # (K, N)
        summed = torch.zeros(len(features), n_classes, dtype=votes.dtype)
        return self.alpha * summed.index_add_(1, self.labels, votes)


@dataclass(frozen=True)
class Classifier:
    """A method fitted to a set of classes: logits = scale · features · weightsᵀ + bias + votes.

    Shape: weights (C, d), bias (C,), all on the CPU in fp32.
    """

    method: str
    title: str
    weights: Tensor = field(repr=False)
    scale: float
    bias: Tensor | None = field(default=None, repr=False)
    cache: PictureCache | None = field(default=None, repr=False)
    seconds: float = 0.0  # to fit, encoding of pictures not included
    settings: Mapping[str, Any] = field(default_factory=dict)  # what was chosen
    prompt: LearnedPrompt | None = field(default=None, repr=False)

    @property
    def n_classes(self) -> int:
        return len(self.weights)

    @property
    def is_prompt(self) -> bool:
        """Whether it is nothing but one unit vector a class in the joint space."""
        return self.method.startswith("hand-crafted") or self.method in (
            "ensemble",
            *LEARNED_METHODS,
        )

    @torch.no_grad()
    def logits(self, features: Tensor) -> Tensor:
        """Shape: unit features (K, d) -> (K, C), fp32 on the CPU. K may be 0."""
        if features.ndim != 2 or features.shape[1] != self.weights.shape[1]:
            raise UserError(
                f"{self.title} was fitted to features of width {self.weights.shape[1]}, and these "
                f"have the shape {tuple(features.shape)}. Encode the pictures with its own model."
            )
        # in slices: 100,000 pictures against a cache of 16,000 would be 6 GB at once
        parts = [self._slice_logits(part) for part in features.float().cpu().split(4096)]
        return torch.cat(parts) if parts else torch.empty(0, self.n_classes)

    def _slice_logits(self, features: Tensor) -> Tensor:
        logits = self.scale * features @ self.weights.T
        if self.bias is not None:
            logits = logits + self.bias
        if self.cache is not None:
            logits = logits + self.cache.logits(features, self.n_classes)
        return logits


def find_methods(keys: Sequence[str]) -> tuple[Method, ...]:
    """The methods of these keys, in the order of COMPARISON_METHODS and each once.

    Raises:
        UserError: a key is unknown, or there is none.
    """
    for key in keys:
        if key not in COMPARISON_METHODS:
            raise UserError(
                f'There is no method "{key}". Choose from {", ".join(COMPARISON_METHODS)}.'
            )
    if not keys:
        raise UserError(f"Choose at least one method of {', '.join(COMPARISON_METHODS)}.")
    return tuple(method for key, method in COMPARISON_METHODS.items() if key in keys)


def hand_crafted(
    backbone: Backbone, class_names: Sequence[str], templates: Sequence[str]
) -> list[Classifier]:
    """One classifier a template, and their average where there are several.

    The first one's method is `hand-crafted`, the others' `hand-crafted-2`, … and
    `hand-crafted-mean`.

    Raises:
        PromptError: no template, one without `{}`, or one that is too long once filled.
    """
    templates = tuple(dict.fromkeys(templates))
    groups: list[tuple[str, ...]] = [(template,) for template in templates]
    if len(templates) != 1:
        groups.append(templates)  # no template at all is refused by class_weights
    found = []
    for number, group in enumerate(groups, start=1):
        began = time.perf_counter()
        weights = class_weights(backbone, class_names, group).cpu()
        if len(group) != 1:
            key, title = "hand-crafted-mean", f"These {len(group)} prompts averaged"
        elif number == 1:
            key, title = "hand-crafted", f"{COMPARISON_METHODS['hand-crafted'].title}: {group[0]}"
        else:
            key, title = f"hand-crafted-{number}", f"Hand-crafted prompt {number}: {group[0]}"
        found.append(
            Classifier(
                method=key,
                title=title,
                weights=weights,
                scale=backbone.logit_scale,
                seconds=time.perf_counter() - began,
                settings={"template": " | ".join(group)},
            )
        )
    return found


def ensemble(backbone: Backbone, class_names: Sequence[str]) -> Classifier:
    """The average of CLIP's 80 ImageNet templates (Radford et al. 2021, section 3.1.4)."""
    began = time.perf_counter()
    templates = imagenet_ensemble()
    weights = class_weights(backbone, class_names, templates).cpu()
    return Classifier(
        method="ensemble",
        title=COMPARISON_METHODS["ensemble"].title,
        weights=weights,
        scale=backbone.logit_scale,
        seconds=time.perf_counter() - began,
        settings={"templates": len(templates)},
    )


def method_of(prompt: LearnedPrompt) -> str:
    """Which of LEARNED_METHODS a prompt is, by its settings."""
    if prompt.train_config.kgcoop_weight:
        return "kgcoop"
    return "learned-csc" if prompt.prompt_config.class_specific else "learned"


def learned(prompt: LearnedPrompt, logit_scale: float, *, seconds: float = 0.0) -> Classifier:
    """A learned prompt as a classifier, of the kind it is."""
    method = method_of(prompt)
    config = prompt.train_config
    return Classifier(
        method=method,
        title=COMPARISON_METHODS[method].title,
        weights=prompt.class_weights.float().cpu(),
        scale=logit_scale,
        seconds=seconds,
        settings={
            "preset": config.preset,
            "steps": config.steps,
            "learning_rate": config.learning_rate,
            "n_ctx": prompt.prompt_config.n_ctx,
            "position": prompt.prompt_config.position,
            "kgcoop_weight": config.kgcoop_weight,
            "sampled_classes": config.sampled_classes,
            "seed": config.seed,
        },
        prompt=prompt,
    )


def learn(
    backbone: Backbone,
    prepared: Prepared,
    method: str = "learned",
    *,
    shots: int,
    seed: int = 1,
    preset: Preset = "fast",
    prompt_config: PromptConfig | None = None,
    measure: bool = True,
    **overrides,
) -> Iterator[TrainEvent | Classifier]:
    """Train the prompt a method stands for on prepared features; last comes the classifier.

    Settings and training are those of `teach`: the same function makes them.

    Args:
        method: one of LEARNED_METHODS; it decides on class-specific context and KgCoOp's pull.
        measure: measure held-out accuracy on the way (for a live curve).
        overrides: fields of TrainConfig; None leaves the preset's own value.

    Raises:
        PromptError: settings or class names cannot be used.
        UserError: the training ran away before there was a usable prompt.
    """
    if method not in LEARNED_METHODS:
        raise UserError(f'"{method}" learns no prompt. Choose from {", ".join(LEARNED_METHODS)}.')
    prompt_config = replace(prompt_config or PromptConfig(), class_specific=method == "learned-csc")
    if method == "kgcoop":
        overrides["kgcoop_weight"] = overrides.get("kgcoop_weight") or KGCOOP_WEIGHT
    else:
        overrides["kgcoop_weight"] = None
    config = train_config_for(
        preset,
        shots,
        len(prepared.train_labels),
        seed=seed,
        dataset=prepared.dataset.name,
        **overrides,
    )
    held_out = (prepared.test_features, prepared.test_labels)
    last = None
    for last in train_prompt(
        backbone,
        prepared.train_features,
        prepared.train_labels,
        prepared.dataset.class_names,
        prompt_config,
        config,
        held_out=held_out if measure and len(prepared.test_labels) else None,
        shots=shots,
        learned_from=prepared.learned_from,
        looks=prepared.looks,
    ):
        yield last
    assert last is not None
    if last.prompt is None:
        raise UserError(last.message)
    classifier = learned(last.prompt, backbone.logit_scale, seconds=last.seconds)
    status = {"status": last.status, "steps_done": last.step}
    if last.message:
        status["message"] = last.message
    yield replace(classifier, settings={**classifier.settings, **status})
