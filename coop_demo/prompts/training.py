"""train_prompt: learn the context of a prompt from cached picture features.

Only the text tower runs during training: pictures were encoded once (several augmented views of
each shot), so a step costs one pass of the prompts through the tower and back.

A training is a generator of events. It holds no autograd mode, autocast or lock across a yield,
so that any number of trainings may be interleaved, on any threads. Closing it stops it.

V views, N training pictures, C classes, M context vectors, W text width, d joint width.
"""

import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import PromptError
from coop_demo.prompts.class_blocks import classes_at_once
from coop_demo.prompts.familiar import Familiar, familiar_from
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.step import TrainStep
from coop_demo.prompts.templates import DEFAULT_TEMPLATE, accuracy, class_weights
from coop_demo.turns import TURNS

_READ_EVERY = 16  # steps between two looks at the loss of a captured step: a stop waits for them
_BLOCK = 256  # steps whose batches are brought to the GPU at once

Preset = Literal["fast", "paper"]


@dataclass(frozen=True)
class TrainConfig:
    """How a prompt is trained. `fast()` and `paper()` are the two named presets."""

    preset: Preset = "fast"
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 0.01  # per step of AdamW; the mini tower needs far more than SGD's 0.002
    weight_decay: float = 0.01
    steps: int = 250  # held-out accuracy gains less than a point from twice as many
    batch_size: int = 0  # 0: all pictures in every step; features are cached, so it costs nothing
    n_views: int = 4  # views of each shot; see `view_numbers`. More gain nothing measurable
    kgcoop_weight: float = 0.0  # λ of KgCoOp's pull towards the hand-crafted prompt (paper: 8)
    sampled_classes: int = 0  # K of POMP: negatives a step, an approximation; 0: all classes
    template: str = DEFAULT_TEMPLATE  # the hand-crafted prompt to beat, and to be pulled towards
    seed: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 100_000:
            raise PromptError(f"The number of steps is {self.steps}; choose 1 to 100,000.")
        if not 0 < self.learning_rate <= 10 or not math.isfinite(self.learning_rate):
            raise PromptError(
                f"The learning rate is {self.learning_rate:g}; choose a number above 0, up to 10 "
                "(0.01 is the default)."
            )
        if self.kgcoop_weight < 0 or not math.isfinite(self.kgcoop_weight):
            raise PromptError(
                f"The pull towards the hand-crafted prompt is {self.kgcoop_weight:g}; choose 0 "
                "(off) or more (KgCoOp uses 8)."
            )
        if self.sampled_classes < 0 or self.sampled_classes == 1:
            raise PromptError(
                f"The number of sampled classes is {self.sampled_classes}; choose 0 (all classes) "
                "or at least 2."
            )
        if self.sampled_classes and not self.batch_size:
            raise PromptError(
                "Sampling classes needs batches: with all pictures in every step all classes are "
                "in it. Choose a batch size (the paper's is 32)."
            )
        if not 1 <= self.n_views <= 1_000 or self.batch_size < 0:
            raise PromptError(
                "The number of views must be 1 to 1,000 and the batch size 0 or more."
            )

    @property
    def view_numbers(self) -> tuple[int, ...]:
        """Which views of a shot are encoded: 0 is the test-time view, others random crops.

        The fast preset trains on the test-time view and random crops; the paper's on random
        crops only, of which there are as many as asked for instead of a new one every epoch.
        """
        first = 0 if self.preset == "fast" else 1
        return tuple(range(first, first + self.n_views))


def fast(**overrides) -> TrainConfig:
    """The default: AdamW on all pictures at once, cosine to zero."""
    return replace(TrainConfig(), **overrides)


#: the paper's epochs by shots; the largest key not above the shots counts
PAPER_EPOCHS = {1: 50, 2: 100, 4: 100, 8: 200, 16: 200}


PAPER_EPOCHS_IMAGENET = 50  # whatever the shots (section 4.1 of the paper)


