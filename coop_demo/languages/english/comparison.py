"""The verdicts of `comparison.verdict` as sentences, for page, report and command line alike."""

from collections.abc import Mapping

from coop_demo.comparison.calibration import Calibration
from coop_demo.comparison.compare import Comparison
from coop_demo.comparison.methods import COMPARISON_METHODS
from coop_demo.comparison.statistics import PairedTest
from coop_demo.comparison.verdict import Outcome, RivalVerdict, Verdict, outcome


def p_value(value: float) -> str:
    return f"p = {value:.2g}" if value >= 0.001 else "p < 0.001"


def verdict_sentence(verdict: Verdict) -> str:
    """The learned prompt against the words, whoever wins."""
    pictures = "held-out picture" if verdict.n_test == 1 else "held-out pictures"
    result = (
        f"The learned prompt is right on {verdict.learned_right} of {verdict.n_test} {pictures}, "
        f"the words “{verdict.template}” on {verdict.words_right}."
    )
    p = p_value(verdict.test.p_value)
    said = {
        Outcome.SAME: "They are right on exactly the same pictures.",
        Outcome.EQUAL: "Neither is better.",
        Outcome.BETTER: f"It beats the words, and that is unlikely to be chance ({p}).",
        Outcome.WORSE: f"It loses to the words, and that is unlikely to be chance ({p}).",
        Outcome.AHEAD: (
            f"It is ahead, but a difference this small could be chance ({p}). More held-out "
            "pictures would settle it."
        ),
        Outcome.BEHIND: f"It is behind, but a difference this small could be chance ({p}).",
    }[verdict.outcome]
    return f"{result} {said}"


def paired_sentence(
    test: PairedTest, first: str, second: str, *, rival: RivalVerdict | None = None
) -> str:
    """What McNemar's test says of two methods, with the p value a rival's choice corrects."""
    b, c = test.only_first, test.only_second
    p = test.p_value if rival is None else rival.p_value
    corrected = f", corrected for {rival.n_rivals} rivals" if rival and rival.n_rivals > 1 else ""
    counted = (
        f"{first} alone is right on {b}, {second} alone on {c} (McNemar {p_value(p)}{corrected})"
    )
    found = outcome(test, p_value=p)
    if found is Outcome.SAME:
        return f"{first} and {second} are right on exactly the same pictures."
    if found is Outcome.EQUAL:
        return f"Neither is better: {counted}."
    better = first if b > c else second
    if found in (Outcome.BETTER, Outcome.WORSE):
        return f"{better} is better, and that is unlikely to be chance: {counted}."
    return f"{better} looks better, but it could be chance: {counted}."


def at_bound_sentences(calibrations: Mapping[str, Calibration]) -> list[str]:
    """A sentence for each method (by title) whose temperature ran into the search's bounds."""
    return [
        f"{title}: the temperature that fits best lies beyond {found.temperature:.3g}, where the "
        "search ends"
        + (
            ", since it is right on every one of these pictures."
            if found.before.accuracy == 1
            else ". Its confidence tells you almost nothing here."
        )
        for title, found in calibrations.items()
        if found.at_bound
    ]


def comparison_sentence(comparison: Comparison) -> str:
    """Is the learned prompt better than the hand-crafted one and the best other method?

    Empty where one of the first two was not compared.
    """
    learned = comparison.best_learned
    if learned is None:
        return ""
    title = COMPARISON_METHODS[learned].title
    words = comparison.paired(learned)
    said = paired_sentence(words, title, COMPARISON_METHODS["hand-crafted"].title)
    found = comparison.against_rivals(learned)
    if found is None:
        return said
    rival = comparison.result(found.rival).title
    return (
        f"{said} Against the best other method: "
        f"{paired_sentence(found.test, title, rival, rival=found)}"
    )
