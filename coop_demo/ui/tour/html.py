"""The guided lesson as HTML."""

from html import escape

from coop_demo.languages import tour as say
from coop_demo.ui.session import Session
from coop_demo.ui.tour.state import Tour
from coop_demo.ui.tour.steps import STEPS


def invitation() -> str:
    return f'<p class="cs-tour-invitation">{escape(say.INVITATION)}</p>'


def step(session: Session, tour: Tour) -> str:
    """The step somebody is at: what to do, or what to see once it was done."""
    if tour.at >= len(STEPS):
        return f'{_dots(tour)}<div role="status"><p>{escape(say.end(len(tour.done)))}</p></div>'
    one = STEPS[tour.at]
    title, task = say.STEPS[one.key]
    is_done = one.key in tour.done
    way = escape("|".join(one.way(session)), quote=True)
    seen = escape(one.seen(session)) if is_done else ""
    body = (
        f'<p class="cs-tour-seen"><b>{escape(say.DONE)}</b> {seen}</p>'
        if is_done
        else f"<p>{escape(task)}</p>"
    )
    return (
        f'{_dots(tour)}<div role="status" data-way="{way}">'
        f"<h2>{tour.at + 1}. {escape(title)}</h2>{body}</div>"
    )


def _dots(tour: Tour) -> str:
    items = []
    for at, one in enumerate(STEPS):
        title, _ = say.STEPS[one.key]
        is_done = one.key in tour.done
        state = say.DONE_MARK if is_done else say.HERE if at == tour.at else say.OPEN
        kind = "done" if is_done else "here" if at == tour.at else "open"
        items.append(
            f'<li class="cs-tour-{kind}" title="{escape(title, quote=True)}">'
            f'<span class="cs-unheard" aria-hidden="true">{"✓" if is_done else at + 1}</span>'
            f'<span class="cs-only-heard">{escape(f"{title}: {state}")}</span></li>'
        )
    return f'<ol class="cs-tour-dots">{"".join(items)}</ol>'
