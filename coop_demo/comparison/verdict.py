"""Who won, said as it is: learned prompt against hand-crafted words on the same pictures."""

from dataclasses import dataclass

from torch import Tensor

from coop_demo.comparison.statistics import mcnemar

LUCK = 0.05  # below this chance the difference is called real


@dataclass(frozen=True)
class Verdict:
    """Counts over the same held-out pictures, and McNemar's exact chance of such a difference."""

    n_test: int
    learned_right: int
    words_right: int
    n_disagree: int  # pictures that only one of the two gets right
    p_value: float
    template: str

    def sentence(self) -> str:
        """The result in plain words, whoever wins."""
        pictures = "held-out picture" if self.n_test == 1 else "held-out pictures"
        result = (
            f"The learned prompt is right on {self.learned_right} of {self.n_test} {pictures}, "
            f"the words “{self.template}” on {self.words_right}."
        )
        ahead = self.learned_right - self.words_right
        if self.n_disagree == 0:
            return f"{result} They are right on the very same pictures."
        if ahead == 0:
            return f"{result} Neither is better."
        luck = f"p = {self.p_value:.2g}" if self.p_value >= 0.001 else "p < 0.001"
        if self.p_value < LUCK and ahead > 0:
            return f"{result} It beats the words, and luck does not explain it ({luck})."
        if self.p_value < LUCK:
            return f"{result} It loses to the words, and luck does not explain it ({luck})."
        if ahead > 0:
            return (
                f"{result} It is ahead, but the difference is too small to mean anything "
                f"({luck}): more held-out pictures would tell."
            )
        return (
            f"{result} It is behind the words; the difference is too small to mean anything "
            f"({luck})."
        )


def compare(learned: Tensor, words: Tensor, labels: Tensor, template: str) -> Verdict:
    """Shape: learned (K,) and words (K,) predicted class numbers, labels (K,) true ones."""
    a, b = learned == labels, words == labels
    test = mcnemar(a, b)
    return Verdict(
        n_test=len(labels),
        learned_right=int(a.sum()),
        words_right=int(b.sum()),
        n_disagree=test.only_first + test.only_second,
        p_value=test.p_value,
        template=template,
    )
