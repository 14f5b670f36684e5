"""Part of the tab "Look": what the ranker looked at in pictures of an order."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from coop_demo.errors import RankingError
from coop_demo.languages import look as say
from coop_demo.ui import html as page_html
from coop_demo.ui.context import LOOKS, QUIET, Refresh, Shell
from coop_demo.ui.events import sentence_for
from coop_demo.ui.explain import html as explain_html
from coop_demo.ui.explain import order_actions
from coop_demo.ui.explain.saving import PackedFile
from coop_demo.ui.explain.state import RankedLook
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates

_ALONE = -1  # the second dropdown's value for "no other"


class Ranked:
    """The ranker's maps of one or two pictures: the pair, the score, the words."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(2, say.RANKED_TITLE, say.RANKED_LEAD), padding=False)
        with gr.Row(elem_classes="cs-options", equal_height=True):
            self.first = gr.Dropdown(
                [], label=say.RANKED_FIRST, interactive=True, elem_id="look-ranked-first"
            )
            self.other = gr.Dropdown(
                [], label=say.RANKED_OTHER, interactive=True, elem_id="look-ranked-other"
            )
        self.status = gr.HTML(padding=False, elem_id="look-ranked-status")
        with gr.Column(visible=False, elem_id="look-ranked-maps") as self.all:
            self.answer = gr.HTML(padding=False, elem_id="look-ranked-answer")
            with gr.Row(elem_classes="cs-options cs-look-options"):
                self.opacity = gr.Slider(
                    0, 1, explain_html.OPACITY, step=0.05, label=say.OPACITY_LABEL, buttons=[]
                )
                self.cells = gr.Checkbox(False, label=say.CELLS_LABEL)
            with gr.Column() as self.pair_part:
                gr.HTML(explain_html.part(say.PAIR_HEAD, say.PAIR_LEAD), padding=False)
                self.pair = _gallery("look-ranked-pair", "cs-look-two")
            gr.HTML(explain_html.part(say.SCORE_HEAD, say.SCORE_LEAD), padding=False)
            self.score = _gallery("look-ranked-score", "cs-look-two")
            self.words_head = gr.HTML(padding=False)
            self.words = _gallery("look-ranked-words", "cs-look-many")
            self.zip = PackedFile(say.ZIP_RANKED, "look-ranked")
        self.back = gr.Button(say.BACK, size="sm", elem_id="look-ranked-back")

    @property
    def choices(self) -> list[Any]:
        return [self.first, self.other]

    @property
    def drawings(self) -> list[Any]:
        return [self.pair_part, self.pair, self.score, self.words]

    @property
    def outputs(self) -> list[Any]:
        return [self.status, self.all, self.answer, self.words_head, *self.drawings]

    def choices_view(self, session: Session) -> Updates:
        """The order's pictures, those that are looked at chosen."""
        subject = order_actions.chosen(session)
        if subject is None:
            no_choice = gr.update(choices=[], value=None)
            return {self.first: no_choice, self.other: no_choice}
        order = subject.order
        named = [(f"{place}. {one.name}", place - 1) for place, one in enumerate(order, start=1)]
        at = [_place(order, picture) for picture in subject.pictures]
        other = at[1] if len(at) > 1 else _ALONE
        return {
            self.first: gr.update(choices=named, value=at[0]),
            self.other: gr.update(choices=[(say.ALONE, _ALONE), *named], value=other),
        }

    def drawings_view(self, looked: RankedLook, opacity: Any, cells: Any) -> Updates:
        """What changes with the opacity and the resolution."""
        how = {"opacity": explain_html.held(opacity), "cells": bool(cells)}
        return {
            self.pair_part: gr.update(visible=looked.maps.pair is not None),
            self.pair: order_actions.pair_pictures(looked, **how),
            self.score: order_actions.score_pictures(looked, **how),
            self.words: order_actions.word_pictures(looked, **how),
        }

    def view(self, looked: RankedLook | None, opacity: Any, cells: Any) -> Updates:
        if looked is None:
            return {
                self.status: "",
                self.all: gr.update(visible=False),
                self.answer: "",
                self.words_head: "",
            }
        asked = say.ranked_by(looked.instruction, looked.maps.grid.shape, looked.seconds)
        elsewhere = sum(one.elsewhere for one in looked.maps.words) / len(looked.maps.words)
        return {
            self.status: page_html.hint(asked),
            self.all: gr.update(visible=True),
            self.answer: explain_html.answer(looked.answer),
            self.words_head: explain_html.part(say.WORDS_HEAD, say.words_lead(elsewhere)),
            **self.drawings_view(looked, opacity, cells),
        }

    def run(self, session: Session, opacity: Any, cells: Any) -> Iterator[Updates]:
        """The maps of what was chosen."""
        order_actions.taken_up(session)
        yield {self.status: page_html.progress(say.LOOKING)}
        try:
            looked = order_actions.look(session)
        except Exception as error:
            sentence = page_html.notes([sentence_for(error)])
            yield {self.status: sentence, self.all: gr.update(visible=False)}
            return
        yield self.view(looked, opacity, cells)

    def wire(self, shell: Shell) -> None:
        def choose(
            session: Session, first: Any, other: Any, opacity: Any, cells: Any
        ) -> Iterator[Updates]:
            subject = order_actions.chosen(session)
            wanted = [first] if other in (None, _ALONE) else [first, other]
            if subject is None or not all(
                isinstance(at, int) and 0 <= at < len(subject.order) for at in wanted
            ):
                raise RankingError(say.NOTHING_RANKED)
            order_actions.choose_again(session, wanted)
            yield from self.run(session, opacity, cells)

        def redraw(session: Session, opacity: Any, cells: Any) -> Updates:
            looked = order_actions.looked_at(session)
            return self.drawings_view(looked, opacity, cells) if looked else {}

        def pack(session: Session, opacity: Any, cells: Any) -> bytes | None:
            looked = order_actions.looked_at(session)
            how = {"opacity": explain_html.held(opacity), "cells": bool(cells)}
            return order_actions.zip_of(looked, **how) if looked else None

        def refresh(session: Session) -> Updates:
            looked = order_actions.looked_at(session)
            return self.choices_view(session) | self.view(looked, explain_html.OPACITY, False)

        how = [self.opacity, self.cells]
        shell.on(
            [self.first.input, self.other.input],
            choose,
            [self.first, self.other, *how],
            self.outputs,
            trigger_mode="always_last",
            show_progress="minimal",
            show_progress_on=[self.status],
            **LOOKS,
        )
        # `input` and not `release`, which a keyboard never sends; what came too fast is skipped
        shell.on(
            self.opacity.input, redraw, how, self.drawings, trigger_mode="always_last", **QUIET
        )
        shell.on(self.cells.input, redraw, how, self.drawings, **QUIET)
        self.zip.wire(shell, "ranker-maps.zip", pack, how)
        shell.on_open.append(Refresh(refresh, [*self.choices, *self.outputs]))


def _gallery(elem_id: str, kind: str) -> gr.Gallery:
    return gr.Gallery(
        show_label=False,
        interactive=False,
        columns=2,
        object_fit="contain",
        height="auto",
        format="png",
        buttons=["download", "fullscreen"],
        elem_id=elem_id,
        elem_classes=["cs-look-strip", kind],
    )


def _place(order: Sequence[Any], picture: Any) -> int | None:
    """Where the picture stands in the order; None where it does not."""
    return next((at for at, one in enumerate(order) if one.content == picture.content), None)
