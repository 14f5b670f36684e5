"""Training of a ranker: batches of one instruction, negatives, loss, what is kept."""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import RankingError
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.instructions import check_instruction, instruction_key
from coop_demo.ranking.losses import ranking_loss
from coop_demo.ranking.metrics import RankingMetrics, mean_of_known, ranking_metrics
from coop_demo.ranking.ranker import LearnedInstruction, Ranker, RankerTrainConfig, RankingTask
from coop_demo.turns import TURNS

VALUE_BINS = 10  # values are balanced over at most this many bins of equal width


SCALE_PICTURES = 200  # of a task, that say how wide a start ranker's scores are spread
# How far a start ranker's spread of scores may set an instruction's scale, in standard deviations.
SPREAD_LIMITS = (0.25, 4.0)


@dataclass(frozen=True)
class RankerEvent:
    """What is known after a step; step 0 is the state before training.

    `held_out` has the figures of each instruction that has held-out pictures, at measured steps;
    `before` has them at step 0.
    """

    step: int
    total_steps: int
    instruction: str  # of this step's batch
    loss: float
    rank_loss: float
    regression_loss: float
    held_out: Mapping[str, RankingMetrics] | None
    before: Mapping[str, RankingMetrics] | None
    seconds: float
    seconds_left: float
    ranker: Ranker | None  # the one kept so far, at measured steps; the final one when finished
    status: Literal["running", "finished", "diverged"] = "running"
    message: str = ""


