"""Trains a ranker on a GPU: many instructions a step, all pictures there, the step as one graph.

`ranking.training` takes the pictures of one instruction a step, which is what ten to thirty
pictures and a CPU want. A step there is hundreds of small kernels whose launches cost a GPU more
than their arithmetic. Here a step has K instructions with B pictures each, nothing in it waits for
the GPU, and it is captured once as a CUDA graph; elsewhere it runs as it is. The loss is the same,
a mean over the K instructions.

K instructions a step, B pictures of each, V tokens of a picture, T words, D width.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.ranking.adapter import PairSummary, RankingAdapter
from coop_demo.ranking.ranker import LearnedInstruction, Ranker, RankerTrainConfig, RankingTask
from coop_demo.ranking.training import balanced_weights
from coop_demo.recipes.ranker.pictures import ANYTHING, count_prompt

NO_THING = count_prompt(ANYTHING)  # an instruction that names no thing
_WARM_UP = 3  # eager steps before capture: cuBLAS and autograd allocate what they keep


@dataclass(frozen=True)
class FastConfig:
    """How a ranker is trained here; what is not here is as in RankerTrainConfig."""

    steps: int
    n_instructions: int = 16  # K
    batch_size: int = 32  # B
    learning_rate: float = 1e-3  # AdamW, a warm-up, then a cosine to zero
    weight_decay: float = 0.1
    warmup: float = 0.03  # share of the steps
    negatives: float = 0.2  # share of an instruction's pictures, where it has some
    hide_words: float = 0.4  # share of the counts that are known by evidence alone
    regression_weight: float = 4.0
    gradient_clip: float = 1.0
    # The weights that are kept are an exponential moving average with this decay, less while it is
    # young: it must not remember the start of a short training.
    average: float = 0.999
    seed: int = 1


@torch.no_grad()
def read_wordings(backbone: Backbone, tasks: Sequence[RankingTask]) -> dict[str, Tensor]:
    """Tokens (T, d) of every wording of the tasks, and of the one that stands in for hidden words.

    The text tower is causal: what stands behind a text's end in a batch does not change it.
    """
    wordings = {w: None for task in tasks for w in (task.instruction, *task.paraphrases)}
    every = [NO_THING, *wordings]
    found = {}
    for at in range(0, len(every), 128):
        part = every[at : at + 128]
        ends = backbone.text_tower.eot_positions(backbone.tokenize(part)).tolist()
        tokens = backbone.text_tokens(part).cpu()
        cut = backbone.text_ends_at_eot
        for text, own, end in zip(part, tokens, ends, strict=True):
            found[text] = own[: end + 1].clone() if cut else own
    return found


class Batches:
    """Draws batches of all tasks on the device, with nothing for Python to wait for.

    Tasks of all lengths stand in tables, shorter ones filled up with what is never drawn.
    """

    def __init__(
        self,
        texts: Mapping[str, Tensor],
        tasks: Sequence[RankingTask],
        scales: Sequence[tuple[float, float]],
        config: FastConfig,
        device: torch.device,
    ) -> None:
        self.config = config
        most = max(len(task.rows) for task in tasks)
        rows = torch.zeros(len(tasks), most, dtype=torch.int32)
        below = torch.ones(len(tasks), most)  # cumulative shares
        targets = torch.zeros(len(tasks), most)
        pools = [task.negatives if task.negatives is not None else [] for task in tasks]
        negatives = torch.zeros(len(tasks), max(1, *map(len, pools)), dtype=torch.int32)
        for at, (task, (offset, scale)) in enumerate(zip(tasks, scales, strict=True)):
            n = len(task.rows)
            weights = task.weights
            if weights is None:
                weights = balanced_weights(task.values, RankerTrainConfig.balance)
            rows[at, :n] = task.rows
            below[at, :n] = (weights.double().cumsum(0) / weights.double().sum()).float()
            targets[at, :n] = (task.values.float() - offset) / scale
            if len(pools[at]):
                negatives[at, : len(pools[at])] = torch.as_tensor(pools[at])
        shares = torch.tensor([task.weight * len(task.rows) ** 0.5 for task in tasks]).double()
        self.last = torch.tensor([len(task.rows) - 1 for task in tasks]).to(device)
        self.rows, self.below, self.targets, self.negatives = (
            table.to(device) for table in (rows, below, targets, negatives)
        )
        self.shares = (shares.cumsum(0) / shares.sum()).float().to(device)
        self.zeros = torch.tensor([-o / s for o, s in scales]).to(device)
        self.n_negatives = torch.tensor([len(pool) for pool in pools]).to(device)
        counts = torch.tensor([task.counts_things for task in tasks])
        self.hidden = (config.hide_words * counts.float()).to(device)
        self._read(texts, tasks, device)

    def _read(
        self, known: Mapping[str, Tensor], tasks: Sequence[RankingTask], device: torch.device
    ) -> None:
        wordings = [(task.instruction, *task.paraphrases) for task in tasks]
        texts = [known[wording].float() for own in wordings for wording in own]
        longest = max(len(known[NO_THING]), *map(len, texts))
        words = torch.zeros(len(texts), longest, texts[0].shape[-1])
        read = torch.zeros(len(texts), longest, dtype=torch.bool)
        for at, text in enumerate(texts):
            words[at, : len(text)], read[at, : len(text)] = text, True
        self.words, self.read = words.to(device), read.to(device)
        self.ends = torch.stack([text[-1] for text in texts]).to(device)
        numbers = torch.tensor([len(own) for own in wordings])
        self.n_wordings = numbers.to(device)
        self.first_wording = (numbers.cumsum(0) - numbers).to(device)

    def draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows of the pictures (K, B), their targets (K, B), wordings (K,), and which of them
        hide their words (K,)."""
        config, device = self.config, self.shares.device
        K, B = config.n_instructions, config.batch_size
        task = torch.searchsorted(self.shares, torch.rand(K, device=device))
        task = task.clamp(max=len(self.shares) - 1)
        column = torch.searchsorted(self.below[task], torch.rand(K, B, device=device))
        column = torch.minimum(column, self.last[task, None])
        rows, targets = self.rows[task[:, None], column], self.targets[task[:, None], column]
        n = round(B * config.negatives)
        pool = self.n_negatives[task, None]  # (K, 1)
        pick = (torch.rand(K, n, device=device) * pool).long()
        pick = torch.minimum(pick, (pool - 1).clamp_min(0))
        has = pool > 0
        rows = torch.cat(
            [rows[:, n:], torch.where(has, self.negatives[task[:, None], pick], rows[:, :n])], dim=1
        )
        zero = self.zeros[task, None]
        targets = torch.cat([targets[:, n:], torch.where(has, zero, targets[:, :n])], dim=1)
        which = (torch.rand(K, device=device) * self.n_wordings[task]).long()
        wording = self.first_wording[task] + torch.minimum(which, self.n_wordings[task] - 1)
        hide = torch.rand(K, device=device) < self.hidden[task]
        return rows.long(), targets, wording, hide


