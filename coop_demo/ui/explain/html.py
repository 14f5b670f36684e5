"""Pieces of HTML of the Look tab: sentences with their areas, and curves that follow the theme."""

import math
from collections.abc import Sequence
from html import escape
from typing import Literal

from coop_demo.heatmaps.faithfulness import Curve
from coop_demo.languages import look as say
from coop_demo.languages import page as strings
from coop_demo.ui import drawings
from coop_demo.ui import html as page_html
from coop_demo.ui.explain.actions import curves
from coop_demo.ui.explain.state import AT_RANDOM, LEARNED, MEANINGLESS, WORDS, Looked

OPACITY = 0.7  # of the strongest places, before a person chooses
_WIDTH, _HEIGHT = 420, 236  # of the drawing, which scales with its column
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 408, 10, 188  # of the plot within it


def title_of(name: str) -> str:
    """What a map or a curve is called. Its name is also the class of the style sheet that holds the
    curve's colour and dashes."""
    return {
        WORDS: say.WORDS,
        LEARNED: say.LEARNED,
        AT_RANDOM: say.AT_RANDOM,
        MEANINGLESS: say.MEANINGLESS,
    }[name]


def promise() -> str:
    """What will stand here, while nothing does."""
    return drawings.promise(drawings.maps(), say.EMPTY, say.PROMISES)


def part(title: str, lead: str) -> str:
    """The head of a part of a column."""
    return f'<div class="cs-part"><h3>{escape(title)}</h3>{page_html.hint(lead)}</div>'


def answer(sentence: str) -> str:
    return f'<div class="cs-result"><p class="cs-verdict">{escape(sentence)}</p></div>'


def held(opacity: object) -> float:
    """A slider's value, held to its range: raw requests may send anything."""
    try:
        given = float(opacity)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return OPACITY
    return min(max(given, 0.0), 1.0) if math.isfinite(given) else OPACITY


def verdicts(looked: Looked) -> str:
    """A sentence and the areas of each prompt's map."""
    parts = []
    for name, check in looked.checks:
        areas = say.areas(
            say.COSINE_AXIS if check.quantity == "cosine" else say.PROBABILITY_AXIS,
            check.deletion.scores[0],
            check.deletion.area,
            check.random_deletion.area,
            check.shuffled_deletion.area,
            check.insertion.area,
            check.random_insertion.area,
            check.shuffled_insertion.area,
        )
        parts.append(
            f'<p class="cs-verdict"><b>{escape(title_of(name))}.</b> '
            f"{escape(say.check_sentence(check))}</p>"
            f'<p class="cs-ending">{escape(areas)}</p>'
        )
    return f'<div class="cs-result">{"".join(parts)}</div>'


def curve_chart(looked: Looked, kind: Literal["deletion", "insertion"]) -> str:
    """The curves of the check as a drawing; empty before there are any.

    Drawn here and not by a chart library, so that it takes the page's colours, light or dark, at
    once, and any width.
    """
    found = curves(looked, kind)
    if not found:
        return ""
    title = say.DELETION_TITLE if kind == "deletion" else say.INSERTION_TITLE
    quantity = looked.checks[0][1].quantity
    low, high = (0.0, 1.0) if quantity == "probability" else _range([c for _, c in found])
    axis = say.PROBABILITY_AXIS if quantity == "probability" else say.COSINE_AXIS
    marks = "".join(_line(name, curve, low, high) for name, curve in found)
    areas = ", ".join(
        f"{title_of(name)} {strings.figures(f'{curve.area:.2f}')}" for name, curve in found
    )
    legend = "".join(
        f'<li><svg viewBox="0 0 26 10" width="26" height="10" aria-hidden="true">'
        f'<path d="M1,5 H25" class="cs-curve cs-{name}"/></svg>{escape(title_of(name))}</li>'
        for name, _ in found
    )
    return (
        f'<figure class="cs-curves"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(say.curves_aria(title, axis, areas))}">'
        f"{_frame(say.axes(axis, kind), low, high)}{marks}</svg><ul>{legend}</ul></figure>"
    )


def _line(name: str, curve: Curve, low: float, high: float) -> str:
    points = [(_x(f), _y(s, low, high)) for f, s in zip(curve.fractions, curve.scores, strict=True)]
    path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7"><title>'
        f"{escape(say.curve_point(title_of(name), fraction, score))}</title></circle>"
        for (x, y), fraction, score in zip(points, curve.fractions, curve.scores, strict=True)
    )
    return f'<g><path d="{path}" class="cs-curve cs-{name}"/>{dots}</g>'


def _frame(axis: str, low: float, high: float) -> str:
    """Grid lines with their numbers, and what the axes are."""
    parts = []
    for step in range(5):
        value = low + (high - low) * step / 4
        y = _y(value, low, high)
        parts.append(
            f'<path d="M{_LEFT},{y:.1f} H{_RIGHT}" class="cs-gridline"/>'
            f'<text x="{_LEFT - 6}" y="{y + 5:.1f}" text-anchor="end">'
            f"{strings.figures(f'{value:.2f}')}</text>"
        )
    for fraction in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts.append(
            f'<text x="{_x(fraction):.1f}" y="{_BOTTOM + 20}" text-anchor="middle">'
            f"{100 * fraction:.0f}</text>"
        )
    middle = (_LEFT + _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_BOTTOM + 43}" text-anchor="middle">{escape(axis)}</text>'
    )
    return "".join(parts)


def _x(fraction: float) -> float:
    return _LEFT + fraction * (_RIGHT - _LEFT)


def _y(value: float, low: float, high: float) -> float:
    return _BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP)


def _range(found: Sequence[Curve]) -> tuple[float, float]:
    """A little more than what the curves need; never nothing."""
    scores = [score for curve in found for score in curve.scores]
    low, high = min(scores), max(scores)
    margin = max(0.05 * (high - low), 0.01)
    return low - margin, high + margin
