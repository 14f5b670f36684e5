"""Long jobs: one a person at a time, with progress, a Stop button, and an end that always comes.

A job is a generator of events: closing it stops it, and it is closed when the page is left.
"""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.languages import page as strings
from coop_demo.ui import html as page_html
from coop_demo.ui.context import QUIET, Shell
from coop_demo.ui.events import sentence_for
from coop_demo.ui.line import TRAININGS, Place
from coop_demo.ui.progress import Progress
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


@contextlib.contextmanager
def working(session: Session) -> Iterator[None]:
    """One long job a person at a time, whichever tab began it: they would slow each other down.

    Raises:
        UserError: one is running already.
    """
    with session.lock:
        if session.training:
            raise UserError(strings.BUSY)
        session.training = True
        session.stop.clear()
    try:
        yield
    finally:
        session.training = False


class LongJob:
    """A button that starts a job, one that stops it, and the line that says how it goes."""

    def __init__(
        self,
        label: str,
        *,
        go_id: str,
        stop_id: str,
        status_id: str,
        hint: str = "",
        small: bool = False,
        ready: bool = True,
        min_height: int | None = None,
    ) -> None:
        with gr.Row(elem_classes="cs-go cs-go-small" if small else "cs-go"):
            self.go = gr.Button(
                label,
                variant="primary",
                interactive=ready,
                elem_id=go_id,
                scale=2 if small else 3,
                min_width=120,
            )
            self.stop = gr.Button(
                strings.STOP, interactive=False, elem_id=stop_id, scale=1, min_width=80
            )
        self.status = gr.HTML(
            page_html.hint(hint), padding=False, min_height=min_height, elem_id=status_id
        )

    @property
    def outputs(self) -> list[Any]:
        return [self.go, self.stop, self.status]

    def buttons(self, session: Session) -> Updates:
        """Go while nothing of this person's is running, Stop while something is."""
        return {
            self.go: gr.update(interactive=not session.training),
            self.stop: gr.update(interactive=session.training),
        }

    def wire(
        self,
        shell: Shell,
        job: Callable[..., Iterator[Any]],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        *,
        button: gr.Button | None = None,
        begun: Updates | None = None,
        shown: Callable[[Session, Progress], Updates],
        ended: Callable[[Session, bool], Updates],
    ) -> None:
        """Wire both buttons; with a `button`, only that one, as another way to begin.

        Args:
            job: `job(session, *values)` checks what it is given and returns the events. Whatever
                it or they raise takes the line of progress, and so does each Progress; a last
                word, which has no share, stays there.
            begun: updates when the job was begun.
            shown: `shown(session, progress)`, what else is new.
            ended: `ended(session, failed)`, updates when it is over: it came to its end, was
                stopped, or an error took the line of progress.
        """

        def run(session: Session, *values: Any) -> Iterator[Updates]:
            is_begun, failed, last = False, False, ""
            try:
                with working(session), TRAININGS.join(session.key) as place:
                    events = job(session, *values)
                    is_begun = True
                    yield self._begun() | (begun or {})
                    yield from self._in_line(session, place)
                    with _closing(events):
                        for event in events:
                            if isinstance(event, Progress):
                                line = _line(event)
                                last = line if event.share is None else ""
                                yield {self.status: line} | shown(session, event)
            except Exception as error:
                failed, last = True, page_html.notes([sentence_for(error)])
            if not is_begun:
                yield {self.status: last}
                return
            yield self.buttons(session) | ended(session, failed) | {self.status: last}

        shell.on(
            (button or self.go).click,
            run,
            inputs,
            [*self.outputs, *outputs],
            concurrency_limit=None,  # they wait in our line, which says how long
            show_progress="minimal",
            show_progress_on=[self.status],
        )
        if button is None:
            shell.on(self.stop.click, self._stop, [], [self.stop], queue=False, **QUIET)

    def _in_line(self, session: Session, place: Place) -> Iterator[Updates]:
        """Says how long the wait is, until this job's turn has come.

        Raises:
            UserError: it was stopped while it waited.
        """
        while place.number:
            if session.stop.is_set():
                raise UserError(strings.STOPPED_IN_LINE)
            sentence = strings.in_line(place.number, place.seconds)
            yield {self.status: page_html.progress(sentence, 0.0)}
            place.wait(1.0)

    def _begun(self) -> Updates:
        return {
            self.go: gr.update(interactive=False),
            self.stop: gr.update(interactive=True),
            self.status: page_html.progress(strings.PREPARING, 0.0),
        }

    def _stop(self, session: Session) -> Updates:
        if not session.training:
            raise UserError(strings.NOTHING_TO_STOP)
        session.stop.set()
        # the line is the job's own: an answer from here could come after its last word
        return {self.stop: gr.update(interactive=False)}


def _line(event: Progress) -> str:
    return page_html.progress(event.sentence, event.share) if event.sentence else ""


def _closing(events: Iterator[Any]) -> contextlib.AbstractContextManager[Any]:
    """A generator is closed; other iterators need not be."""
    return contextlib.closing(events) if isinstance(events, Generator) else contextlib.nullcontext()
