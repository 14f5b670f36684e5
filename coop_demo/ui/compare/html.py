"""HTML of the Compare tab: the table of methods, pictures with two methods' bars, plain tables."""

from collections.abc import Sequence
from html import escape

import pandas as pd
import torch
from PIL import Image

from coop_demo.charts.comparison import methods_table
from coop_demo.comparison.compare import Comparison, MethodResult
from coop_demo.comparison.methods import COMPARISON_METHODS, LEARNED_METHODS
from coop_demo.comparison.verdict import Outcome, outcome
from coop_demo.data.images import data_uri
from coop_demo.errors import UserError
from coop_demo.languages import compare as say
from coop_demo.languages import comparison as verdicts
from coop_demo.languages import page as strings
from coop_demo.languages import said
from coop_demo.ui import drawings
from coop_demo.ui import html as page_html
from coop_demo.ui.session import Session
from coop_demo.ui.teach import html as teach_html

MAX_CARDS = 12  # pictures shown at once
_CARD_SIDE = 176  # pixels of a card's picture
_BARS = 3  # classes a method's bars show


def kind(method: str) -> str:
    """Teal for what was learned, ochre for what a person wrote, grey for the rest."""
    if method in LEARNED_METHODS:
        return "learned"
    return "words" if method.startswith("hand-crafted") or method == "ensemble" else "other"


def method_rows(comparison: Comparison) -> str:
    """The table of methods, best first, every one in the same size of type."""
    rows = []
    for record in methods_table(comparison).to_dict("records"):
        accuracy, low, high = record["accuracy %"], record["from %"], record["to %"]
        if record["key"] == "hand-crafted":
            against = say.THE_LINE
        else:
            against = say.paired(
                int(record["better on"]), int(record["worse on"]), record["McNemar p"]
            )
        bar = (
            f'<span class="cs-track cs-interval-track" aria-hidden="true">'
            f'<span class="cs-fill" style="width:{accuracy:.1f}%"></span>'
            f'<span class="cs-interval" style="left:{low:.1f}%;width:{high - low:.1f}%"></span>'
            "</span>"
        )
        rows.append(
            f'<tr class="cs-{kind(record["key"])}">'
            f'<th scope="row">{escape(said(record["method"]))}</th>'
            f'<td class="cs-accuracy"><strong>{strings.figures(f"{accuracy:.1f} %")}</strong>'
            f"{bar}</td>"
            f"<td>{strings.figures(f'{low:.1f} – {high:.1f}')}</td><td>{escape(against)}</td>"
            f"<td>{strings.figures(format(record['seconds'], '.2f'))} s</td></tr>"
        )
    heads = (
        say.COLUMN_METHOD,
        say.COLUMN_ACCURACY,
        say.COLUMN_INTERVAL,
        say.COLUMN_PAIRED,
        say.COLUMN_SECONDS,
    )
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in heads)
    return _scrolling(
        say.TABLE_LABEL,
        f'<table class="cs-methods"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>",
    )


def short_title(result: MethodResult) -> str:
    """Without the wording of a hand-crafted prompt, where there is one of them only."""
    return said(
        COMPARISON_METHODS[result.method].title
        if result.method in COMPARISON_METHODS
        else result.title
    )


def scoreboard(comparison: Comparison) -> str:
    """Who won and whether it could be chance, in one glance: a headline and equally large figures.

    The learned prompt against the hand-crafted one, with the best other method beside them;
    before there is a learned one, the best other method against the hand-crafted prompt.
    """
    keys = [result.method for result in comparison.results]
    if "hand-crafted" not in keys:
        return ""
    words = comparison.result("hand-crafted")
    learned = next((comparison.result(key) for key in LEARNED_METHODS if key in keys), None)
    others = [r for r in comparison.results if r is not words and r.method not in LEARNED_METHODS]
    rival = max(others, key=lambda r: r.score.correct, default=None)
    subject = learned or rival
    tiles = [_tile(result) for result in (learned, words, rival) if result is not None]
    if subject is None:
        return f'<div class="cs-result"><div class="cs-scores cs-duel">{"".join(tiles)}</div></div>'
    found = outcome(comparison.paired(subject.method))
    winners = {Outcome.BETTER: kind(subject.method), Outcome.WORSE: "words"}
    winner = winners.get(found, "nobody")
    headline = say.headline(short_title(subject), found, learned=subject is learned)
    if learned is not None and rival is not None:
        best = comparison.against_rivals(learned.method)
        if best is not None:
            headline += " " + say.against_rival(
                short_title(comparison.result(best.rival)), best.outcome
            )
    detail = verdicts.comparison_sentence(comparison)
    return (
        f'<div class="cs-result cs-won-by-{winner}"><p class="cs-headline">{escape(headline)}</p>'
        f'<div class="cs-scores cs-duel">{"".join(tiles)}</div>'
        + (f'<p class="cs-ending">{escape(detail)}</p>' if detail else "")
        + "</div>"
    )


