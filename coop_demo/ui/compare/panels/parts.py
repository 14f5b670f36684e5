"""What several panels are made of."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from coop_demo.languages import compare as say
from coop_demo.ui import html as page_html
from coop_demo.ui.compare.actions import look_at
from coop_demo.ui.compare.state import Compared
from coop_demo.ui.context import LOOKS, QUIET, Shell
from coop_demo.ui.job import LongJob
from coop_demo.ui.plot_clicks import clicked
from coop_demo.ui.progress import Progress
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates

LOOK: dict[str, Any] = LOOKS | QUIET

HIDDEN = gr.update(visible=False)
NO_CHOICE = gr.update(choices=[], value=None)


def compare_first() -> str:
    return page_html.hint(say.COMPARE_FIRST)


def lead(sentence: str) -> None:
    gr.HTML(page_html.hint(sentence), padding=False)


def plot(elem_id: str) -> gr.Plot:
    return gr.Plot(
        show_label=False, container=False, visible=False, elem_id=elem_id, elem_classes="cs-plot"
    )


def method_box(elem_id: str, label: str = "", *, visible: bool = True) -> gr.Dropdown:
    return gr.Dropdown([], label=label or say.METHOD_LABEL, visible=visible, elem_id=elem_id)


def drawn(figure: Any) -> Any:
    return gr.update(value=figure, visible=True)


def opens_look(shell: Shell, cards: gr.HTML) -> None:
    """A click on a picture of the cards opens it in the tab Look."""

    def look(session: Session, event: gr.EventData) -> Updates:
        (number,) = clicked(event, 1, say.NONE_OF_THESE)
        look_at(session, number)
        return {shell.tabs: gr.update(selected="look")}

    shell.on(cards.click, look, [], [shell.tabs], **LOOK)


class PanelJob:
    """Go and Stop of a panel, around a generator of Progress."""

    def __init__(self, label: str, name: str) -> None:
        self.job = LongJob(
            label,
            go_id=f"{name}-go",
            stop_id=f"{name}-stop",
            status_id=f"{name}-status",
            small=True,
        )

    def wire(
        self,
        shell: Shell,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        job: Callable[..., Iterator[Progress]],
        view: Callable[[Session, Compared | None], Updates],
    ) -> None:
        """`job(session, *values)` is run; `view` redraws `outputs` whenever something is new."""

        def shown(session: Session, progress: Progress) -> Updates:
            return view(session, progress.so_far) if progress.so_far else {}

        def ended(session: Session, failed: bool) -> Updates:
            return {}

        self.job.wire(shell, job, inputs, outputs, shown=shown, ended=ended)
