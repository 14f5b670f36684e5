"""Accuracy with Wilson's interval, and McNemar's paired test of two methods.

K held-out images. Predictions and labels are (K,) class numbers. What cannot be computed is None,
never NaN.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Score:
    """Right answers of n, with Wilson's interval; fractions are None where n is 0."""

    correct: int
    n: int
    accuracy: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.accuracy is None or self.low is None or self.high is None:
            return "not measured (no pictures)"
        return (
            f"{100 * self.accuracy:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f}, "
            f"{self.correct} of {self.n})"
        )


def wilson_interval(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Wilson's score interval of a share (Wilson 1927); None for no pictures."""
    if n == 0:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = correct / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # at 0 and n one end is 0 or 1 exactly; rounding must not put it outside or beside that
    low = 0.0 if correct == 0 else max(0.0, centre - half)
    high = 1.0 if correct == n else min(1.0, centre + half)
    return low, high


def score(predicted: Tensor, labels: Tensor) -> Score:
    """Accuracy of predictions with its 95 % interval."""
    n, correct = len(labels), int((predicted == labels).sum())
    interval = wilson_interval(correct, n)
    if interval is None:
        return Score(0, 0, None, None, None)
    return Score(correct, n, correct / n, *interval)


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test of two methods on the same pictures."""

    only_first: int  # pictures that only the first method gets right
    only_second: int
    p_value: float  # exact, two-sided; 1 where they never disagree
    mid_p: float  # less conservative (Fagerland, Lydersen & Laake 2013)


def mcnemar(first_right: Tensor, second_right: Tensor) -> PairedTest:
    """Exact binomial test on the pictures that one method gets right and the other wrong.

    Shape: two (K,) booleans over the same pictures.
    """
    if first_right.shape != second_right.shape:
        raise ValueError(f"not paired: {first_right.shape} and {second_right.shape}")
    b = int((first_right & ~second_right).sum())
    c = int((~first_right & second_right).sum())
    n = b + c
    if n == 0:
        return PairedTest(0, 0, 1.0, 1.0)
    k = np.arange(min(b, c) + 1)
    log_choose = math.lgamma(n + 1) - np.array(
        [math.lgamma(i + 1) + math.lgamma(n - i + 1) for i in k]
    )
    mass = np.exp(log_choose - n * math.log(2))  # P(X = k) of a fair coin
    tail = float(mass.sum())
    return PairedTest(b, c, min(1.0, 2 * tail), min(1.0, 2 * tail - float(mass[-1])))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for several tests at once (Holm 1979), under the same keys.

    The smallest of m is multiplied by m, the next by m − 1, …; none may fall below the one before.
    """
    corrected: dict[str, float] = {}
    largest = 0.0
    for done, key in enumerate(sorted(p_values, key=lambda one: p_values[one])):
        largest = max(largest, min(1.0, (len(p_values) - done) * p_values[key]))
        corrected[key] = largest
    return corrected
