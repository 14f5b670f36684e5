"""What ranking costs, and what labels bring.

- The pair branch both ways: attention once a pair (the authors' form) and once a picture. Both
  compute the same loss and the same gradients from the same encoded tokens; only the time and the
  memory differ. The literal form is run over a bounded number of pairs at a time, because all
  256² pairs at once would need tens of gigabytes; its arithmetic is unchanged by that.
- Ordering a pile: seconds with and without encoded pictures at hand, and memory.
- Learning curve: SRCC over the number of labelled pictures, from the shipped ranker and from
  nothing, beside ridge regression on the same pictures.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import FeatureCache, encode_all
from coop_demo.data.dataset import Picture
from coop_demo.data.images import list_pictures, load_picture
from coop_demo.errors import RankingError
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter, pair_indices
from coop_demo.ranking.baselines import fit_ridge
from coop_demo.ranking.labels import RankingTable, check_apart
from coop_demo.ranking.losses import pair_loss
from coop_demo.ranking.metrics import srcc
from coop_demo.ranking.ranker import Ranker, RankerTrainConfig, RankingTask
from coop_demo.ranking.training import task_metrics, train_ranker

LITERAL_PAIRS_A_CHUNK = 1024


@dataclass(frozen=True)
class PairBenchmark:
    """One size, both forms: loss and gradients of the pair branch, from encoded tokens."""

    n_pictures: int
    n_tokens: int  # a picture
    dim: int
    n_queries: int
    factorised_seconds: float  # forward and backward, best of the repeats
    literal_seconds: float
    speedup: float
    loss: float
    loss_difference: float  # absolute
    gradient_difference: float  # largest absolute difference over the largest absolute gradient

    def to_mapping(self) -> dict[str, float | int]:
        return asdict(self)


def benchmark_pairs(
    sizes: Sequence[int] = (16, 64, 256),
    *,
    config: AdapterConfig | None = None,
    n_tokens: int = 81,
    repeats: int = 3,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Iterator[PairBenchmark]:
    """Time both forms at each number of pictures; one result as each size is done.

    Args:
        sizes: numbers of pictures; the pairs are their squares.
        config: the built-in model's setting when left out.
        n_tokens: V, tokens a picture (81 for the built-in model, 100 in the paper).
        repeats: runs of the factorised form, the best one counts; the literal form is repeated
            only where a run takes less than two seconds.
    """
    config = config or AdapterConfig.mini()
    for n in sizes:
        generator = torch.Generator().manual_seed(seed)
        adapter = RankingAdapter.seeded(config, seed).to(device).eval()
        tokens = torch.randn(n, n_tokens, config.dim, generator=generator).to(device)
        values = torch.randint(0, 20, (n,), generator=generator).float().to(device)

        fast_s, fast_loss, fast = _timed(adapter, tokens, values, _factorised, repeats)
        slow_s, slow_loss, slow = _timed(adapter, tokens, values, _literal, repeats, patience=2.0)
        scale = max(float(g.abs().max()) for g in slow)
        apart = max(float((f - s).abs().max()) for f, s in zip(fast, slow, strict=True))
        yield PairBenchmark(
            n_pictures=n,
            n_tokens=n_tokens,
            dim=config.dim,
            n_queries=config.n_relational_tokens,
            factorised_seconds=fast_s,
            literal_seconds=slow_s,
            speedup=slow_s / fast_s,
            loss=fast_loss,
            loss_difference=abs(fast_loss - slow_loss),
            gradient_difference=apart / scale,
        )


def _factorised(adapter: RankingAdapter, tokens: Tensor, values: Tensor) -> float:
    summary = adapter.reg_token_pooler.summarise(adapter.reg_tokens, tokens)
    difference = adapter.reg_token_pooler.differences(summary, summary)
    loss = pair_loss(adapter.pair_regressor(difference), values)
    loss.backward()
    return loss.item()


def _literal(adapter: RankingAdapter, tokens: Tensor, values: Tensor) -> float:
    """The same loss and gradients, pairs in chunks: keys once, then each chunk's share of both."""
    n = len(tokens)
    q, k = adapter.reg_token_pooler.query_and_key(adapter.reg_tokens, tokens)
    q_leaf, k_leaf = q.detach().requires_grad_(), k.detach().requires_grad_()
    total = 0.0
    i, j = pair_indices(n, tokens.device)
    above = (values[i] > values[j]).to(tokens)
    for part in torch.arange(n * n, device=tokens.device).split(LITERAL_PAIRS_A_CHUNK):
        difference = adapter.reg_token_pooler.differences_literal(q_leaf, k_leaf, i[part], j[part])
        logits = adapter.pair_regressor(difference)
        loss = F.binary_cross_entropy_with_logits(logits, above[part], reduction="sum") / (n * n)
        loss.backward()
        total += loss.item()
    torch.autograd.backward([q, k], [q_leaf.grad, k_leaf.grad])
    return total


