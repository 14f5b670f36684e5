"""Orders of pictures as HTML: strips of thumbnails, lines between two orders, figures, one pair.

Thumbnails travel inside the HTML, so that nothing of a person's gets an address of its own.
Whatever a person wrote is escaped here.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from coop_demo.data.dataset import Picture
from coop_demo.data.images import data_uri
from coop_demo.languages import page as strings
from coop_demo.languages import rank as say
from coop_demo.languages import said
from coop_demo.ranking.metrics import RankingMetrics, srcc
from coop_demo.ranking.order import RANKING_METHODS, Order, evenly
from coop_demo.ui import drawings
from coop_demo.ui import html as page_html
from coop_demo.ui.rank.state import RankVerdict

MOST_IN_STRIP = 40
MOST_IN_SLOPE = 30
_SIDE = 88  # pixels of an inlined thumbnail: some 3 KB

Thumbnail = Callable[[Picture], Path]  # Session.thumbnail


@lru_cache(maxsize=4096)
def inlined(path: Path, *, whole: bool = False) -> str:
    """A small square JPEG of a thumbnail as a data URI; all of it where it is `whole`, as the
    ranker sees it, whatever shape that gives."""
    with Image.open(path) as image:
        shape = ImageOps.contain if whole else ImageOps.fit
        small = shape(image.convert("RGB"), (_SIDE, _SIDE))
    return data_uri(small, quality=78)


def promise() -> str:
    """What will stand here, while nothing does."""
    return drawings.promise(drawings.order(), say.NOTHING_RANKED, say.PROMISES)


def strips(order: Order, thumbnail: Thumbnail) -> str:
    """Each way's order as a row of thumbnails, the first one left."""
    n = len(order.pictures)
    shown = evenly(n, MOST_IN_STRIP)
    rows = []
    for method in RANKING_METHODS:
        if method not in order.scores:
            continue
        ranking = order.ranking(method)
        scores = order.scores[method]
        if np.ptp(scores) == 0:
            rows.append(page_html.hint(say.all_same(method)))
            continue
        items = []
        for place in shown:
            at = ranking[place]
            name = order.pictures[at].name
            score = strings.figures(f"{scores[at]:.4g}")
            caption = escape(f"{place + 1}. {name}: {score}", quote=True)
            small = inlined(thumbnail(order.pictures[at]), whole=True)
            items.append(f'<li><img src="{small}" alt="{caption}" title="{caption}"></li>')
        kind = "learned" if method == RANKING_METHODS[0] else "words"
        rows.append(
            f'<div class="cs-strip cs-{kind}"><h4>{escape(say.METHOD[method])}</h4>'
            f'<ol tabindex="0" aria-label="{escape(say.METHOD[method])}">{"".join(items)}</ol>'
            "</div>"
        )
    note = page_html.hint(say.sampled(len(shown), n)) if len(shown) < n else ""
    return f'<div class="cs-strips">{"".join(rows)}{note}</div>'


def slope(first: Order, second: Order, thumbnail: Thumbnail) -> str:
    """Two orders of the same pictures, the first of each on top, a line for every picture."""
    n = len(first.pictures)
    left, right = first.ranking(first.leading), second.ranking(second.leading)
    keep = [left[i] for i in evenly(n, MOST_IN_SLOPE)]
    chosen = set(keep)
    at_right = {at: row for row, at in enumerate(i for i in right if i in chosen)}
    place = {at: rank for rank, at in enumerate(left, start=1)}
    other = {at: rank for rank, at in enumerate(right, start=1)}
    side, gap, width, head = 46, 6, 560, 8
    step = side + gap
    height = head + step * len(keep)
    x_left, x_right = 34, width - 34 - side
    groups = []
    for row, at in enumerate(keep):
        y1 = head + row * step
        y2 = head + at_right[at] * step
        uri = inlined(thumbnail(first.pictures[at]), whole=True)
        moved = place[at] - other[at]
        kind = "up" if moved > 0 else "down" if moved < 0 else "level"
        name = first.pictures[at].name
        caption = escape(say.places(name, place[at], other[at]))
        middle = (x_left + side + x_right) / 2
        path = (
            f"M{x_left + side + 4},{y1 + side / 2} C{middle},{y1 + side / 2} "
            f"{middle},{y2 + side / 2} {x_right - 4},{y2 + side / 2}"
        )
        groups.append(
            f'<g class="cs-line cs-{kind}" tabindex="0" role="img" aria-label="{caption}">'
            f"<title>{caption}</title>"
            f'<path d="{path}" class="cs-line-hit"/><path d="{path}" class="cs-line-seen"/>'
            f'<image href="{uri}" x="{x_left}" y="{y1}" width="{side}" height="{side}"/>'
            f'<image href="{uri}" x="{x_right}" y="{y2}" width="{side}" height="{side}"/>'
            f'<text x="{x_left - 8}" y="{y1 + side / 2 + 4}" text-anchor="end">{place[at]}</text>'
            f'<text x="{x_right + side + 8}" y="{y2 + side / 2 + 4}">{other[at]}</text></g>'
        )
    agreement = srcc(first.scores[first.leading], second.scores[second.leading])
    summary = escape(say.slope_summary(n, agreement))
    note = page_html.hint(say.sampled(len(keep), n)) if len(keep) < n else ""
    return (
        f'<div class="cs-slope"><div class="cs-slope-head"><b>{escape(first.instruction)}</b>'
        f"<b>{escape(second.instruction)}</b></div>"
        f'<svg viewBox="0 0 {width} {height}" role="group" aria-label="{summary}">'
        f"{''.join(groups)}</svg>"
        f'<p class="cs-verdict">{summary}</p>{note}</div>'
    )


