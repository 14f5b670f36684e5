"""Whether a method's confidence can be believed: reliability, calibration error, temperature."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.errors import UserError


@dataclass(frozen=True)
class ReliabilityBin:
    """Pictures whose confidence lies in (low, high]; accuracy and confidence None if none does."""

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy (Guo et al., ICML 2017, arXiv 1706.04599)."""

    bins: tuple[ReliabilityBin, ...]
    ece: float | None  # expected calibration error, a fraction; None for no pictures
    nll: float | None  # mean negative log-likelihood, nats
    confidence: float | None  # mean
    accuracy: float | None
    temperature: float
    n: int


def reliability(
    logits: Tensor, labels: Tensor, *, temperature: float = 1.0, n_bins: int = 10
) -> Reliability:
    """Reliability diagram and expected calibration error of logits / temperature.

    Raises:
        UserError: the temperature is not a positive number.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise UserError(f"The temperature is {temperature:g}; choose a number above 0.")
    edges = np.linspace(0, 1, n_bins + 1)
    K = len(labels)
    if K == 0:
        empty = [
            ReliabilityBin(float(lo), float(hi), 0, None, None)
            for lo, hi in itertools.pairwise(edges)
        ]
        return Reliability(tuple(empty), None, None, None, None, temperature, 0)
    scaled = logits.double() / temperature
    confidence, predicted = torch.softmax(scaled, dim=-1).max(dim=-1)
    right = (predicted == labels).numpy()
    sure = confidence.numpy()
    which = np.clip(np.ceil(sure * n_bins).astype(int) - 1, 0, n_bins - 1)
    bins, ece = [], 0.0
    for number in range(n_bins):
        inside = which == number
        n = int(inside.sum())
        mean, share = (
            (float(sure[inside].mean()), float(right[inside].mean())) if n else (None,) * 2
        )
        if mean is not None and share is not None:
            ece += n / K * abs(mean - share)
        bins.append(ReliabilityBin(float(edges[number]), float(edges[number + 1]), n, mean, share))
    return Reliability(
        bins=tuple(bins),
        ece=ece,
        nll=float(F.cross_entropy(scaled, labels)),
        confidence=float(sure.mean()),
        accuracy=float(right.mean()),
        temperature=temperature,
        n=K,
    )


MIN_TEMPERATURE, MAX_TEMPERATURE = (
    0.05,
    20.0,
)  # where all answers are right, or wrong, it has no end


def fit_temperature(logits: Tensor, labels: Tensor) -> float | None:
    """The temperature with the least negative log-likelihood; None for no pictures.

    The likelihood has one peak in the temperature (it is convex in 1 / T), so a golden-section
    search over log T finds it, inside [MIN_TEMPERATURE, MAX_TEMPERATURE].
    """
    if len(labels) == 0:
        return None
    logits = logits.double()

    def nll(log_t: float) -> float:
        return float(F.cross_entropy(logits / math.exp(log_t), labels))

    low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = nll(a), nll(b)
    while high - low > 1e-5:
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = nll(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = nll(b)
    return math.exp((low + high) / 2)


@dataclass(frozen=True)
class Calibration:
    """A temperature and what it is honestly worth.

    `before` and `after` are measured on all pictures; `after` with a temperature fitted to the
    very same ones, so it flatters. `honest_ece` fits on one half and measures on the other, both
    ways round; None for fewer than 4 pictures.
    """

    temperature: float
    before: Reliability
    after: Reliability
    honest_ece: float | None

    @property
    def at_bound(self) -> bool:
        """The search ended at its smallest or largest temperature: the best one lies beyond."""
        nearest = min(
            abs(math.log(self.temperature / bound)) for bound in (MIN_TEMPERATURE, MAX_TEMPERATURE)
        )
        return nearest < 1e-3


def calibrate(logits: Tensor, labels: Tensor, *, n_bins: int = 10, seed: int = 0) -> Calibration:
    """Fit a temperature on held-out pictures and say how far it helps on pictures it never saw.

    Raises:
        UserError: there are no pictures.
    """
    temperature = fit_temperature(logits, labels)
    if temperature is None:
        raise UserError(
            "Calibration needs held-out pictures and there are none. Add test pictures."
        )
    honest = None
    if len(labels) >= 4:
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        scaled = torch.empty_like(logits)
        for fitted, judged in (halves, halves[::-1]):
            half_temperature = fit_temperature(logits[fitted], labels[fitted])
            assert half_temperature is not None
            scaled[judged] = logits[judged] / half_temperature
        honest = reliability(scaled, labels, n_bins=n_bins).ece
    return Calibration(
        temperature=temperature,
        before=reliability(logits, labels, n_bins=n_bins),
        after=reliability(logits, labels, temperature=temperature, n_bins=n_bins),
        honest_ece=honest,
    )