def _tile(result: MethodResult) -> str:
    score = result.score
    assert score.accuracy is not None  # a comparison has held-out pictures
    assert score.low is not None
    assert score.high is not None
    return (
        f'<div class="cs-score cs-{kind(result.method)}"><span>{escape(short_title(result))}</span>'
        f"<strong>{strings.figures(f'{100 * score.accuracy:.1f}')}<small>%</small></strong>"
        f"<span>{escape(say.right_of(score.correct, score.n, score.low, score.high))}</span></div>"
    )


def table(frame: pd.DataFrame, label: str) -> str:
    """Any small data frame; what was not measured is a dash."""
    if frame.empty:
        return ""
    head = "".join(
        f'<th scope="col">{escape(say.column(str(name)))}</th>' for name in frame.columns
    )
    rows = []
    for record in frame.itertuples(index=False):
        cells = "".join(f"<td>{escape(_shown(value))}</td>" for value in record)
        rows.append(f"<tr>{cells}</tr>")
    return _scrolling(
        label, f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _shown(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    return strings.figures(f"{value:g}") if isinstance(value, float) else said(str(value))


def _scrolling(label: str, inside: str) -> str:
    return (
        f'<div class="cs-table" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"{inside}</div>"
    )


def promise() -> str:
    """What will stand here, while nothing does."""
    return drawings.promise(drawings.bars(), say.NOTHING_YET, say.PROMISES)


def sentences(lines: Sequence[str]) -> str:
    return "".join(f'<p class="cs-verdict">{escape(line)}</p>' for line in lines if line)


def cards(
    session: Session,
    comparison: Comparison,
    numbers: Sequence[int],
    methods: Sequence[str],
    *,
    empty: str = "",
) -> str:
    """Held-out pictures by number, each with the bars of the given methods.

    A picture that cannot be shown any more costs its own card only.
    """
    if not numbers:
        return page_html.hint(empty or say.NONE_OF_THESE)
    results = [comparison.result(method) for method in dict.fromkeys(methods)]
    names = comparison.class_names
    found = []
    for number in list(numbers)[:MAX_CARDS]:
        item = comparison.pictures[number]
        name = escape(item.picture.name)
        try:
            picture = (
                f'<button type="button" class="cs-look-at" data-picture="{number}" '
                f'title="{say.LOOK_AT}" aria-label="{say.LOOK_AT}: {name}">'
                f'<img src="{_data_uri(session, item.picture)}" alt=""></button>'
            )
        except UserError as error:
            picture = page_html.hint(str(error))
        except OSError:  # its own words would tell where files lie here
            picture = page_html.hint(say.gone(item.picture.name))
        bars = "".join(
            teach_html.bars(
                short_title(result),
                kind(result.method),
                names,
                torch.softmax(result.logits[number], dim=-1),
                empty="",
                most=_BARS,
            )
            for result in results
        )
        found.append(
            f'<li class="cs-card"><figure>{picture}<figcaption><b>'
            f"{escape(names[item.label])}</b><span>{name}</span></figcaption></figure>"
            f'<div class="cs-card-bars">{bars}</div></li>'
        )
    more = (
        page_html.hint(say.more_pictures(MAX_CARDS, len(numbers)))
        if len(numbers) > MAX_CARDS
        else ""
    )
    return f'<ul class="cs-cards">{"".join(found)}</ul>{more}'


def _data_uri(session: Session, picture) -> str:
    with Image.open(session.thumbnail(picture.checked())) as image:
        image.thumbnail((_CARD_SIDE, _CARD_SIDE))
        return data_uri(image, quality=82)