def _timed(
    adapter: RankingAdapter,
    tokens: Tensor,
    values: Tensor,
    step: Callable[[RankingAdapter, Tensor, Tensor], float],
    repeats: int,
    *,
    patience: float = float("inf"),
) -> tuple[float, float, list[Tensor]]:
    """Best seconds, loss and the gradients of queries, tokens and all of the pair branch."""
    best, loss = float("inf"), 0.0
    gradients: list[Tensor] = []
    for _ in range(repeats):
        adapter.zero_grad(set_to_none=True)
        leaf = tokens.clone().requires_grad_()
        start = _now(tokens.device)
        loss = step(adapter, leaf, values)
        best = min(best, _now(tokens.device) - start)
        gradients = [leaf.grad] if leaf.grad is not None else []
        gradients += [p.grad.clone() for p in adapter.parameters() if p.grad is not None]
        if best > patience:
            break
    return best, loss, gradients


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


# --- ordering a pile ----------------------------------------------------------------------------


@dataclass(frozen=True)
class PileTiming:
    """Ordering one pile of pictures by one instruction, on disk before, in order after."""

    n_pictures: int
    encoding_seconds: float  # decoding and the image tower, nothing cached
    cached_seconds: float  # the same call again: all pictures found in the cache
    scoring_seconds: float  # instruction and adapter
    peak_megabytes: float  # of the process, everything in it: the model, libraries, all pictures

    def to_mapping(self) -> dict[str, float | int]:
        return asdict(self)


def benchmark_piles(
    backbone: Backbone,
    ranker: Ranker,
    folder: str | Path,
    *,
    sizes: Sequence[int] = (50, 200, 800),
    instruction: str = "Rank the brightness.",
) -> Iterator[PileTiming]:
    """Time whole piles made of the pictures below a folder; one result as each is done.

    Where the folder has too few, they are written again with another crop, so that no two files
    of a pile are the same picture.

    Raises:
        RankingError: no picture there, or a ranker of another backbone.
    """
    ranker.check_backbone(backbone)
    sources = list_pictures(Path(folder))
    if not sources:
        raise RankingError(f'There is no picture in "{folder}". Name a folder with pictures.')
    backbone.text_tokens([instruction])  # what only the first call pays
    adapter = ranker.adapter(backbone.device)
    form = ranker.config.form
    for n in sizes:
        with tempfile.TemporaryDirectory() as written:
            pile = [_variant(sources[i % len(sources)], i, Path(written)) for i in range(n)]
            cache = FeatureCache()
            start = time.perf_counter()
            encoded = encode_all(backbone, pile, tokens=True, form=form, cache=cache)
            encoding = time.perf_counter() - start
            start = time.perf_counter()
            encoded = encode_all(backbone, pile, tokens=True, form=form, cache=cache)
            cached = time.perf_counter() - start
            start = _now(backbone.device)
            with torch.no_grad():
                words = backbone.text_tokens([instruction])
                adapter.scores(encoded.features.to(backbone.device), words).cpu()
            scoring = _now(backbone.device) - start
        yield PileTiming(len(encoded.kept), encoding, cached, scoring, peak_megabytes())


