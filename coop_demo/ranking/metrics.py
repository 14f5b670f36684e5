"""How well an order agrees with known values: SRCC, PLCC, Kendall's τ-b and pair accuracy.

Every function takes two sequences of N numbers, scores and values, and returns a float, or None
where the figure is not defined: fewer than two pictures, all scores or all values equal, or a
number that is not finite. None is a fact to show ("not defined"), never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def mean_of_known(figures: Iterable[float | None]) -> float | None:
    """The mean of the figures that are defined; None when none is."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if known else None


def two_digits(figure: float | None) -> str:
    """A correlation or an accuracy to show; a dash where it is not defined."""
    return "–" if figure is None else f"{figure:.2f}"


@dataclass(frozen=True)
class RankingMetrics:
    """Agreement of scores with values over `n` pictures; None where a figure is not defined."""

    n: int
    srcc: float | None
    plcc: float | None
    kendall: float | None
    pair_accuracy: float | None

    def to_mapping(self) -> dict[str, float | int | None]:
        return asdict(self)


def ranking_metrics(scores: ArrayLike, values: ArrayLike) -> RankingMetrics:
    """All four figures of one order."""
    return RankingMetrics(
        n=len(np.atleast_1d(np.asarray(scores))),
        srcc=srcc(scores, values),
        plcc=plcc(scores, values),
        kendall=kendall_tau_b(scores, values),
        pair_accuracy=pair_accuracy(scores, values),
    )


def plcc(scores: ArrayLike, values: ArrayLike) -> float | None:
    """Pearson's linear correlation, in [−1, 1]."""
    pair = _usable(scores, values)
    return None if pair is None else _pearson(*pair)


def srcc(scores: ArrayLike, values: ArrayLike) -> float | None:
    """Spearman's rank correlation, in [−1, 1]; ties share the mean of their ranks."""
    pair = _usable(scores, values)
    return None if pair is None else _pearson(average_ranks(pair[0]), average_ranks(pair[1]))


def kendall_tau_b(scores: ArrayLike, values: ArrayLike) -> float | None:
    """Kendall's τ-b, in [−1, 1]: concordant minus discordant pairs, corrected for ties."""
    pair = _usable(scores, values)
    if pair is None:
        return None
    agreement = tied_scores = tied_values = 0
    for sign_s, sign_v in _pair_signs(*pair):
        agreement += int((sign_s * sign_v).sum())
        tied_scores += int((sign_s == 0).sum())
        tied_values += int((sign_v == 0).sum())
    n_pairs = len(pair[0]) * (len(pair[0]) - 1) // 2
    return float(agreement / np.sqrt(float(n_pairs - tied_scores) * (n_pairs - tied_values)))


def pair_accuracy(scores: ArrayLike, values: ArrayLike) -> float | None:
    """Share of pairs with different values whose scores have the same order, in [0, 1].

    Ties in the values and the diagonal are left out; two equal scores count one half, what a coin
    would earn. Equal scores throughout are therefore 0.5, not undefined.
    """
    pair = _finite(scores, values)
    if pair is None:
        return None
    right, decided = 0.0, 0
    for sign_s, sign_v in _pair_signs(*pair):
        different = sign_v != 0
        decided += int(different.sum())
        right += float((0.5 + 0.5 * sign_s * sign_v)[different].sum())
    return right / decided if decided else None


def contradictions(pair_logits: ArrayLike) -> NDArray[np.bool_]:
    """Where the pair branch contradicts itself: (N, N), symmetric, the diagonal False.

    True where [i, j] and [j, i] claim the same: both "above" or both "not above".
    """
    above = np.asarray(pair_logits, float) > 0
    same = above == above.T
    np.fill_diagonal(same, False)
    return same


def average_ranks(x: ArrayLike) -> Floats:
    """Ranks from 1, ties sharing their mean rank: (N,)."""
    _, inverse, counts = np.unique(np.asarray(x), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((2 * last - counts + 1) / 2)[inverse]


def bootstrap_interval(
    metric: Callable[[ArrayLike, ArrayLike], float | None],
    scores: Sequence[float] | Floats,
    values: Sequence[float] | Floats,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of a metric over pictures; None where it is not defined."""
    s, v = np.asarray(scores, float), np.asarray(values, float)
    if metric(s, v) is None:
        return None
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        pick = rng.integers(0, len(s), len(s))
        value = metric(s[pick], v[pick])
        if value is not None:  # a draw of one value only says nothing
            found.append(value)
    if not found:
        return None
    tail = (1 - level) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def _finite(scores: ArrayLike, values: ArrayLike) -> tuple[Floats, Floats] | None:
    """Both as (N,) floats, or None when there are fewer than two or one is not finite."""
    s = np.asarray(scores, float).reshape(-1)
    v = np.asarray(values, float).reshape(-1)
    if len(s) != len(v):
        raise ValueError(f"{len(s)} scores for {len(v)} values")
    if len(s) < 2 or not (np.isfinite(s).all() and np.isfinite(v).all()):
        return None
    return s, v


def _usable(scores: ArrayLike, values: ArrayLike) -> tuple[Floats, Floats] | None:
    """As `_finite`, and None as well when all scores or all values are equal."""
    pair = _finite(scores, values)
    if pair is None or any((x == x[0]).all() for x in pair):
        return None
    return pair


def _pearson(x: Floats, y: Floats) -> float | None:
    # Scaled first, so that numbers near the ends of the float range neither overflow nor vanish.
    x, y = (z / max(abs(z).max(), np.finfo(float).tiny) for z in (x, y))
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt((x @ x) * (y @ y))
    return float(np.clip(x @ y / spread, -1.0, 1.0)) if spread > 0 else None


def _pair_signs(s: Floats, v: Floats):
    """Signs of every unordered pair's two differences, one row at a time: O(N) memory."""
    for i in range(len(s) - 1):
        yield _sign(s[i], s[i + 1 :]), _sign(v[i], v[i + 1 :])


def _sign(one: float, others: Floats) -> Floats:
    """Compared, not subtracted: two numbers far apart must not overflow."""
    return (one > others).astype(float) - (one < others)
