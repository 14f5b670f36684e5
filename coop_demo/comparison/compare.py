"""Methods side by side on the same features of the same held-out images.

K held-out images, C classes, d joint width. Labels and predictions are (K,) class numbers,
logits (K, C)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import EncodeEvent
from coop_demo.comparison.methods import (
    LEARNED_METHODS,
    Classifier,
    ensemble,
    find_methods,
    hand_crafted,
    learn,
    learned,
)
from coop_demo.comparison.rivals import fit
from coop_demo.comparison.statistics import PairedTest, Score, mcnemar, score
from coop_demo.comparison.verdict import RivalVerdict, against_best
from coop_demo.data.dataset import Dataset, LabelledPicture
from coop_demo.errors import PromptError, UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import Prepared, prepare, train_config_for, unread_names
from coop_demo.prompts.templates import DEFAULT_TEMPLATE
from coop_demo.prompts.training import LearnedPrompt, Preset, TrainEvent
from coop_demo.wording import listed


@dataclass(frozen=True)
class MethodStarted:
    """A method is about to be fitted."""

    method: str
    title: str


@dataclass(frozen=True)
class MethodResult:
    """A fitted method and its answers on the held-out pictures. Shape: logits (K, C)."""

    classifier: Classifier
    logits: Tensor = field(repr=False)
    score: Score

    @property
    def method(self) -> str:
        return self.classifier.method

    @property
    def title(self) -> str:
        return self.classifier.title

    @property
    def predicted(self) -> Tensor:
        """(K,) class numbers."""
        return self.logits.argmax(dim=-1)


@dataclass(frozen=True)
class Comparison:
    """Methods on the same features of the same pictures."""

    prepared: Prepared
    results: tuple[MethodResult, ...]
    problems: tuple[str, ...]  # a sentence for each method that could not be fitted
    notes: tuple[str, ...]
    settings: Mapping[str, Any]  # backbone, shots, seed, preset and what was overridden

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.prepared.dataset.class_names

    @property
    def labels(self) -> Tensor:
        return self.prepared.test_labels

    @property
    def pictures(self) -> tuple[LabelledPicture, ...]:
        """The K held-out pictures, in the order of labels and logits.

        Raises:
            UserError: a picture vanished between checking and encoding, so the order is lost.
        """
        found = self.prepared.dataset.test
        if len(found) != len(self.labels):
            raise UserError(
                "Some pictures could no longer be read when they were encoded, so they cannot be "
                "shown. Compare again."
            )
        return found

    def result(self, method: str) -> MethodResult:
        """The result of a method.

        Raises:
            UserError: it was not part of this comparison.
        """
        for found in self.results:
            if found.method == method:
                return found
        there = ", ".join(found.method for found in self.results)
        raise UserError(f'"{method}" was not compared. Choose from {there}.')

    def paired(self, first: str, second: str = "hand-crafted") -> PairedTest:
        """McNemar's test of two methods."""
        a, b = self.result(first), self.result(second)
        return mcnemar(a.predicted == self.labels, b.predicted == self.labels)

    @property
    def best_learned(self) -> str | None:
        """The learned prompt that is judged; None without one or without a hand-crafted one."""
        keys = [result.method for result in self.results]
        return next((key for key in LEARNED_METHODS if key in keys), None)

    def against_rivals(self, method: str) -> RivalVerdict | None:
        """A method against the best of the others but prompts; None without any.

        The hand-crafted prompt is judged apart, as the line to beat.
        """
        apart = ("hand-crafted", method, *LEARNED_METHODS)
        rivals = {r.method: r for r in self.results if r.method not in apart}
        if not rivals:
            return None
        # of equally good rivals the first counts
        best = max(rivals.values(), key=lambda r: r.score.correct).method
        return against_best(
            self.result(method).predicted == self.labels,
            {key: result.predicted == self.labels for key, result in rivals.items()},
            most_right=best,
        )


DEFAULT_METHODS = (
    "hand-crafted",
    "class-mean",
    "tip-adapter",
    "gda",
    "ensemble",
    "linear-probe",
    "learned",
)


