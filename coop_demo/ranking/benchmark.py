"""The pair branch both ways: attention once a pair (the authors' form) and once a picture.

Both compute the same loss and the same gradients from the same encoded tokens; only the time and
the memory differ. The literal form is run over a bounded number of pairs at a time, because all
256² pairs at once would need tens of gigabytes; its arithmetic is unchanged by that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter, pair_indices
from coop_demo.ranking.losses import pair_loss

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