def scores_and_pairs(
    adapter: RankingAdapter,
    images: Tensor,
    words: Tensor,
    read: Tensor,
    ends: Tensor,
    hide: Tensor,
) -> tuple[Tensor, Tensor]:
    """The adapter on K instructions at once.

    Args:
        images: (K, B, V, r).
        words: tokens of the instructions, (K, T, d), of which those not in `read` (K, T) are
            passed over; `ends` (K, d) are their last.
        hide: (K,) whose words are hidden (see `RankingAdapter.forward`).

    Returns:
        Scores (K, B) and pair logits (K, B, B).
    """
    K, B = images.shape[:2]
    seen = images.flatten(0, 1)  # (K·B, V, r)
    x, text = adapter.image_projection(seen), adapter.text_projection(words)
    if adapter.config.concepts:
        x = x + adapter.evidence(seen, ends.repeat_interleave(B, dim=0)[:, None])
        stand_in = adapter.text_projection(adapter.evidence.hidden_words)  # (t, D)
        n, missing = len(stand_in), text.shape[1] - len(stand_in)
        stand_in = F.pad(stand_in, (0, 0, 0, missing))
        text = torch.where(hide[:, None, None], stand_in, text)
        known = torch.arange(n + missing, device=read.device) < n
        read = torch.where(hide[:, None], known, read)
    learned = adapter.learnable_text_tokens.T.expand(K, -1, adapter.config.dim)
    text = torch.cat([learned, text], dim=1).repeat_interleave(B, dim=0)  # (K·B, n + T, D)
    read = F.pad(read, (learned.shape[1], 0), value=True).repeat_interleave(B, dim=0)
    fusion = adapter.crossmodal_block
    for own, cross in fusion.blocks():
        x = own(x)
        q, k, v = fusion.query_key_value(cross, x, text)
        mask = read[:, None, None].expand(-1, 1, x.shape[1], -1)
        x = fusion.add_read(cross, x, F.scaled_dot_product_attention(q, k, v, attn_mask=mask))
    encoded = adapter.post_fuse_block(fusion.ln_final(x) @ fusion.projection)
    scores = adapter.regressor(adapter.reg_ln(encoded).sum(dim=1)).unflatten(0, (K, B))
    summary = adapter.reg_token_pooler.summarise(adapter.reg_tokens, encoded)
    differences = _differences(adapter, PairSummary(*(t.unflatten(0, (K, B)) for t in summary)))
    return scores, adapter.pair_regressor(differences)


