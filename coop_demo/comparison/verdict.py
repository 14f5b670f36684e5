"""Who won, and could it be chance: the one judgement of two methods on the same held-out images.

Figures and kinds only; `comparison.strings` puts them into sentences.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

from coop_demo.comparison.statistics import PairedTest, holm, mcnemar

SIGNIFICANT = 0.05  # below this p value a difference is called real


class Outcome(StrEnum):
    """How the first of two methods stands to the second."""

    BETTER = "better"
    AHEAD = "ahead"  # more right answers, and chance explains them
    EQUAL = "equal"  # as many right answers, on different images
    SAME = "same"  # right on the very same images
    BEHIND = "behind"
    WORSE = "worse"


def outcome(test: PairedTest, *, p_value: float | None = None) -> Outcome:
    """What McNemar's test says of its first method; `p_value` is a corrected one."""
    p = test.p_value if p_value is None else p_value
    difference = test.only_first - test.only_second
    if test.only_first + test.only_second == 0:
        return Outcome.SAME
    if difference == 0:
        return Outcome.EQUAL
    if difference > 0:
        return Outcome.BETTER if p < SIGNIFICANT else Outcome.AHEAD
    return Outcome.WORSE if p < SIGNIFICANT else Outcome.BEHIND


@dataclass(frozen=True)
class Verdict:
    """The learned prompt (first) against a hand-crafted one, over the same held-out images."""

    n_test: int
    learned_right: int
    words_right: int
    test: PairedTest
    template: str

    @property
    def outcome(self) -> Outcome:
        return outcome(self.test)


def compare(learned: Tensor, words: Tensor, labels: Tensor, template: str) -> Verdict:
    """Shape: learned (K,) and words (K,) predicted class numbers, labels (K,) true ones."""
    a, b = learned == labels, words == labels
    return Verdict(
        n_test=len(labels),
        learned_right=int(a.sum()),
        words_right=int(b.sum()),
        test=mcnemar(a, b),
        template=template,
    )


@dataclass(frozen=True)
class RivalVerdict:
    """A method against the best of several rivals on the images that chose that rival.

    Being the best of several on these very images flatters the rival, so its p value is corrected
    for all of them (Holm 1979).
    """

    rival: str  # its key
    test: PairedTest
    p_value: float  # corrected
    n_rivals: int

    @property
    def outcome(self) -> Outcome:
        return outcome(self.test, p_value=self.p_value)


def against_best(right: Tensor, rivals: Mapping[str, Tensor], *, most_right: str) -> RivalVerdict:
    """Shape: right (K,) and each rival's (K,): whether an image's class was named."""
    tests = {key: mcnemar(right, other) for key, other in rivals.items()}
    corrected = holm({key: test.p_value for key, test in tests.items()})
    return RivalVerdict(most_right, tests[most_right], corrected[most_right], len(rivals))
