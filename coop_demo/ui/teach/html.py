"""The Teach tab's HTML: score board, bars, class table."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from coop_demo.comparison.verdict import Outcome, Verdict
from coop_demo.data.images import data_uri
from coop_demo.languages import comparison as verdicts
from coop_demo.languages import said
from coop_demo.languages import teach as say
from coop_demo.ui import html as page_html


def scoreboard(verdict: Verdict | None, ending: str, notes: Sequence[str] = ()) -> str:
    """Both accuracies in the same size of type, the verdict as a sentence, and what to know."""
    more = page_html.notes((), notes)
    if verdict is None:
        return f'<div class="cs-result"><p>{escape(said(ending))}</p>{more}</div>' if ending else ""
    n = max(verdict.n_test, 1)
    winners = {Outcome.BETTER: "learned", Outcome.WORSE: "words"}
    winner = winners.get(verdict.outcome, "nobody")

    def cell(kind: str, title: str, right: int) -> str:
        return (
            f'<div class="cs-score cs-{kind}"><span>{escape(title)}</span>'
            f"<strong>{100 * right / n:.0f}<small>%</small></strong>"
            f"<span>{escape(say.right_of(right, verdict.n_test))}</span></div>"
        )

    return (
        f'<div class="cs-result cs-won-by-{winner}"><div class="cs-scores">'
        f"{cell('learned', say.LEARNED, verdict.learned_right)}"
        f"{cell('words', say.WORDS, verdict.words_right)}</div>"
        f'<p class="cs-verdict">{escape(verdicts.verdict_sentence(verdict))}</p>'
        f'<p class="cs-ending">{escape(said(ending))}</p>{more}</div>'
    )


def bars(
    title: str, kind: str, names: Sequence[str], shares: Tensor | None, *, empty: str, most: int = 5
) -> str:
    """A list of classes with bars, the likeliest first.

    Shape: shares (C,) probabilities, or None while there is nothing to show.
    """
    head = f'<div class="cs-bars cs-{kind}"><h3>{escape(title)}</h3>'
    if shares is None:
        return f'{head}<p class="cs-hint">{escape(empty)}</p></div>'
    top = torch.argsort(shares, descending=True, stable=True)[:most].tolist()
    rows = []
    for index in top:
        percent, name = 100 * float(shares[index]), escape(str(names[int(index)]))
        rows.append(
            f'<li><span class="cs-bar-name" title="{name}">{name}</span>'
            f'<span class="cs-bar-value">{percent:.0f} %</span>'
            f'<span class="cs-track" aria-hidden="true"><span class="cs-fill" '
            f'style="width:{percent:.1f}%"></span></span></li>'
        )
    rest = len(names) - len(top)
    more = f'<p class="cs-hint">{escape(say.and_more(rest))}</p>' if rest > 0 else ""
    return f"{head}<ol>{''.join(rows)}</ol>{more}</div>"


def shown(picture: Path, sentence: str) -> str:
    """The picture that is tried, and what it is."""
    with Image.open(picture) as image:
        small = ImageOps.contain(image.convert("RGB"), (160, 160))
    return (
        f'<figure class="cs-tried"><img src="{data_uri(small, quality=85)}" alt="">'
        f"<figcaption>{escape(sentence)}</figcaption></figure>"
    )


def pair(left: str, right: str) -> str:
    return f'<div class="cs-pair">{left}{right}</div>'


def class_table(rows: Sequence[tuple[str, int, int]]) -> str:
    """Overview of a set with more classes than the page has rows: name, pictures, test pictures."""
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{n}</td><td>{n_test or '–'}</td></tr>"
        for name, n, n_test in rows
    )
    return (
        f'<div class="cs-table" tabindex="0" role="region" '
        f'aria-label="{escape(say.CLASSES_LABEL)}">'
        f"<table><thead><tr>{page_html.column_heads(say.CLASS_COLUMNS)}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )
