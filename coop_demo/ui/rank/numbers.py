"""Part "Teach it your order" of the tab Rank, its left half: a person's own numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from coop_demo.languages import rank as say
from coop_demo.ranking.instructions import check_instruction
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import QUIET, Shell
from coop_demo.ui.rank import html as rank_html
from coop_demo.ui.rank.choose import ChooseColumn, summary
from coop_demo.ui.rank.files import add_labels
from coop_demo.ui.rank.lesson import (
    MOST_IN_TABLE,
    check_meaning,
    number_by_click,
    number_by_order,
    put_numbers,
    read_numbers,
    take_labels,
)
from coop_demo.ui.rank.state import PLACE, Pile
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class Numbers:
    """Pictures to click in order, and a table to write numbers in."""

    def __init__(self) -> None:
        gr.HTML(page_html.hint(say.CLICK_HINT), padding=False)
        self.clickable = widgets.pictures_to_click(
            say.CLICK_LABEL,
            columns=8,
            height=290,
            visible=False,
            elem_id="rank-clickable",
            elem_classes="cs-ordered",
        )
        self.table = gr.Dataframe(
            headers=say.TABLE_HEADERS,
            datatype=["html", "str", "str"],
            column_widths=["18%", "52%", "30%"],
            static_columns=[0, 1],
            type="array",
            label=say.TABLE_LABEL,
            interactive=True,
            max_height=320,
            buttons=[],
            column_count=3,
            visible=False,
            elem_id="rank-table",
        )
        self.note = gr.HTML(padding=False, elem_id="rank-numbered")
        self.meaning = gr.Radio(
            list(say.MEANINGS.items()),
            value=PLACE,
            label=say.MEANING_LABEL,
            elem_id="rank-meaning",
        )
        with gr.Row(elem_classes="cs-row-buttons"):
            self.labels = _small(say.FROM_LABELS, "numbers-labels")
            self.order = _small(say.FROM_ORDER, "numbers-order")
            self.csv = gr.UploadButton(
                say.FROM_CSV,
                file_types=[".csv"],
                size="sm",
                min_width=120,
                elem_id="numbers-csv",
            )
            self.clear = _small(say.CLEAR_NUMBERS, "numbers-clear")

    @property
    def outputs(self) -> list[Any]:
        return [self.clickable, self.table, self.note, self.meaning]

    def view(self, session: Session) -> Updates:
        """The pictures with their numbers, in the gallery and in the table."""
        pile = session.pile
        shown = pile.pictures[:MOST_IN_TABLE]
        if not shown:
            return {
                self.clickable: gr.update(value=[], visible=False),
                self.table: gr.update(value=[], visible=False),
                self.note: "",
                self.meaning: pile.meaning,
            }
        rows, gallery = [], []
        for picture in shown:
            assert picture.content is not None
            number = pile.numbers.get(picture.content)
            written = "" if number is None else f"{number:g}"
            path = session.thumbnail(picture)
            uri = rank_html.inlined(path)
            rows.append([f'<img src="{uri}" alt="" width="40" height="40">', picture.name, written])
            gallery.append((str(path), written or None))
        return {
            self.clickable: gr.update(value=gallery, visible=True),
            self.table: gr.update(value=rows, visible=True),
            self.note: _numbered(pile),
            self.meaning: pile.meaning,
        }

    def wire(self, shell: Shell, choose: ChooseColumn) -> None:
        self._wire_writing(shell)
        self._wire_taking(shell, choose)

    def _wire_writing(self, shell: Shell) -> None:
        """Numbers by hand: typed, or clicked one picture after the other."""

        def typed(session: Session, rows: Sequence[Sequence[Any]]) -> Updates:
            put_numbers(session, read_numbers(session.pile, rows))
            updates = self.view(session)
            return {one: updates[one] for one in (self.clickable, self.note)}

        def clicked(session: Session, event: gr.SelectData) -> Updates:
            if not number_by_click(session, event.index):
                return {}
            return self.view(session)

        def mean(session: Session, meaning: str) -> Updates:
            session.pile.meaning = check_meaning(meaning)
            return {}

        def clear(session: Session) -> Updates:
            with session.lock:
                session.pile.numbers = {}
            return self.view(session)

        shell.on(
            self.table.input,
            typed,
            [self.table],
            [self.clickable, self.note],
            trigger_mode="always_last",
            **QUIET,
        )
        shell.on(self.clickable.select, clicked, [], self.outputs, **QUIET)
        shell.on(self.meaning.input, mean, [self.meaning], [], **QUIET)
        shell.on(self.clear.click, clear, [], self.outputs, **QUIET)

    def _wire_taking(self, shell: Shell, choose: ChooseColumn) -> None:
        """Numbers from elsewhere: the labels, the order above, a table."""

        def from_labels(session: Session, instruction: Any) -> Updates:
            take_labels(session, str(instruction or ""))
            return self.view(session)

        def from_order(session: Session) -> Updates:
            number_by_order(session)
            return self.view(session)

        def from_csv(session: Session, path: str | None, instruction: Any) -> Updates:
            if not path:
                return {}
            wording = check_instruction(str(instruction or ""))
            said = add_labels(session.pile, Path(path), instruction=wording)
            session.pile.instruction = wording
            session.pile.problems = tuple(said)
            take_labels(session, wording)
            return self.view(session) | {choose.summary: summary(session.pile)}

        instruction = choose.instruction
        shell.on(self.labels.click, from_labels, [instruction], self.outputs, **QUIET)
        shell.on(self.order.click, from_order, [], self.outputs, **QUIET)
        shell.on(
            self.csv.upload,
            from_csv,
            [self.csv, instruction],
            [*self.outputs, choose.summary],
            **QUIET,
        )


def read_table(session: Session, rows: Any, meaning: Any) -> None:
    """Make the table, as it stands on the page, the session's numbers.

    Raises:
        RankingError: a cell or the meaning cannot be used.
    """
    checked = check_meaning(meaning)
    put_numbers(session, read_numbers(session.pile, rows or []))
    session.pile.meaning = checked


def _numbered(pile: Pile) -> str:
    n = sum(content in pile.by_content for content in pile.numbers)
    return page_html.hint(say.numbered(n, len(pile.pictures), MOST_IN_TABLE))


def _small(label: str, elem_id: str) -> gr.Button:
    return gr.Button(label, size="sm", min_width=120, elem_id=elem_id)
