"""The looks of the tab Look: from a question to the maps and their check.

What a person does (choose a picture, drop one, ask, click a class, come from another tab) is one
event each, so that what is asked for never depends on what the page has heard of meanwhile.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.languages import look as say
from coop_demo.ui import html as page_html
from coop_demo.ui.context import LOOKS, Refresh, Shell
from coop_demo.ui.events import sentence_for
from coop_demo.ui.explain import actions, order_actions
from coop_demo.ui.explain import html as explain_html
from coop_demo.ui.explain.check import Check
from coop_demo.ui.explain.maps import Maps
from coop_demo.ui.explain.question import Question
from coop_demo.ui.explain.ranked import Ranked
from coop_demo.ui.explain.state import MINE, SCENES, Subject
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class Looking:
    """The question on the left and, on the right, the maps of prompts or those of the ranker."""

    def __init__(
        self,
        question: Question,
        maps: Maps,
        check: Check,
        ranked: Ranked,
        plain: gr.Column,
        of_order: gr.Column,
    ) -> None:
        self.question, self.maps, self.check, self.ranked = question, maps, check, ranked
        self.plain, self.of_order = plain, of_order  # one of them is on show

    @property
    def outputs(self) -> list[Any]:
        return [self.plain, self.of_order, *self.maps.outputs, *self.check.outputs]

    @property
    def answer(self) -> list[Any]:
        """What a look may change."""
        return [self.question.wanted, self.question.status, *self.outputs]

    def columns_view(self, session: Session) -> Updates:
        """The maps of prompts, or those of the ranker when pictures of an order were chosen."""
        ranked = order_actions.chosen(session) is not None
        return {
            self.plain: gr.update(visible=not ranked),
            self.of_order: gr.update(visible=ranked),
        }

    def view(
        self, session: Session, opacity: Any = explain_html.OPACITY, cells: Any = False
    ) -> Updates:
        """What was looked at last."""
        looked = actions.looked_at(session)
        return (
            self.columns_view(session)
            | self.maps.view(session, looked, opacity, cells)
            | self.check.view(session, looked)
        )

    def run(
        self, session: Session, wanted: Any, method: Any, opacity: Any, cells: Any
    ) -> Iterator[Updates]:
        """First the maps, then their check."""
        status = self.question.status
        actions.taken_up(session)
        order_actions.forget(session)
        if not str(wanted or "").strip():
            nothing = page_html.notes([], [say.NOTHING_WANTED])
            yield {status: nothing} | self.view(session, opacity, cells)
            return
        yield {status: page_html.progress(say.LOOKING)} | self.columns_view(session)
        try:
            for looked in actions.look(session, wanted, method):
                first = not looked.checks
                updates = {status: ""} | self.columns_view(session)
                if first:
                    updates |= self.maps.view(session, looked, opacity, cells)
                yield updates | self.check.view(session, looked, checking=first)
        except Exception as error:
            sentence = page_html.notes([sentence_for(error)])
            yield {status: sentence} | self.check.view(session, None)

    def look_at(
        self, session: Session, subject: Subject, wanted: Any, *how: Any
    ) -> Iterator[Updates]:
        """`run` for a picture that was chosen just now; its class names come first.

        `wanted` is what the field of that name holds.
        """
        order_actions.forget(session)
        names = self.question.choices(subject, wanted)
        yield names | {self.question.status: ""} | self.view(session)
        yield from self.run(session, subject.first_wanted, *how)

    def wire(self, shell: Shell, tab: gr.Tab) -> None:
        # "multiple": what was asked for last counts, and `actions.look` ends what came before
        heavy: dict[str, Any] = LOOKS | {
            "trigger_mode": "multiple",
            "show_progress": "minimal",
            "show_progress_on": [self.question.status],
        }
        self._wire_asking(shell, heavy)
        self._wire_choosing(shell, heavy)
        self._wire_set(shell, heavy | {"trigger_mode": "once"})
        self._wire_arriving(shell, tab, heavy)
        self._wire_opening(shell)

    @property
    def _how(self) -> list[Any]:
        return [self.question.method, self.maps.opacity, self.maps.cells]

    def _wire_asking(self, shell: Shell, heavy: dict[str, Any]) -> None:
        """Look is pressed, or a class of the strip is clicked."""
        question = self.question

        def go(session: Session, wanted: Any, *how: Any) -> Iterator[Updates]:
            yield from self.run(session, wanted, *how)

        def choose_class(
            session: Session, method: Any, opacity: Any, cells: Any, event: gr.SelectData
        ) -> Iterator[Updates]:
            looked = actions.looked_at(session)
            if looked is None or not isinstance(event.index, int):
                raise UserError(say.UNKNOWN_PICTURE)
            wanted = looked.texts[min(max(event.index, 0), len(looked.texts) - 1)]
            yield {question.wanted: gr.update(value=wanted)}
            yield from self.run(session, wanted, method, opacity, cells)

        shell.on(question.go.click, go, [question.wanted, *self._how], self.answer, **heavy)
        shell.on(self.maps.strip.select, choose_class, self._how, self.answer, **heavy)

    def _wire_choosing(self, shell: Shell, heavy: dict[str, Any]) -> None:
        """A picture is clicked in the gallery, or dropped."""
        question = self.question

        def choose(
            session: Session,
            wanted: Any,
            method: Any,
            opacity: Any,
            cells: Any,
            event: gr.SelectData,
        ) -> Iterator[Updates]:
            subject = actions.offered(session, event.index)
            actions.choose(session, subject)
            yield from self.look_at(session, subject, wanted, method, opacity, cells)

        def drop(session: Session, path: str | None, wanted: Any, *how: Any) -> Iterator[Updates]:
            if not path:
                return
            try:
                subject = actions.dropped(session, path)
            except UserError as error:
                yield {question.status: page_html.notes([str(error)])}
                return
            actions.choose(session, subject)
            yield from self.look_at(session, subject, wanted, *how)

        asked = [question.wanted, *self._how]
        shell.on(question.gallery.select, choose, asked, self.answer, **heavy)
        shell.on(question.picture.input, drop, [question.picture, *asked], self.answer, **heavy)

    def _wire_set(self, shell: Shell, heavy: dict[str, Any]) -> None:
        """All pictures of a set are drawn into a zip."""
        question = self.question

        def draw_set(
            session: Session, source: str, method: Any, opacity: Any, cells: Any
        ) -> Iterator[Updates]:
            yield {
                question.status: page_html.progress(say.LOOKING, 0.0),
                question.set_zip: gr.update(visible=False),
            }
            try:
                events = actions.maps_of_set(
                    session, source, method, opacity=explain_html.held(opacity), cells=bool(cells)
                )
                for done, total, packed, remark in events:
                    if packed is None:
                        drawing = page_html.progress(say.drawing(done, total), done / total)
                        yield {question.status: drawing}
                        continue
                    path = session.folder / "maps-of-a-set.zip"
                    path.write_bytes(packed)
                    yield {
                        question.status: page_html.notes([], [remark] if remark else []),
                        question.set_zip: gr.update(value=str(path), visible=True),
                    }
            except Exception as error:
                yield {question.status: page_html.notes([sentence_for(error)])}

        shell.on(
            question.draw_set.click,
            draw_set,
            [question.source, *self._how],
            [question.status, question.set_zip],
            **heavy,
        )

    def _wire_arriving(self, shell: Shell, tab: gr.Tab, heavy: dict[str, Any]) -> None:
        """The tab opens: the methods of the model in use, and what other tabs brought along."""
        question, ranked = self.question, self.ranked

        def arrive(
            session: Session,
            source: str,
            wanted: Any,
            method: Any,
            opacity: Any,
            cells: Any,
            ranked_opacity: Any,
            ranked_cells: Any,
        ) -> Iterator[Updates]:
            here = question.methods_view(session)
            if source == MINE:
                with contextlib.suppress(UserError):  # none left: what is shown may stay
                    here |= question.offer(session, source)
            if order_actions.is_fresh(session):
                yield here | self.columns_view(session)
                choices = ranked.choices_view(session)
                for updates in ranked.run(session, ranked_opacity, ranked_cells):
                    yield choices | updates
                return
            yield here
            subject = actions.chosen(session)
            if subject is not None and actions.is_fresh(session):
                yield from self.look_at(session, subject, wanted, method, opacity, cells)

        def back(session: Session) -> Updates:
            order_actions.forget(session)
            return self.columns_view(session)

        shell.on(
            tab.select,
            arrive,
            [question.source, question.wanted, *self._how, ranked.opacity, ranked.cells],
            [
                question.method,
                question.gallery,
                question.offered,
                *self.answer,
                *ranked.choices,
                *ranked.outputs,
            ],
            **heavy,
        )
        shell.on(ranked.back.click, back, [], [self.plain, self.of_order], show_progress="hidden")

    def _wire_opening(self, shell: Shell) -> None:
        question = self.question

        def refresh(session: Session) -> Updates:
            subject = actions.chosen(session)
            names = question.choices(subject, "") if subject else {}
            offered = question.offer(session, SCENES)
            return offered | {question.source: SCENES} | names | self.view(session)

        def model_changed(session: Session) -> Updates:
            actions.forget(session)
            order_actions.forget(session)
            methods = actions.fitting_methods(session.backbone)
            return {
                question.method: gr.update(choices=methods, value="auto"),
                question.status: "",
                question.set_zip: gr.update(visible=False),
            } | self.view(session)

        offered = [question.gallery, question.offered, question.source, question.wanted]
        shell.on_open.append(Refresh(refresh, [*offered, *self.outputs]))
        status = [question.method, question.status, question.set_zip]
        shell.on_model.append(Refresh(model_changed, [*status, *self.outputs]))
