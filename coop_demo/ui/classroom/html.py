"""HTML of the tab Class; every name is escaped."""

from collections import Counter
from collections.abc import Sequence
from html import escape

import segno

from coop_demo.languages import classroom as say
from coop_demo.languages import said
from coop_demo.ui.classroom.actions import Row
from coop_demo.ui.classroom.state import Ballot


def qr_code(address: str) -> str:
    """An address as a QR code, black on white also in the dark, as cameras want it."""
    return segno.make(address, error="m").svg_inline(
        border=2, dark="#000", light="#fff", omitsize=True
    )


def door(address: str) -> str:
    return (
        f'<div class="cs-door"><p class="cs-address">{escape(address)}</p>'
        f'<div class="cs-qr" role="img" aria-label="{escape(say.QR_LABEL)}: {escape(address)}">'
        f"{qr_code(address)}</div></div>"
    )


def roster(rows: Sequence[Row]) -> str:
    heads = "".join(f"<th scope='col'>{escape(head)}</th>" for head in say.ROSTER_HEADS)
    body = "".join(
        f"<tr><th scope='row' dir='auto'>{escape(row.nickname)}</th>"
        f"<td dir='auto'>{escape(said(row.source))}</td><td>{escape(row.training)}</td>"
        f"<td class='cs-learned'>{_percent(row.learned)}</td>"
        f"<td class='cs-words'>{_percent(row.words)}</td></tr>"
        for row in rows
    )
    return (
        f'<div class="cs-table cs-roster" tabindex="0" role="region" '
        f'aria-label="{escape(say.ROSTER_TITLE)}"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def ballot(held: Ballot) -> str:
    """The count of votes, the most first, then each member's own."""
    count = Counter(vote.class_name for vote in held.votes)
    items = "".join(
        f"<li dir='auto'>{escape(say.votes_for(name, n))}</li>" for name, n in count.most_common()
    )
    each = "".join(
        f"<li dir='auto'>{escape(vote.nickname)}: {escape(vote.class_name)} "
        f"({vote.probability:.0%})</li>"
        for vote in held.votes
    )
    return (
        f'<ul class="cs-count">{items}</ul><details><summary>{len(held.votes)}</summary>'
        f"<ul>{each}</ul></details>"
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
