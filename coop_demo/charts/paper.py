"""The CoOp paper's figure of its eleven sets, with ours: accuracy over shots, as one SVG.

Written by hand, since a README shows no plotly figure and no package for pictures is needed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from html import escape

from coop_demo.charts.style import HAND_CRAFTED_COLOUR, LEARNED_COLOUR, TEXT_COLOUR
from coop_demo.comparison.paper_table import PAPER_DATASETS, PAPER_TABLE_SHOTS, paper_figure
from coop_demo.comparison.results_csv import Cell
from coop_demo.comparison.summary import summary

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _GAP = 230, 170, 36, 26, 24, 10
_COLUMNS = 4
_PAPER_COLOUR = "#7F7F7F"

Points = dict[int, float]


def paper_svg(cells: Sequence[Cell]) -> str:
    """A panel a set, and one of their mean: the learned prompt (a line), the hand-crafted one
    (dashes), and the paper's CoOp (grey). In %; empty without cells."""
    learned: dict[str, Points] = {}
    crafted: dict[str, float] = {}
    for record in summary(cells):
        if record["method"] == "learned":
            learned.setdefault(record["dataset"], {})[record["shots"]] = 100 * record["mean"]
        elif record["method"] == "hand-crafted":
            crafted[record["dataset"]] = 100 * record["mean"]
    found = set(learned) | set(crafted)
    names = [*(n for n in PAPER_DATASETS if n in found), *sorted(found - set(PAPER_DATASETS))]
    if not names:
        return ""
    panels = []
    if len(names) > 1:
        shots = sorted(set.intersection(*(set(learned.get(n, {})) for n in names)))
        ours = {s: statistics.fmean(learned[n][s] for n in names) for s in shots}
        words = statistics.fmean(crafted.values()) if set(crafted) == set(names) else None
        paper = {s: [paper_figure(n, s) for n in names] for s in shots}
        theirs = {s: statistics.fmean(v for v in p if v) for s, p in paper.items() if all(p)}
        panels.append(_panel(f"Mean of {len(names)} sets", ours, words, theirs))
    for name in names:
        known = {s: paper_figure(name, s) for s in PAPER_TABLE_SHOTS}
        theirs = {s: value for s, value in known.items() if value is not None}
        panels.append(_panel(name, learned.get(name, {}), crafted.get(name), theirs))
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    width, height = columns * _WIDTH, rows * _HEIGHT + 24
    placed = "".join(
        f'<g transform="translate({at % columns * _WIDTH} {at // columns * _HEIGHT})">{panel}</g>'
        for at, panel in enumerate(panels)
    )
    legend = (
        f'<g transform="translate({_LEFT} {rows * _HEIGHT + 14})">'
        f'<text fill="{LEARNED_COLOUR}">learned prompt</text>'
        f'<text x="100" fill="{HAND_CRAFTED_COLOUR}">hand-crafted</text>'
        f'<text x="186" fill="{_PAPER_COLOUR}">the paper</text></g>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'font-family="sans-serif" font-size="11" fill="{TEXT_COLOUR}" role="img">'
        f"<title>Accuracy over shots, %</title>{placed}{legend}</svg>\n"
    )


def _panel(title: str, ours: Points, words: float | None, paper: Points) -> str:
    values = [*ours.values(), *paper.values(), *([] if words is None else [words])]
    low, high = math.floor(min(values) / 10) * 10, math.ceil(max(values) / 10) * 10
    high = max(high, low + 10)
    shots = sorted({*PAPER_TABLE_SHOTS, *(s for s in ours if s)})
    wide, tall = _WIDTH - _LEFT - _GAP, _HEIGHT - _TOP - _BOTTOM

    def x(n: int) -> float:
        return _LEFT + wide * math.log2(n) / math.log2(max(shots[-1], 2))

    def y(value: float) -> float:
        return _TOP + tall * (high - value) / (high - low)

    parts = [f'<text x="{_LEFT}" y="{_TOP - 8}">{escape(title)}</text>']
    for value in range(low, high + 1, 10 if high - low <= 40 else 20):
        parts.append(
            f'<path d="M{_LEFT} {y(value):.1f}h{wide}" stroke="#8885" fill="none"/>'
            f'<text x="{_LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>'
        )
    parts += [
        f'<text x="{x(n):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{n}</text>' for n in shots
    ]
    if words is not None:
        parts.append(
            f'<path d="M{_LEFT} {y(words):.1f}h{wide}" stroke="{HAND_CRAFTED_COLOUR}" '
            'stroke-dasharray="5 4" fill="none"/>'
        )
    for points, colour in ((paper, _PAPER_COLOUR), (ours, LEARNED_COLOUR)):
        at = [(x(n), y(value)) for n, value in sorted(points.items()) if n]
        if at:
            line = " ".join(f"{px:.1f},{py:.1f}" for px, py in at)
            dots = "".join(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2.5"/>' for px, py in at)
            parts.append(
                f'<polyline points="{line}" stroke="{colour}" stroke-width="2" fill="none"/>'
                f'<g fill="{colour}">{dots}</g>'
            )
    return "".join(parts)
