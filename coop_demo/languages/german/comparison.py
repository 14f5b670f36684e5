"""Die Urteile von `comparison.verdict` als Sätze."""

from collections.abc import Mapping

from coop_demo.comparison.calibration import Calibration
from coop_demo.comparison.compare import Comparison
from coop_demo.comparison.methods import COMPARISON_METHODS
from coop_demo.comparison.statistics import PairedTest
from coop_demo.comparison.verdict import Outcome, RivalVerdict, Verdict, outcome
from coop_demo.languages.german.page import figures
from coop_demo.languages.german.sentences import SENTENCES


def p_value(value: float) -> str:
    return figures(f"p = {value:.2g}" if value >= 0.001 else "p < 0.001")


def verdict_sentence(verdict: Verdict) -> str:
    pictures = "zurückgehaltenen Bild" if verdict.n_test == 1 else "zurückgehaltenen Bildern"
    result = (
        f"Von {verdict.n_test} {pictures} erkennt der gelernte Prompt {verdict.learned_right} "
        f"richtig, die Wörter „{verdict.template}“ {verdict.words_right}."
    )
    p = p_value(verdict.test.p_value)
    said = {
        Outcome.SAME: "Es sind genau dieselben Bilder.",
        Outcome.EQUAL: "Keiner ist besser.",
        Outcome.BETTER: f"Er schlägt die Wörter, und das ist kaum Zufall ({p}).",
        Outcome.WORSE: f"Er verliert gegen die Wörter, und das ist kaum Zufall ({p}).",
        Outcome.AHEAD: (
            f"Er liegt vorn, aber ein so kleiner Unterschied könnte Zufall sein ({p}). Mehr "
            "zurückgehaltene Bilder würden es klären."
        ),
        Outcome.BEHIND: (
            f"Er liegt hinten, aber ein so kleiner Unterschied könnte Zufall sein ({p})."
        ),
    }[verdict.outcome]
    return f"{result} {said}"


def paired_sentence(
    test: PairedTest, first: str, second: str, *, rival: RivalVerdict | None = None
) -> str:
    b, c = test.only_first, test.only_second
    p = test.p_value if rival is None else rival.p_value
    corrected = f", korrigiert für {rival.n_rivals} Rivalen" if rival and rival.n_rivals > 1 else ""
    first, second = (f"„{SENTENCES.translated(title)}“" for title in (first, second))
    counted = (
        f"{first} allein liegt bei {b} Bildern richtig, {second} allein bei {c} (McNemar "
        f"{p_value(p)}{corrected})"
    )
    found = outcome(test, p_value=p)
    if found is Outcome.SAME:
        return f"{first} und {second} liegen bei genau denselben Bildern richtig."
    if found is Outcome.EQUAL:
        return f"Keiner ist besser: {counted}."
    better = first if b > c else second
    if found in (Outcome.BETTER, Outcome.WORSE):
        return f"{better} ist besser, und das ist kaum Zufall: {counted}."
    return f"{better} sieht besser aus, aber das könnte Zufall sein: {counted}."


def at_bound_sentences(calibrations: Mapping[str, Calibration]) -> list[str]:
    return [
        f"{title}: Die Temperatur, die am besten passt, liegt jenseits von "
        f"{figures(f'{found.temperature:.3g}')}, wo die Suche endet"
        + (
            ", denn das Verfahren liegt bei jedem dieser Bilder richtig."
            if found.before.accuracy == 1
            else ". Seine Sicherheit sagt hier fast nichts."
        )
        for title, found in calibrations.items()
        if found.at_bound
    ]


def comparison_sentence(comparison: Comparison) -> str:
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
        f"{said} Gegen das beste andere Verfahren: "
        f"{paired_sentence(found.test, title, rival, rival=found)}"
    )