def train_ranker(
    backbone: Backbone,
    image_tokens: Tensor,
    tasks: Sequence[RankingTask],
    *,
    held_out: tuple[Tensor, Sequence[RankingTask]] | None = None,
    start: Ranker | None = None,
    adapter_config: AdapterConfig | None = None,
    config: RankerTrainConfig | None = None,
    measurements: int = 10,
    title: str = "",
) -> Iterator[RankerEvent]:
    """Train an adapter, from scratch or from a trained ranker, on any number of instructions.

    Args:
        backbone: the frozen model the tokens came from; it encodes the instructions.
        image_tokens: (N, V, D), or (W, N, V, D) for W views of each picture, of which every
            step takes a random one (the paper's flips); any float precision.
        tasks: instructions with their pictures and values.
        held_out: tokens (K, V, D) and tasks that are measured and never learned from.
        start: a ranker to start from; its shape wins over `adapter_config`.
        adapter_config: shape of a new adapter; the built-in model's setting when left out.
        measurements: how often held-out figures are taken and the best ranker is kept.
        title: a name for the result.

    Yields:
        An event for step 0 and for every step. The last one's status is `finished`, or `diverged`
        when the loss or a gradient stopped being a finite number; then its ranker is the last
        good one.

    Raises:
        RankingError: no tasks, an instruction the model cannot read, a start ranker of another
            backbone, tokens that do not fit or are not finite.
    """
    config = config or RankerTrainConfig()
    if start is not None:
        start.check_backbone(backbone)
        adapter = RankingAdapter.from_state(start.config, start.state)
    else:
        adapter_config = adapter_config or AdapterConfig.mini(
            image_tokens.shape[-1], backbone.embed_dim
        )
        adapter = RankingAdapter.seeded(adapter_config, config.seed)
    adapter.to(backbone.device)
    views = image_tokens if image_tokens.dim() == 4 else image_tokens[None]  # (W, N, V, D)
    _check(views, tasks, adapter.config)
    words = _encode_instructions(backbone, tasks, held_out[1] if held_out else ())
    scales = _scales(adapter, views[0], tasks, words, fit_start=start is not None)
    samplers = [_Sampler(task, scales[task.instruction], config) for task in tasks]
    learned = _learned(start, tasks, scales)

    generator = torch.Generator().manual_seed(config.seed)
    shares = torch.tensor([task.weight * len(task.rows) ** 0.5 for task in tasks])
    optimizer = torch.optim.AdamW(
        _parameter_groups(adapter, config.weight_decay), lr=config.learning_rate
    )
    every = max(1, config.steps // max(1, measurements))
    began = time.perf_counter()
    history: list[dict] = []
    before = None if held_out is None else _measure(adapter, *held_out, words)
    kept = _Kept(config, backbone, adapter, learned, title or (start.title if start else ""))
    if before is not None:
        history.append(_entry(0, None, before))
    if start is not None:
        kept.offer(adapter, None, before, history)  # stopping at once leaves what was there
    yield RankerEvent(
        step=0,
        total_steps=config.steps,
        instruction="",
        loss=math.nan,
        rank_loss=math.nan,
        regression_loss=math.nan,
        held_out=before,
        before=before,
        seconds=time.perf_counter() - began,
        seconds_left=math.nan,
        ranker=kept.ranker,
    )

    recent: list[float] = []  # losses since the last measurement
    for step in range(1, config.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config)
        sampler = samplers[int(torch.multinomial(shares, 1, generator=generator))]
        batch_rows, targets = sampler.draw(generator)
        view = torch.randint(len(views), (len(batch_rows),), generator=generator)
        text = words[sampler.wording(generator)]

        hide = sampler.hides_words(generator)
        adapter.train()
        with (
            TURNS.long(),
            torch.enable_grad(),
            _dropout_seed(adapter, config.seed, step, backbone.device),
        ):
            images = views[view, batch_rows]  # (B, V, D)
            if config.loss.rank_weight:
                scores, pair_logits = adapter(images, text, hide_words=hide)
            else:
                scores, pair_logits = adapter.scores(images, text, chunk=len(images)), None
            offset, scale = scales[sampler.task.instruction]
            loss = ranking_loss(
                scores, pair_logits, targets.to(scores), config.loss, zero=-offset / scale
            )
            optimizer.zero_grad(set_to_none=True)
            loss.total.backward()
            norm = torch.nn.utils.clip_grad_norm_(adapter.parameters(), config.gradient_clip)
        adapter.eval()
        total = float(loss.total.detach())
        seconds = time.perf_counter() - began
        event = RankerEvent(
            step=step,
            total_steps=config.steps,
            instruction=sampler.task.instruction,
            loss=total,
            rank_loss=float(loss.rank.detach()),
            regression_loss=float(loss.regression.detach()),
            held_out=None,
            before=before,
            seconds=seconds,
            seconds_left=seconds / step * (config.steps - step),
            ranker=None,
        )
        if not (math.isfinite(total) and math.isfinite(float(norm))):
            yield replace(
                event,
                seconds_left=0.0,
                ranker=kept.ranker,
                status="diverged",
                message=_diverged_message(step, config, kept.ranker),
            )
            return
        optimizer.step()
        recent.append(total)

        last = step == config.steps
        if step % every == 0 or last:
            figures = None if held_out is None else _measure(adapter, *held_out, words)
            mean_loss = sum(recent) / len(recent)
            history.append(_entry(step, mean_loss, figures))
            kept.offer(adapter, mean_loss, figures, history, last=last)
            recent.clear()
            seconds = time.perf_counter() - began
            event = replace(
                event,
                held_out=figures,
                seconds=seconds,
                seconds_left=seconds / step * (config.steps - step),
                ranker=kept.ranker,
                status="finished" if last else "running",
            )
        yield event


@torch.no_grad()
def task_metrics(
    adapter: RankingAdapter, backbone: Backbone, image_tokens: Tensor, task: RankingTask
) -> RankingMetrics:
    """Figures of one task: its instruction's scores against its values."""
    text = backbone.text_tokens([check_instruction(task.instruction, backbone)])
    scores = adapter.scores(image_tokens[task.rows], text)
    return ranking_metrics(scores.float().cpu().numpy(), task.values.numpy())


class _Sampler:
    """Draws the pictures of a batch of one task, values balanced, negatives added."""

    def __init__(self, task: RankingTask, scale: tuple[float, float], config: RankerTrainConfig):
        self.task = task
        self.wordings = (task.instruction, *task.paraphrases)
        self.hide_words = config.hide_words
        offset, spread = scale
        self.targets = (task.values.float() - offset) / spread
        self.zero = -offset / spread  # the target of a picture that has none of it
        balanced = balanced_weights(task.values, config.balance)
        self.weights = balanced if task.weights is None else task.weights.double()
        pool = task.negatives if task.negatives is not None else torch.empty(0)
        self.negatives = pool.long()
        wanted = round(config.batch_size * config.negatives)
        self.n_negatives = min(wanted, len(self.negatives))
        self.n_own = min(config.batch_size - self.n_negatives, len(task.rows))

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows of the image tokens and their targets, both (B,). No picture twice."""
        own = torch.multinomial(self.weights, self.n_own, generator=generator)
        rows, targets = self.task.rows[own].long(), self.targets[own]
        if self.n_negatives:
            pick = torch.randperm(len(self.negatives), generator=generator)[: self.n_negatives]
            rows = torch.cat([rows, self.negatives[pick]])
            targets = torch.cat([targets, torch.full((self.n_negatives,), self.zero)])
        return rows, targets

    def hides_words(self, generator: torch.Generator) -> bool:
        """Whether this batch's instruction is known by its evidence alone."""
        if not (self.hide_words and self.task.counts_things):
            return False
        return float(torch.rand((), generator=generator)) < self.hide_words

    def wording(self, generator: torch.Generator) -> str:
        return self.wordings[int(torch.randint(len(self.wordings), (1,), generator=generator))]


class _Kept:
    """The best ranker so far, by the training loss or by held-out figures."""

    def __init__(
        self,
        config: RankerTrainConfig,
        backbone: Backbone,
        adapter: RankingAdapter,
        learned: tuple[LearnedInstruction, ...],
        title: str,
    ):
        self.config = config
        self.blank = Ranker(adapter.config, {}, backbone.identity, learned, config, title=title)
        self.best = -math.inf
        self.ranker: Ranker | None = None

    def offer(
        self,
        adapter: RankingAdapter,
        loss: float | None,
        figures: Mapping[str, RankingMetrics] | None,
        history: list[dict],
        *,
        last: bool = False,
    ) -> None:
        """Keep this state if it is the best yet; the history always grows.

        The learning rate ends at zero, so the last state is the settled one: it is kept unless
        held-out pictures say otherwise.
        """
        by_held_out = self.config.keep == "held_out" and figures is not None
        if by_held_out:
            assert figures is not None
            merit = mean_srcc(figures)
            better = merit is not None and merit > self.best
        else:
            merit = -loss if loss is not None else -math.inf
            better = last or merit > self.best
        if better or self.ranker is None:
            self.best = merit if merit is not None else self.best
            # A state with weights that are not finite is never kept.
            state = {k: t.detach().cpu().clone() for k, t in adapter.state_dict().items()}
            if all(torch.isfinite(t).all() for t in state.values()):
                self.ranker = replace(self.blank, state=state)
        if self.ranker is not None:
            self.ranker = replace(self.ranker, history=tuple(history))


def mean_srcc(figures: Mapping[str, RankingMetrics]) -> float | None:
    """Mean SRCC over the instructions where it is defined."""
    return mean_of_known(one.srcc for one in figures.values())


def mean_pair_accuracy(figures: Mapping[str, RankingMetrics]) -> float | None:
    """Mean pair accuracy over the instructions where it is defined."""
    return mean_of_known(one.pair_accuracy for one in figures.values())


def _check(views: Tensor, tasks: Sequence[RankingTask], config: AdapterConfig) -> None:
    if not tasks:
        raise RankingError("There is nothing to learn from. Label pictures for an instruction.")
    if views.shape[-1] != config.input_dim:
        raise RankingError(
            f"The ranker reads tokens of width {config.input_dim}, but the pictures' have "
            f"{views.shape[-1]}. Use the model this ranker was made for."
        )
    seen: set[str] = set()
    for task in tasks:
        if instruction_key(task.instruction) in seen:
            raise RankingError(
                f'The instruction "{task.instruction}" is there twice. Put its pictures together.'
            )
        seen.add(instruction_key(task.instruction))
        for rows in (task.rows, task.negatives):
            if (
                rows is not None
                and len(rows)
                and not 0 <= rows.min() <= rows.max() < views.shape[1]
            ):
                raise ValueError(f"a task's rows are outside the {views.shape[1]} pictures")
    for part in views.flatten(0, 1).split(64):  # small enough to stay near the processor
        if not torch.isfinite(part.float().sum()):  # finite numbers of half precision add up
            raise RankingError(
                "Some picture tokens are not finite numbers. Choose another model or precision."
            )


def _encode_instructions(
    backbone: Backbone, tasks: Sequence[RankingTask], measured: Sequence[RankingTask]
) -> dict[str, Tensor]:
    """Each wording's tokens (1, T, D), encoded once."""
    texts = {w: None for task in tasks for w in (task.instruction, *task.paraphrases)}
    texts |= {task.instruction: None for task in measured}
    return {
        text: backbone.text_tokens([check_instruction(text, backbone)]).clone() for text in texts
    }


@torch.no_grad()
def _scales(
    adapter: RankingAdapter,
    image_tokens: Tensor,
    tasks: Sequence[RankingTask],
    words: Mapping[str, Tensor],
    *,
    fit_start: bool,
) -> dict[str, tuple[float, float]]:
    """Offset and scale of each instruction, over all tasks that share the scale.

    From scratch the values get mean 0 and spread 1. From a trained ranker they get the mean and
    spread of the scores it gives these pictures now, so that training starts with an order to
    improve instead of a head to move.
    """
    groups: dict[str, list[RankingTask]] = {}
    for task in tasks:
        groups.setdefault(task.scale_of or f"\0{task.instruction}", []).append(task)
    scales = {}
    adapter.eval()
    for group in groups.values():
        values = torch.cat([task.values.double() for task in group])
        mean, spread = values.mean().item(), values.std(correction=0).item()
        spread = spread or max(abs(mean), 1.0)  # one value only, and negatives at 0
        centre, width = 0.0, 1.0
        if fit_start:
            now = torch.cat(
                [
                    adapter.scores(image_tokens[_some(t.rows)], words[t.instruction]).cpu()
                    for t in group
                ]
            )
            centre = now.mean().item()
            width = min(max(now.std(correction=0).item(), SPREAD_LIMITS[0]), SPREAD_LIMITS[1])
        scale = spread / width
        for task in group:
            scales[task.instruction] = (mean - scale * centre, scale)
    return scales


def _some(rows: Tensor) -> Tensor:
    """At most SCALE_PICTURES of the rows, evenly from all."""
    return rows[:: -(-len(rows) // SCALE_PICTURES)]


def _learned(
    start: Ranker | None, tasks: Sequence[RankingTask], scales: Mapping[str, tuple[float, float]]
) -> tuple[LearnedInstruction, ...]:
    """What the start ranker had learned and what is learned now; the new wins."""
    new = [
        LearnedInstruction(
            task.instruction,
            *scales[task.instruction],
            lowest=task.values.min().item(),
            highest=task.values.max().item(),
            n_pictures=len(task.rows),
        )
        for task in tasks
    ]
    keys = {instruction_key(one.instruction) for one in new}
    old = start.instructions if start else ()
    return (*(one for one in old if instruction_key(one.instruction) not in keys), *new)


def balanced_weights(values: Tensor, power: float) -> Tensor:
    """Sampling weights (M,): a value counts less the more pictures have one like it."""
    v = values.double().numpy()
    kinds = np.unique(v)
    if len(kinds) <= VALUE_BINS:
        bins = np.searchsorted(kinds, v)
    else:
        bins = np.digitize(v, np.linspace(v.min(), v.max(), VALUE_BINS + 1)[1:-1])
    counts = np.bincount(bins)
    return torch.from_numpy(counts[bins].astype(float) ** -power)


@torch.no_grad()
def _measure(
    adapter: RankingAdapter,
    image_tokens: Tensor,
    tasks: Sequence[RankingTask],
    words: Mapping[str, Tensor],
) -> dict[str, RankingMetrics]:
    adapter.eval()
    return {
        task.instruction: ranking_metrics(
            adapter.scores(image_tokens[task.rows], words[task.instruction]).cpu().numpy(),
            task.values.numpy(),
        )
        for task in tasks
    }


def _parameter_groups(adapter: RankingAdapter, weight_decay: float) -> list[dict]:
    """Matrices decay; norms, biases, prompts and queries do not."""
    free = {"learnable_text_tokens", "reg_tokens"}
    decayed = [p for n, p in adapter.named_parameters() if p.dim() >= 2 and n not in free]
    others = [p for n, p in adapter.named_parameters() if p.dim() < 2 or n in free]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _schedule(step: int, config: RankerTrainConfig) -> float:
    """Share of the learning rate at a step counted from 1: a ramp, then a cosine to zero."""
    ramp = max(1, round(config.warmup * config.steps))
    if step <= ramp:
        return step / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, config.steps - ramp)))


@contextlib.contextmanager
def _dropout_seed(
    adapter: RankingAdapter, seed: int, step: int, device: torch.device
) -> Iterator[None]:
    """Dropout draws from torch's one random state: seed it for this step and put it back."""
    if not adapter.config.dropout:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed * 1_000_003 + step)
        yield


def _entry(
    step: int, loss: float | None, figures: Mapping[str, RankingMetrics] | None
) -> dict[str, float | int | None]:
    """A point of the learning curve."""
    figures = figures or {}
    return {
        "step": step,
        "loss": None if loss is None else round(loss, 5),
        "held_out_srcc": mean_srcc(figures),
        "held_out_pair_accuracy": mean_pair_accuracy(figures),
    }


def _diverged_message(step: int, config: RankerTrainConfig, kept: Ranker | None) -> str:
    what = "The last good ranker was kept." if kept else "There is no usable ranker yet."
    return (
        f"Training ran away at step {step} of {config.steps}: the loss is not a number any more. "
        f"{what} Try a smaller learning rate than {config.learning_rate:g}."
    )
