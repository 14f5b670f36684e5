"""Part "Choose" of the tab Rank: pictures, labels, instructions and the ranker in use."""

from typing import Any

import gradio as gr

from coop_demo import samples
from coop_demo.data.images import list_pictures
from coop_demo.data.picture_formats import UPLOAD_TYPES
from coop_demo.errors import UserError
from coop_demo.languages import rank as say
from coop_demo.languages import said
from coop_demo.letters import printable
from coop_demo.ranking.checkpoint import offered_rankers
from coop_demo.ranking.instructions import EXAMPLE_INSTRUCTIONS
from coop_demo.settings import LIMITS
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import QUIET, Part, Shell
from coop_demo.ui.events import warned
from coop_demo.ui.rank import html as rank_html
from coop_demo.ui.rank.actions import load, ranker_in_use, use_offered
from coop_demo.ui.rank.files import add_files, show_sample
from coop_demo.ui.rank.state import Pile
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class ChooseColumn:
    """What is ranked, by what, and with which ranker."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(1, say.TITLE, say.LEAD), padding=False)
        self.sample_buttons: list[tuple[samples.SampleSet, gr.Button]] = []
        with gr.Row(elem_classes="cs-samples", equal_height=True):
            for sample in samples.sample_sets():
                if sample.kind == "ranking":
                    self.sample_buttons.append((sample, _sample_button(sample)))
        self.files = gr.File(
            label=say.DROP_LABEL,
            show_label=False,
            file_count="multiple",
            file_types=[*UPLOAD_TYPES, ".zip", ".csv"],
            height=120,
            elem_id="rank-files",
        )
        gr.HTML(page_html.hint(say.DROP_HINT), padding=False)
        self.summary = gr.HTML(page_html.hint(say.EMPTY), padding=False, elem_id="rank-summary")
        self.clear = gr.Button(say.START_OVER, size="sm", elem_id="rank-clear")
        self.undo = widgets.Undo("rank-undo")
        self.instruction = gr.Dropdown(
            list(EXAMPLE_INSTRUCTIONS),
            value=EXAMPLE_INSTRUCTIONS[0],
            label=say.INSTRUCTION,
            info=say.INSTRUCTION_INFO,
            allow_custom_value=True,
            interactive=True,
            elem_id="rank-instruction",
        )
        self.second = gr.Dropdown(
            ["", *EXAMPLE_INSTRUCTIONS],
            value="",
            label=say.SECOND,
            info=say.SECOND_INFO,
            allow_custom_value=True,
            interactive=True,
            elem_id="rank-second",
        )
        self.rank = gr.Button(say.RANK, variant="primary", elem_id="rank-go")
        self.ranker_note = gr.HTML(padding=False, elem_id="ranker-note")
        with gr.Row(elem_classes="cs-files"):
            self.save = gr.DownloadButton(
                say.SAVE_RANKER, size="sm", interactive=False, elem_id="ranker-save"
            )
            self.load = gr.UploadButton(
                say.LOAD_RANKER, file_types=[".safetensors"], size="sm", elem_id="ranker-load"
            )
        offers = [
            (say.offered(one.title, one.path.name), one.path.name) for one in offered_rankers()
        ]
        self.offered = gr.Dropdown(
            offers,
            value=None,
            label=say.OFFERED_LABEL,
            info=say.OFFERED_INFO,
            visible=bool(offers),
            interactive=True,
            elem_id="ranker-offered",
        )
        self.shipped = gr.Button(
            say.USE_SHIPPED, size="sm", visible=False, elem_id="ranker-shipped"
        )

    @property
    def outputs(self) -> list[Any]:
        return [self.summary, self.instruction, self.second, *self.undo.outputs]

    @property
    def ranker_outputs(self) -> list[Any]:
        return [self.ranker_note, self.save, self.shipped]

    def view(self, session: Session) -> Updates:
        """The pile in a sentence, and the instructions to choose from."""
        pile = session.pile
        known = [name for name in pile.labels if name]
        choices = list(dict.fromkeys([*known, *EXAMPLE_INSTRUCTIONS]))
        gone = pile.can_undo
        return {
            self.summary: summary(pile),
            self.instruction: gr.update(choices=choices, value=pile.instruction or choices[0]),
            self.second: gr.update(choices=["", *choices], value=pile.second),
        } | self.undo.view(say.cleared(len(gone.pictures)) if gone else "")

    def ranker_view(self, session: Session) -> Updates:
        """The ranker in use, and whether it is a person's own."""
        problem, used = "", None
        try:
            used = ranker_in_use(session)
        except UserError as error:
            problem = str(error)
        own = session.backbone in session.pile.rankers
        if problem:
            note = page_html.notes([problem])
        elif used is None:
            note = page_html.notes([], [say.no_ranker(session.backbone)])
        else:
            note = page_html.hint(say.in_use(said(used.title)))
        file = str(used.file) if used and used.file and own else None
        return {
            self.ranker_note: note,
            self.save: gr.update(value=file, interactive=file is not None),
            self.shipped: gr.update(visible=own),
        }

    def wire(self, shell: Shell, order: Part, numbers: Part) -> None:
        everything = [*self.outputs, *order.outputs, *numbers.outputs]

        def all_views(session: Session) -> Updates:
            return self.view(session) | order.view(session) | numbers.view(session)

        def refresh(session: Session) -> Updates:
            return all_views(session) | self.ranker_view(session)

        self._wire_pile(shell, all_views, everything)
        self._wire_ranker(shell)
        shell.keep_typed(self.instruction, self.second)
        shell.refreshes(refresh, [*everything, *self.ranker_outputs])

    def _wire_pile(self, shell: Shell, all_views: Any, everything: list[Any]) -> None:
        """Pictures and labels come, and go all at once."""

        def open_sample(sample: samples.SampleSet):
            def call(session: Session) -> Updates:
                show_sample(session, sample)
                return all_views(session)

            return call

        def add(session: Session, paths: list[str] | None, instruction: Any) -> Updates:
            if not paths:
                return {}
            session.pile.instruction = printable(str(instruction or ""))[: LIMITS.max_instruction]
            add_files(session, paths)
            return all_views(session) | {self.files: None}

        def clear(session: Session) -> Updates:
            with session.lock:
                session.pile.clear()
            return all_views(session)

        def undo(session: Session) -> Updates:
            with session.lock:
                session.pile.bring_back()
            return all_views(session)

        shown = [self.summary]
        for sample, button in self.sample_buttons:
            shell.on(button.click, open_sample(sample), [], everything, show_progress_on=shown)
        shell.on(
            self.files.upload,
            add,
            [self.files, self.instruction],
            [self.files, *everything],
            show_progress_on=shown,
        )
        shell.on(self.clear.click, clear, [], everything, **QUIET)
        shell.on(self.undo.button.click, undo, [], everything, **QUIET)

    def _wire_ranker(self, shell: Shell) -> None:
        """A ranker comes from a file, or the shipped one comes back."""

        def load_file(session: Session, path: str | None) -> Updates:
            try:
                if path:
                    load(session, path)
            except Exception as error:
                return {self.ranker_note: page_html.notes([warned(error)])}
            return self.ranker_view(session)

        def take(session: Session, name: str | None) -> Updates:
            if name:
                use_offered(session, str(name))
            return self.ranker_view(session)

        def back(session: Session) -> Updates:
            with session.lock:
                session.pile.rankers.pop(session.backbone, None)
            return self.ranker_view(session)

        shell.on(
            self.load.upload,
            load_file,
            [self.load],
            self.ranker_outputs,
            show_progress_on=[self.ranker_note],
        )
        shell.on(
            self.offered.input,
            take,
            [self.offered],
            self.ranker_outputs,
            show_progress_on=[self.ranker_note],
        )
        shell.on(self.shipped.click, back, [], self.ranker_outputs, **QUIET)


def summary(pile: Pile) -> str:
    """What is on the pile, and what is to be said about it."""
    if not pile.pictures:
        return page_html.hint(say.EMPTY) + page_html.notes(pile.problems, pile.notes)
    sentence = say.facts(len(pile.pictures), pile.labels)
    remarks = (*pile.notes, *pile.about)
    return page_html.facts(pile.source, sentence) + page_html.notes(pile.problems, remarks)


def _sample_button(sample: samples.SampleSet) -> gr.Button:
    with gr.Column(elem_classes="cs-sample", min_width=90):
        pictures = list_pictures(sample.folder / "pictures")[:4]
        tiles = [rank_html.inlined(path) for path in pictures]
        gr.HTML(page_html.mosaic(tiles), padding=False)
        return gr.Button(
            said(sample.title),
            size="sm",
            min_width=60,
            elem_id=f"rank-{sample.name}",
            elem_classes="cs-use",
        )
