"""What the tab Archive shows beside its pictures."""

from coop_demo.languages import archive as say
from coop_demo.ui import html as page_html
from coop_demo.ui.archive.state import Arranged, OpenIndex


def facts(index: OpenIndex) -> str:
    """How many pictures there are, and whose features."""
    model = index.backbone.rpartition("@")[0]
    return page_html.facts("", say.facts(len(index.paths), index.n_unreadable, model))


def said(arranged: Arranged, n_lost: int) -> str:
    """What the order is by, and what of it is not shown."""
    sentence = say.ordered(len(arranged.positions), arranged.by, arranged.only)
    return page_html.facts("", sentence) + (page_html.hint(say.not_shown(n_lost)) if n_lost else "")