def compare(
    backbone: Backbone,
    dataset: Dataset | Prepared,
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    templates: Sequence[str] = (DEFAULT_TEMPLATE,),
    prompts: Sequence[LearnedPrompt] = (),
    shots: int = 16,
    seed: int = 1,
    preset: Preset = "fast",
    prompt_config: PromptConfig | None = None,
    **overrides,
) -> Iterator[EncodeEvent | MethodStarted | TrainEvent | MethodResult | Comparison]:
    """Fit every method on the same shots and measure it on the same held-out pictures.

    What needs no training comes first, so that a table stands at once. A method that cannot be
    fitted costs itself only and is named in `problems`. The last event is the Comparison.

    Args:
        dataset: a set, or features that were prepared before (then nothing is encoded).
        methods: keys of COMPARISON_METHODS; `hand-crafted` is always among them, as the line
            to beat.
        templates: hand-crafted prompts; the first is the one to beat.
        prompts: prompts that are learned already, one of a kind. They stand for the methods they
            are, which are compared and not trained again. Their classes must be those of the set,
            and their seed is `seed` where pictures are held out, or they had seen them.
        overrides: fields of TrainConfig.

    Raises:
        UserError: unknown methods, unusable settings, a set that cannot be compared on, or no
            held-out pictures.
    """
    ready: dict[str, Classifier] = {}
    for prompt in prompts:
        classifier = learned(prompt, backbone.logit_scale)
        if classifier.method in ready:
            raise PromptError(
                f'Two prompts are of the kind "{classifier.title}"; one of a kind can be compared. '
                "Leave one out."
            )
        ready[classifier.method] = classifier
    chosen = find_methods(["hand-crafted", *methods, *ready])
    templates = tuple(templates) or (DEFAULT_TEMPLATE,)
    overrides["template"] = templates[0]
    views = train_config_for(preset, shots, 1, seed=seed, **overrides).view_numbers
    if isinstance(dataset, Prepared):
        prepared = dataset
    else:
        prepared = yield from prepare(backbone, dataset, shots=shots, seed=seed, views=views)
    prepared, left_out = prepared.without([p.learned_from or () for p in prompts])
    left_out += prepared.suspected([look for p in prompts for look in p.looks])
    names = prepared.dataset.class_names
    notes = (*left_out, *_check_comparable(prepared), *unread_names(backbone, names))
    scale = backbone.logit_scale
    results: list[MethodResult] = []
    problems: list[str] = []

    def measured(classifier: Classifier) -> MethodResult:
        logits = classifier.logits(prepared.test_features)
        result = MethodResult(classifier, logits, score(logits.argmax(-1), prepared.test_labels))
        results.append(result)
        return result

    for prompt in prompts:
        _check_same_classes(prompt, names, backbone)
        if prepared.n_held_out and prompt.train_config.seed != seed:
            raise PromptError(
                f"The prompt was trained with seed {prompt.train_config.seed}, which held out "
                f"other pictures than seed {seed}: it may have learned from those it is judged on. "
                f"Compare with seed {prompt.train_config.seed}, or add test pictures."
            )

    hand_crafted_weights: Tensor | None = None
    for method in chosen:
        yield MethodStarted(method.key, method.title)
        try:
            if method.key == "hand-crafted":
                words = hand_crafted(backbone, names, templates)
                hand_crafted_weights = words[0].weights
                for classifier in words:
                    yield measured(classifier)
            elif method.key == "ensemble":
                yield measured(ensemble(backbone, names))
            elif method.key in ready:
                yield measured(ready[method.key])
            elif method.key in LEARNED_METHODS:
                for event in learn(
                    backbone,
                    prepared,
                    method.key,
                    shots=shots,
                    seed=seed,
                    preset=preset,
                    prompt_config=prompt_config,
                    **overrides,
                ):
                    yield measured(event) if isinstance(event, Classifier) else event
            else:
                assert hand_crafted_weights is not None, (
                    "hand-crafted comes first in COMPARISON_METHODS"
                )
                yield measured(
                    fit(
                        method.key,
                        prepared.train_features,
                        prepared.train_labels,
                        hand_crafted_weights,
                        scale,
                    )
                )
        except UserError as error:
            if method.key == "hand-crafted":
                raise  # there is nothing to compare with
            problems.append(f"{method.title} was left out: {error}")
    yield Comparison(
        prepared=prepared,
        results=tuple(results),
        problems=tuple(problems),
        notes=(*prepared.dataset.notes, *notes),
        settings={
            "backbone": backbone.identity,
            "logit_scale": scale,
            "dataset": prepared.dataset.name,
            "shots": shots,
            "seed": seed,
            "preset": preset,
            "templates": list(templates),
            "n_train": len(prepared.train_labels),
            "n_test": len(prepared.test_labels),
            "n_held_out": prepared.n_held_out,
            **{k: v for k, v in overrides.items() if v is not None and k != "template"},
        },
    )


def _check_comparable(prepared: Prepared) -> tuple[str, ...]:
    """Notes on what the held-out pictures can tell; UserError where they tell nothing."""
    K = len(prepared.test_labels)
    if K == 0:
        lost = f" {prepared.dataset.problems[0]}" if prepared.dataset.problems else ""
        raise UserError(
            "There are no held-out pictures to compare the methods on."
            f"{lost} Add test pictures, or more pictures a class."
        )
    notes = []
    if K < 20:
        counted = "is 1 held-out picture" if K == 1 else f"are {K} held-out pictures"
        notes.append(
            f"There {counted}, so every interval is wide. Add test pictures before you decide."
        )
    counts = torch.bincount(prepared.test_labels, minlength=len(prepared.dataset.class_names))
    absent = [
        name
        for name, n in zip(prepared.dataset.class_names, counts.tolist(), strict=True)
        if n == 0
    ]
    if absent:
        notes.append(f"No held-out pictures of {listed(absent)}: nothing is known about them.")
    return tuple(notes)


def _check_same_classes(
    prompt: LearnedPrompt, class_names: Sequence[str], backbone: Backbone
) -> None:
    if not backbone.has_weights_of(prompt.backbone):
        raise PromptError(
            f"The prompt was learned with {prompt.backbone}, and the model in use is "
            f"{backbone.identity}. Train it again."
        )
    if prompt.class_names != tuple(class_names):
        raise PromptError(
            f"The prompt knows the classes {listed(prompt.class_names)}, and this set has "
            f"{listed(class_names)}. Train it on this set."
        )