def figures(order: Order, verdict: RankVerdict) -> str:
    """Every way's agreement with the labels, and who is better as a sentence."""
    found = order.metrics()
    sentence = f'<p class="cs-verdict">{escape(verdict.sentence)}</p>' if verdict.sentence else ""
    if not found:
        return page_html.hint(verdict.sentence)
    rows = "".join(
        f'<tr class="cs-{method}"><th scope="row">{escape(say.METHOD[method])}</th>'
        + "".join(f"<td>{_figure(value)}</td>" for value in _four(one))
        + "</tr>"
        for method, one in found.items()
    )
    return (
        f'<div class="cs-result cs-judged"><div class="cs-table" tabindex="0" role="region" '
        f'aria-label="{escape(say.AGREEMENT_LABEL)}"><table><thead><tr>'
        f"{page_html.column_heads(say.AGREEMENT_COLUMNS)}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{sentence}</div>"
    )


def _four(one: RankingMetrics) -> tuple[str | None, ...]:
    pairs = None if one.pair_accuracy is None else f"{one.pair_accuracy:.0%}"
    return (_two(one.srcc), _two(one.plcc), _two(one.kendall), pairs)


def _two(value: float | None) -> str | None:
    return None if value is None else strings.figures(f"{value:.2f}")


def _figure(value: str | None) -> str:
    return say.NOT_DEFINED if value is None else value


def one_pair(order: Order, first: int, other: int, thumbnail: Thumbnail) -> str:
    """Two pictures and their pair logit both ways; `first`, `other` count in `order.compared`."""
    assert order.pair_logits is not None
    logits = order.pair_logits
    one_way, other_way = float(logits[first, other]), float(logits[other, first])
    cells = []
    names = []
    for at, logit in ((first, one_way), (other, other_way)):
        picture = order.pictures[order.compared[at]]
        names.append(picture.name)
        score = order.scores[order.leading][order.compared[at]]
        cells.append(
            f'<figure><img src="{inlined(thumbnail(picture), whole=True)}" alt="">'
            f"<figcaption><b>{escape(picture.name)}</b><span>{say.scored(score)}</span>"
            f"<span>{say.above_the_other(logit, _chance(logit))}</span>"
            "</figcaption></figure>"
        )
    sentence = say.pair_sentence(names[0], names[1], one_way, other_way)
    wrong = " cs-contradiction" if (one_way > 0) == (other_way > 0) else ""
    return (
        f'<div class="cs-two{wrong}">{"".join(cells)}<p class="cs-verdict">{escape(sentence)}</p>'
        "</div>"
    )


def _chance(logit: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(logit, -60, 60))))


def head(title: str, lead: str = "") -> str:
    """The head of a part of the column."""
    return f'<div class="cs-part"><h3>{escape(title)}</h3>{page_html.hint(lead)}</div>'


def scores_before_after(rows: Sequence[tuple[str, str, float | None]], sentence: str, ending: str):
    """Shares of held-out pairs side by side: (kind, title, share)."""
    cells = "".join(
        f'<div class="cs-score cs-{kind}"><span>{escape(title)}</span><strong>'
        + ("–" if share is None else f"{100 * share:.0f}<small>%</small>")
        + "</strong></div>"
        for kind, title, share in rows
    )
    return (
        f'<div class="cs-result"><div class="cs-scores cs-scores-wide">{cells}</div>'
        f'<p class="cs-verdict">{escape(sentence)}</p>'
        f'<p class="cs-ending">{escape(said(ending))}</p></div>'
    )
