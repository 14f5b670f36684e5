"""The steps: where each is, how it shows that it was done, and what there is to see then."""

from collections.abc import Callable
from dataclasses import dataclass

from coop_demo.comparison.compare import Comparison, MethodResult
from coop_demo.comparison.methods import LEARNED_METHODS
from coop_demo.languages import said
from coop_demo.languages import tour as say
from coop_demo.samples import find_sample
from coop_demo.ui.session import Session

SAMPLE = "biscuits"
FEW_SHOTS, MANY_SHOTS = 4, 16


@dataclass(frozen=True)
class Step:
    """One step. `seen` says what to observe, with the session's own figures, once it was done.

    `way(session)` are elements by selectors: those to open on the way, and last the one where it is
    done.
    """

    key: str  # of its words in `languages.tour`
    tab: str
    way: Callable[[Session], tuple[str, ...]]
    is_done: Callable[[Session], bool]
    seen: Callable[[Session], str]
    panel: str = ""  # of the tab Compare


def _has_sample(session: Session) -> bool:
    return session.source == find_sample(SAMPLE).title


def _tried(session: Session) -> bool:
    trying = session.trying
    return _has_sample(session) and trying is not None and not trying.elsewhere


def _trained_with(least: int, most: int) -> Callable[[Session], bool]:
    def is_done(session: Session) -> bool:
        taught = session.current
        if taught is None or taught.verdict is None or session.training:
            return False
        return least <= (taught.prompt.shots or 0) <= most

    return is_done


def _learned(session: Session) -> tuple[int, int, int]:
    """Right by the learned prompt, right by the words, of how many held-out pictures."""
    verdict = session.current.verdict if session.current else None
    return (verdict.learned_right, verdict.words_right, verdict.n_test) if verdict else (0, 0, 0)


def _comparison(session: Session) -> Comparison | None:
    compared = session.compare.compared.get(session.backbone)
    return compared.comparison if compared else None


def _rivals(comparison: Comparison | None) -> list[MethodResult]:
    results = comparison.results if comparison else ()
    return [r for r in results if r.method not in (*LEARNED_METHODS, "hand-crafted")]


def _compared(session: Session) -> bool:
    comparison = _comparison(session)
    if comparison is None or session.training:
        return False
    return comparison.best_learned is not None and bool(_rivals(comparison))


def _rival_seen(session: Session) -> str:
    comparison = _comparison(session)
    if comparison is None or comparison.best_learned is None:
        return ""
    best = max(_rivals(comparison), key=lambda result: result.score.correct)
    learned = comparison.result(comparison.best_learned).score
    return say.rival_seen(said(best.title), best.score.correct, learned.correct, learned.n)


def _forgot(session: Session) -> bool:
    compared = session.compare.compared.get(session.backbone)
    return compared is not None and compared.base_to_new is not None


def _forget_seen(session: Session) -> str:
    compared = session.compare.compared.get(session.backbone)
    found = compared.base_to_new if compared else None
    if found is None:
        return ""
    rows = {row.method: row for row in found.rows}
    learned, words = rows["learned"], rows["hand-crafted"]
    accuracies = (learned.base.accuracy, learned.new.accuracy, words.new.accuracy)
    base, new, words_new = (accuracy or 0.0 for accuracy in accuracies)
    return say.forget_seen(base, new, words_new)


def _order_seen(session: Session) -> str:
    orders = session.pile.orders_with(session.backbone)
    return say.order_seen(orders[0].instruction) if orders else ""


STEPS = (
    Step(
        "words",
        "teach",
        lambda s: ("#examples",) if _has_sample(s) else (f"#sample-{SAMPLE}",),
        _tried,
        lambda s: say.WORDS_SEEN,
    ),
    Step(
        "show",
        "teach",
        lambda s: ("#settings > button", "#shots"),
        _trained_with(1, FEW_SHOTS),
        lambda s: say.show_seen(*_learned(s)),
    ),
    Step(
        "learn",
        "teach",
        lambda s: ("#settings > button", "#shots"),
        _trained_with(MANY_SHOTS, 10**6),
        lambda s: say.learn_seen(*_learned(s)),
    ),
    Step("rival", "compare", lambda s: ("#compare-go",), _compared, _rival_seen),
    Step(
        "forget",
        "compare",
        lambda s: ("#forget-go",),
        _forgot,
        _forget_seen,
        panel="forget",
    ),
    Step(
        "order",
        "rank",
        lambda s: ("#rank-go",) if s.pile.pictures else ("#rank-conditions",),
        lambda s: bool(s.pile.orders_with(s.backbone)),
        _order_seen,
    ),
    Step(
        "look",
        "look",
        lambda s: ("#look-gallery",),
        lambda s: s.look.looked is not None,
        lambda s: say.LOOK_SEEN,
    ),
)