def _variant(source: Path, number: int, folder: Path) -> Picture:
    """The picture without `number` pixels at its edge, as a file of its own."""
    image = load_picture(source)
    edge = number % max(1, min(image.size) // 4)
    path = folder / f"{number}.jpg"
    image.crop((edge, edge, image.width - edge // 2, image.height)).save(path, quality=90)
    return Picture(path.name, path)


def peak_megabytes() -> float:
    """The most memory this process has held so far, 10⁶ bytes."""
    if sys.platform == "win32":
        return float("nan")
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


# --- learning curve -----------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelsPoint:
    """SRCC on the same held-out pictures after learning from some labelled ones."""

    n_labelled: int
    seed: int
    before: float | None  # the start ranker, without learning
    taught: float | None  # from the start ranker
    from_nothing: float | None
    ridge: float | None
    seconds: float  # teaching from the start ranker

    def to_mapping(self) -> dict[str, float | int | None]:
        return asdict(self)


def learning_curve(
    backbone: Backbone,
    start: Ranker,
    learn: RankingTable,
    judge: RankingTable,
    instruction: str,
    *,
    sizes: Sequence[int] = (10, 20, 30, 60, 120),
    seeds: Sequence[int] = (1, 2, 3),
    fresh_seeds: Sequence[int] | None = None,
) -> Iterator[LabelsPoint]:
    """Teach the order of one instruction with more and more labelled pictures.

    Args:
        learn, judge: pictures with values under one instruction each; no picture in both.
        instruction: how it is asked for; a wording of one's own, or one the ranker knows.
        sizes: numbers of labelled pictures, drawn anew for every seed; those below 3 or beyond
            what `learn` has are passed over.
        fresh_seeds: those with which a ranker is trained from nothing too, which takes several
            times as long; all when None.

    Raises:
        RankingError: too few pictures, equal values, a picture in both tables, a ranker of another
            backbone.
    """
    start.check_backbone(backbone)
    check_apart(learn, judge)
    form = start.config.form
    known = encode_all(backbone, [row.picture for row in learn.rows], tokens=True, form=form)
    asked = encode_all(backbone, [row.picture for row in judge.rows], tokens=True, form=form)
    values = torch.tensor([learn.rows[i].value for i in known.kept])
    truth = torch.tensor([judge.rows[i].value for i in asked.kept])
    judged = RankingTask(instruction, rows=torch.arange(len(truth)), values=truth)
    asked_tokens = asked.features.to(backbone.device)

    def figure(ranker: Ranker) -> float | None:
        return task_metrics(
            ranker.adapter(backbone.device, instruction), backbone, asked_tokens, judged
        ).srcc

    before = figure(start)
    pooled, asked_pooled = (one.features.float().mean(dim=1) for one in (known, asked))
    for n in sizes:
        if not 3 <= n <= len(values):  # ridge regression takes three
            continue
        for seed in seeds:
            rows = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))[:n]
            if len(values[rows].unique()) < 2:
                continue  # nothing to learn from: all drawn values are equal
            task = RankingTask(instruction, rows=rows, values=values[rows])
            began = time.perf_counter()
            taught = _taught(
                backbone, known.features, task, start, RankerTrainConfig.teach(seed=seed)
            )
            seconds = time.perf_counter() - began
            fresh = None
            if fresh_seeds is None or seed in fresh_seeds:
                afresh = RankerTrainConfig.teach_afresh(seed=seed)
                fresh = figure(_taught(backbone, known.features, task, None, afresh))
            ridge = fit_ridge(pooled[rows], values[rows])
            yield LabelsPoint(
                n,
                seed,
                before,
                figure(taught),
                fresh,
                srcc(ridge.scores(asked_pooled).numpy(), truth.numpy()),
                seconds,
            )


def _taught(
    backbone: Backbone,
    tokens: Tensor,
    task: RankingTask,
    start: Ranker | None,
    config: RankerTrainConfig,
) -> Ranker:
    *_, last = train_ranker(backbone, tokens, [task], start=start, config=config, measurements=1)
    if last.ranker is None or last.status != "finished":
        raise RankingError(last.message)
    return last.ranker