def paper(shots: int, n_train: int, *, dataset: str = "", **overrides) -> TrainConfig:
    """The paper's recipe: SGD 0.002 with momentum, batch 32, cosine after a warm-up epoch.

    Args:
        dataset: its name; `imagenet` has a number of epochs of its own.
        shots: pictures a class, which set the number of epochs (50 to 200).
        n_train: pictures in all, which set the steps of an epoch; an incomplete last batch is
            dropped unless it is the only one, as in the reference's data loader.
    """
    epochs = PAPER_EPOCHS[max((s for s in PAPER_EPOCHS if s <= shots), default=1)]
    if dataset.lower() == "imagenet":
        epochs = PAPER_EPOCHS_IMAGENET
    steps_per_epoch = max(1, n_train // 32)
    config = TrainConfig(
        preset="paper",
        optimizer="sgd",
        learning_rate=0.002,
        weight_decay=5e-4,
        steps=epochs * steps_per_epoch,
        batch_size=32,
        n_views=8,
    )
    return replace(config, **overrides)


@dataclass(frozen=True)
class LearnedPrompt:
    """A learned context and everything needed to use it again.

    Shape: ctx (M, W) or (C, M, W); class_weights (C, d) unit vectors, so that inference never
    runs the text tower again.
    """

    ctx: Tensor
    class_weights: Tensor
    class_names: tuple[str, ...]
    prompt_config: PromptConfig
    train_config: TrainConfig
    backbone: str  # its identity: name and weights hash
    shots: int | None = None
    history: tuple[dict, ...] = field(default=(), repr=False)
    # `short_content` of the shots: never judged on these. None: an older file that does not say
    learned_from: tuple[str, ...] | None = field(default=None, repr=False)
    looks: tuple[str, ...] = field(default=(), repr=False)  # `Look.text` of the shots
    familiar: Familiar | None = None  # tells pictures that may be none of the classes

    def learner(self, backbone: Backbone) -> PromptLearner:
        """The prompt on its backbone, for other class names or further training."""
        return PromptLearner(
            backbone.text_tower,
            backbone.tokenizer,
            self.class_names,
            self.prompt_config,
            ctx=self.ctx,
        )


@dataclass(frozen=True)
class TrainState:
    """Where a training stands after a step: what it needs to go on as if it had never stopped.

    The generator needs no place here: it is drawn from anew, as often as the steps did.

    Shape: ctx as in LearnedPrompt; optimizer holds what it remembers of it, by its own names.
    """

    step: int
    ctx: Tensor
    optimizer: Mapping[str, Tensor]
    loss: float
    first_loss: float
    best_loss: float
    best: LearnedPrompt | None  # its history is all that was measured so far
    n_best: int  # of the history, up to the measurement of the best prompt
    seconds: float


@dataclass(frozen=True)
class TrainEvent:
    """What is known after a step. Accuracies are fractions; None where not measured then."""

    step: int
    total_steps: int
    loss: float
    train_accuracy: float | None
    held_out_accuracy: float | None
    hand_crafted_accuracy: float | None  # of the same held-out pictures: the flat line to beat
    seconds: float
    seconds_left: float
    prompt: LearnedPrompt | None  # best so far, at measured steps; final when finished
    status: Literal["running", "finished", "diverged"] = "running"
    message: str = ""
    state: TrainState | None = None  # every few seconds, if asked for


def train_prompt(
    backbone: Backbone,
    features: Tensor,
    labels: Tensor,
    class_names: Sequence[str],
    prompt_config: PromptConfig | None = None,
    config: TrainConfig | None = None,
    *,
    held_out: tuple[Tensor, Tensor] | None = None,
    shots: int | None = None,
    learned_from: tuple[str, ...] | None = None,
    looks: tuple[str, ...] = (),
    hand_crafted: Tensor | None = None,
    start: Tensor | None = None,
    resume: TrainState | None = None,
    state_every: float | None = None,
    measurements: int = 40,
    capture: bool = True,
) -> Generator[TrainEvent, None, None]:
    """Learn a prompt's context by cross-entropy over `logit_scale · cos(picture, prompt)`.

    Args:
        backbone: the frozen model the features came from.
        features: (V, N, d) unit-length features of V views of each training picture.
        labels: (N,) class numbers.
        class_names: C names.
        held_out: features (K, d) and labels (K,) that are only measured, never learned from.
        learned_from: `short_content` of the training images, kept in the prompt.
        looks: `Look.text` of them, kept there too.
        hand_crafted: (C, d) class weights of the config's template where they are known already.
        start: a context to start from instead of the configured one.
        resume: go on from here, where a training with the same other arguments was interrupted;
            on the CPU the outcome is that of a training that was not.
        state_every: seconds after which an event carries the state again; None: none does.
        measurements: how often accuracies are measured on the way.
        capture: on CUDA replay the step as a graph; then the loss is read from the GPU at measured
            steps and every 16th, and an event between them carries the last one read.

    Yields:
        One event a step. The last one's status is `finished`, or `diverged` when the loss left
        the finite numbers or ran away; then its prompt is the best before that.

    Raises:
        PromptError: settings or class names cannot be used, a class has no picture, or the
            features do not fit.
    """
    prompt_config = prompt_config or PromptConfig()
    config = config or TrainConfig()
    labels = labels.long().cpu()
    _check(features, labels, class_names)
    generator = torch.Generator().manual_seed(config.seed)
    learner = PromptLearner(
        backbone.text_tower,
        backbone.tokenizer,
        class_names,
        prompt_config,
        generator=generator,
        ctx=start,
    )
    prompt_config = learner.config
    device = backbone.device
    plain = features[0].float().cpu(), labels  # the whole pictures
    plain_held_out = None if held_out is None else held_out[0].float().cpu()
    features = features.to(device)
    device_labels = labels.to(device)
    if hand_crafted is None:
        hand_crafted = class_weights(backbone, class_names, [config.template])
    hand_crafted = hand_crafted.to(device)  # (C, d)
    if held_out is not None:
        held_out = (held_out[0].to(device), held_out[1])
    flat_line = None if held_out is None else accuracy(*held_out, hand_crafted)

    with backbone.autocast():
        at_once = classes_at_once(learner)
    step_once = TrainStep(
        backbone,
        learner,
        features,
        device_labels,
        hand_crafted,
        batch_size=min(config.batch_size or len(labels), len(labels)),
        optimizer=config.optimizer,
        weight_decay=config.weight_decay,
        kgcoop_weight=config.kgcoop_weight,
        classes_at_once=at_once,
        sampled_classes=config.sampled_classes,
        capture=capture,
    )
    schedule = _schedule(
        features.shape[0], len(labels), len(class_names), config, generator, device
    )
    every = max(1, config.steps // max(1, measurements))

    began, state_at = time.perf_counter(), -math.inf
    history: list[dict] = []
    best: LearnedPrompt | None = None
    best_loss, n_best = math.inf, 0  # of the history, up to the measurement of the best prompt
    first_loss: float | None = None
    loss_value = math.nan
    first_step = 1
    if resume is not None:
        _check_resume(resume, learner, config)
        step_once.go_on_from(resume.ctx, resume.optimizer)
        for _ in range(resume.step):
            next(schedule)
        first_step, began = resume.step + 1, began - resume.seconds
        loss_value, first_loss = resume.loss, resume.first_loss
        best, best_loss, n_best = resume.best, resume.best_loss, resume.n_best
        history = list(best.history) if best else []

    for step in range(first_step, config.steps + 1):
        # the first step too: whoever stops at once has a prompt to go on with
        measured = step % every == 0 or step in (1, config.steps)
        with TURNS.long():
            loss = step_once(*next(schedule))
            if measured or not step_once.captured or step % _READ_EVERY == 0:
                loss_value = float(loss)
        if first_loss is None:
            first_loss = loss_value
        ran_away = loss_value > 10 * max(first_loss, math.log(len(class_names)))
        if not math.isfinite(loss_value) or ran_away:
            yield _diverged(step, config, loss_value, best, history[:n_best], began, flat_line)
            return
        train_accuracy = held_out_accuracy = prompt = None
        if measured:
            with TURNS.long():
                weights = step_once.weights()
            if not torch.isfinite(weights).all():
                yield _diverged(step, config, loss_value, best, history[:n_best], began, flat_line)
                return
            logits = backbone.logit_scale * features[0] @ weights.T  # (N, C)
            train_accuracy = int((logits.argmax(-1) == device_labels).sum()) / len(labels)
            train_loss = float(F.cross_entropy(logits, device_labels))
            if held_out is not None:
                held_out_accuracy = accuracy(*held_out, weights)
            history.append(
                {
                    "step": step,
                    "loss": round(loss_value, 5),
                    "train_accuracy": round(train_accuracy, 5),
                    "held_out_accuracy": held_out_accuracy,
                }
            )
            # best by the training loss: held-out pictures must not choose what they judge
            last = step == config.steps
            if train_loss < best_loss or last:
                best_loss, n_best = train_loss, len(history)
                class_weights_now = weights.float().cpu()
                best = LearnedPrompt(
                    ctx=learner.ctx.detach().cpu().clone(),
                    class_weights=class_weights_now,
                    class_names=tuple(class_names),
                    prompt_config=prompt_config,
                    train_config=config,
                    backbone=backbone.identity,
                    shots=shots,
                    learned_from=learned_from,
                    looks=looks,
                    familiar=familiar_from(*plain, class_weights_now, plain_held_out),
                )
            assert best is not None
            prompt = replace(best, history=tuple(history[:n_best]))

        seconds = time.perf_counter() - began
        state = None
        if state_every is not None and time.perf_counter() - state_at >= state_every:
            state_at = time.perf_counter()
            state = TrainState(
                step=step,
                ctx=learner.ctx.detach().cpu().clone(),
                optimizer=step_once.optimizer_state(),
                loss=loss_value,
                first_loss=first_loss,
                best_loss=best_loss,
                best=best and replace(best, history=tuple(history)),
                n_best=n_best,
                seconds=seconds,
            )
        yield TrainEvent(
            step=step,
            total_steps=config.steps,
            loss=loss_value,
            train_accuracy=train_accuracy,
            held_out_accuracy=held_out_accuracy,
            hand_crafted_accuracy=flat_line,
            seconds=seconds,
            seconds_left=seconds / step * (config.steps - step),
            prompt=prompt,
            status="finished" if step == config.steps else "running",
            state=state,
        )


def _check_resume(resume: TrainState, learner: PromptLearner, config: TrainConfig) -> None:
    tensors = (resume.ctx, *(t for name, t in resume.optimizer.items() if name != "step"))
    fits = all(t.shape == learner.ctx.shape and torch.isfinite(t).all() for t in tensors)
    if not fits or not 1 <= resume.step < config.steps:
        raise PromptError(
            "The interrupted training does not belong to these classes and settings. Train again."
        )


def _schedule(
    V: int,
    N: int,
    C: int,
    config: TrainConfig,
    generator: torch.Generator,
    device: torch.device,
) -> Iterator[tuple[Tensor, Tensor, float | Tensor, Tensor | None]]:
    """View, rows, learning rate and sampled classes of every step.

    On CUDA they lie on the device in blocks, so that a step copies nothing from here.
    """
    batches = _batches(V, N, config, generator)
    negatives = _sampled_classes(C, config)
    rates = [_learning_rate(step, N, config) for step in range(config.steps)]
    if device.type != "cuda":
        yield from ((*next(batches), rate, next(negatives)) for rate in rates)
        return
    for first in range(0, config.steps, _BLOCK):
        block = rates[first : first + _BLOCK]
        chosen = [next(batches) for _ in block]
        views = torch.stack([view for view, _ in chosen]).to(device)  # (K, B)
        rows = torch.stack([rows for _, rows in chosen]).to(device)  # (K, B)
        sampled = [next(negatives) for _ in block]
        on_device = [None if one is None else one.to(device) for one in sampled]
        rates_there = torch.tensor(block, device=device)
        yield from zip(views, rows, rates_there, on_device, strict=True)


def _sampled_classes(C: int, config: TrainConfig) -> Iterator[Tensor | None]:
    """Endless choices of K different classes; None where all take part.

    They are drawn apart from the batches, which are therefore the same with and without.
    """
    generator = torch.Generator().manual_seed(config.seed + 1)
    K = min(config.sampled_classes, C)
    while True:
        yield torch.randperm(C, generator=generator)[:K] if K else None


def _check(features: Tensor, labels: Tensor, class_names: Sequence[str]) -> None:
    if len(class_names) < 2:
        raise PromptError(
            "A prompt is learned to tell classes apart, and there is only one. Add a second class."
        )
    if features.ndim != 3 or features.shape[1] != len(labels):
        raise PromptError(
            f"The features have shape {tuple(features.shape)}; (views, {len(labels)} pictures, "
            "width) is needed."
        )
    counts = torch.bincount(labels, minlength=len(class_names))
    for name, count in zip(class_names, counts.tolist(), strict=False):
        if count == 0:
            raise PromptError(
                f'Class "{name}" has no picture to learn from. Add pictures or remove the class.'
            )
    if not torch.isfinite(features).all():
        raise PromptError(
            "Some picture features are not finite numbers. Choose another backbone or precision."
        )


def _learning_rate(step: int, n_train: int, config: TrainConfig) -> float:
    """The learning rate of a step, counted from 0."""
    if config.preset == "paper":
        # per epoch, as the reference: one epoch at 1e-5, then a cosine over all epochs
        steps_per_epoch = max(1, n_train // config.batch_size) if config.batch_size else 1
        epoch, epochs = step // steps_per_epoch, max(1, config.steps // steps_per_epoch)
        if epoch == 0:
            return 1e-5
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / epochs))
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / config.steps))


def _batches(
    V: int, N: int, config: TrainConfig, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (view, picture) index pairs: every picture once an epoch, a random view each."""
    size = min(config.batch_size or N, N)
    while True:
        order = torch.randperm(N, generator=generator)
        views = torch.randint(V, (N,), generator=generator)
        for first in range(0, N - size + 1, size):  # an incomplete last batch is dropped
            rows = order[first : first + size]
            yield views[rows], rows


def _diverged(
    step: int,
    config: TrainConfig,
    loss: float,
    best: LearnedPrompt | None,
    history: list[dict],
    began: float,
    flat_line: float | None,
) -> TrainEvent:
    kept = "The best prompt before that was kept." if best else "There is no usable prompt yet."
    return TrainEvent(
        step=step,
        total_steps=config.steps,
        loss=loss,
        train_accuracy=None,
        held_out_accuracy=None,
        hand_crafted_accuracy=flat_line,
        seconds=time.perf_counter() - began,
        seconds_left=0.0,
        prompt=best and replace(best, history=tuple(history)),
        status="diverged",
        message=(
            f"Training ran away at step {step} of {config.steps} (loss {loss:.3g}). {kept} "
            f"Try a smaller learning rate than {config.learning_rate:g}."
        ),
    )