def _differences(adapter: RankingAdapter, summary: PairSummary) -> Tensor:
    """`RankAwareAttention.differences` of K groups at once: (K, B, B, D)."""
    pooler = adapter.reg_token_pooler
    mass, attended = summary.log_mass, summary.attended  # (K, B, H, Q), (K, B, H, Q, C)
    share = torch.sigmoid(mass[:, :, None] - mass[:, None])  # (K, B, B, H, Q)
    found_i = share.permute(0, 1, 3, 2, 4) @ attended  # (K, i, H, j, C)
    found_j = (1 - share).permute(0, 2, 3, 1, 4) @ attended  # (K, j, H, i, C)
    difference = found_i.permute(0, 1, 3, 2, 4) - found_j.permute(0, 3, 1, 2, 4)  # (K, i, j, H, C)
    weight, bias = pooler.out_proj.weight, pooler.out_proj.bias
    return F.linear(difference.flatten(3), weight) + mass.shape[-1] * bias


def group_loss(
    scores: Tensor, pairs: Tensor, targets: Tensor, *, regression_weight: float
) -> Tensor:
    """`losses.ranking_loss` without ties, the mean over K instructions.

    Shape: (K, B), (K, B, B) and (K, B) -> ().
    """
    difference = targets[:, :, None] - targets[:, None]
    above, decided = (difference > 0).float(), (difference != 0).float()
    each = F.binary_cross_entropy_with_logits(pairs, above, reduction="none") * decided
    rank = each.sum(dim=(1, 2)) / decided.sum(dim=(1, 2)).clamp_min(1)
    regression = F.smooth_l1_loss(scores, targets, reduction="none").mean(dim=1).log1p()
    return (rank + regression_weight * regression).mean()


@dataclass(frozen=True)
class FastEvent:
    """A training under way: `ranker` makes one of the averaged weights as they are now."""

    step: int
    steps: int
    loss: float  # mean since the last event
    seconds: float
    ranker: Callable[[], Ranker]


def train_fast(
    backbone: Backbone,
    tokens: Tensor,
    tasks: Sequence[RankingTask],
    start: Ranker,
    config: FastConfig,
    *,
    texts: Mapping[str, Tensor] | None = None,
    seconds: float = math.inf,
    every: float = 5.0,
    title: str = "",
) -> Iterator[FastEvent]:
    """Train from `start`, an event every so many seconds and one at the end.

    Args:
        tokens: (N, V, r) in half precision, on the device to train on.
        texts: of `read_wordings`, where several trainings share them.
        seconds: with fewer than `config.steps` need, as many steps as fit, measured on the first.
        every: seconds between two events.

    Raises:
        RuntimeError: the loss stopped being a finite number.
    """
    device = tokens.device
    torch.manual_seed(config.seed)
    adapter = RankingAdapter.from_state(start.config, start.state).to(device).train()
    scales = value_scales(tasks)
    batches = Batches(texts or read_wordings(backbone, tasks), tasks, scales, config, device)
    step = _Step(adapter, tokens, batches, config)
    began = time.perf_counter()
    learned = tuple(
        LearnedInstruction(
            task.instruction,
            *scale,
            lowest=task.values.min().item(),
            highest=task.values.max().item(),
            n_pictures=len(task.rows),
        )
        for task, scale in zip(tasks, scales, strict=True)
    )
    ran_with = RankerTrainConfig(
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        hide_words=config.hide_words,
        seed=config.seed,
    )

    def ranker() -> Ranker:
        state = {name: t.detach().cpu().clone() for name, t in adapter.state_dict().items()}
        averaged = zip(step.names, step.average, strict=True)
        state |= {name: t.detach().cpu().clone() for name, t in averaged}
        return Ranker(
            start.config, state, backbone.identity, learned, ran_with, title=title or start.title
        )

    steps = config.steps
    if seconds < math.inf:
        trial = 0
        while trial < min(100, steps) and time.perf_counter() - began < seconds / 10:
            step(0)
            trial += 1
        step.loss()
        each = (time.perf_counter() - began) / trial
        step.forget()
        steps = max(1, min(steps, int((seconds - (time.perf_counter() - began)) / each)))
    told = time.perf_counter()
    for number in range(1, steps + 1):
        step(config.learning_rate * schedule(number, steps, config.warmup))
        if number % 100 == 0 or number == steps:  # looking waits for the GPU
            step.wait()
            if number == steps or time.perf_counter() - told >= every:
                told = time.perf_counter()
                loss = step.loss()
                if not math.isfinite(loss):
                    raise RuntimeError(f"training ran away before step {number} of {steps}")
                yield FastEvent(number, steps, loss, told - began, ranker)


def schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the learning rate at a step counted from 1: a ramp, then a cosine to zero."""
    ramp = max(1, round(warmup * steps))
    if step <= ramp:
        return step / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp)))


def value_scales(tasks: Sequence[RankingTask]) -> list[tuple[float, float]]:
    """Mean and spread of each task's values, over all tasks that share the scale."""
    groups: dict[str, list[Tensor]] = {}
    names = [task.scale_of or f"\0{task.instruction}" for task in tasks]
    for name, task in zip(names, tasks, strict=True):
        groups.setdefault(name, []).append(task.values.double())
    known = {}
    for name, values in groups.items():
        every = torch.cat(values)
        mean, spread = every.mean().item(), every.std(correction=0).item()
        known[name] = mean, spread or max(abs(mean), 1.0)
    return [known[name] for name in names]


class _Step:
    """One step; on CUDA as a captured graph, and eagerly where capturing fails."""

    def __init__(
        self, adapter: RankingAdapter, tokens: Tensor, batches: Batches, config: FastConfig
    ) -> None:
        self.adapter, self.tokens, self.batches, self.config = adapter, tokens, batches, config
        device = tokens.device
        self.names = [name for name, _ in adapter.named_parameters()]
        self.parameters = [p for _, p in adapter.named_parameters()]
        free = {"learnable_text_tokens", "reg_tokens"}
        decayed = [p for n, p in adapter.named_parameters() if p.dim() >= 2 and n not in free]
        others = [p for n, p in adapter.named_parameters() if p.dim() < 2 or n in free]
        on_cuda = device.type == "cuda"
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": config.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=torch.zeros((), device=device) if on_cuda else 0.0,
            capturable=on_cuda,
        )
        self.before = [p.detach().clone() for p in self.parameters]
        self.average = [p.detach().clone() for p in self.parameters]
        self.total, self.number = torch.zeros((), device=device), 0
        self.made = torch.zeros((), device=device)  # steps since the start
        self.graph = None
        if on_cuda:
            torch.set_float32_matmul_precision("high")
            try:
                self._capture()
            except RuntimeError as error:
                print(f"no graph, steps run eagerly: {error}", flush=True)
                self.graph = None
                torch.cuda.synchronize()
                self.optimizer.zero_grad(set_to_none=True)
                self.forget()

    def __call__(self, rate: float) -> None:
        self.number += 1
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        if self.graph is not None:
            self.graph.replay()
        else:
            self._step()

    def _step(self) -> None:
        rows, targets, wording, hide = self.batches.draw()
        images = self.tokens[rows.flatten()].float().unflatten(0, rows.shape)  # (K, B, V, r)
        words, read, ends = (
            table[wording] for table in (self.batches.words, self.batches.read, self.batches.ends)
        )
        scores, pairs = scores_and_pairs(self.adapter, images, words, read, ends, hide)
        loss = group_loss(scores, pairs, targets, regression_weight=self.config.regression_weight)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip)
        self.optimizer.step()
        with torch.no_grad():
            self.made += 1
            decay = ((1 + self.made) / (10 + self.made)).clamp(max=self.config.average)
            for average, now in zip(self.average, self.parameters, strict=True):
                average.lerp_(now, 1 - decay)
            self.total += loss.detach()

    def _capture(self) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        self.graph = graph
        self.forget()

    @torch.no_grad()
    def forget(self) -> None:
        """Put everything back to the start."""
        for tables in (self.parameters, self.average):
            for table, before in zip(tables, self.before, strict=True):
                table.copy_(before)
        for state in self.optimizer.state.values():
            for value in state.values():
                if isinstance(value, Tensor):
                    value.zero_()
        self.total.zero_()
        self.made.zero_()
        self.number = 0

    def wait(self) -> None:
        if self.total.device.type == "cuda":
            torch.cuda.synchronize()

    def loss(self) -> float:
        """Mean loss since the last call; waits for the GPU."""
        mean = self.total.item() / max(1, self.number)
        self.total.zero_()
        self.number = 0
        return mean
