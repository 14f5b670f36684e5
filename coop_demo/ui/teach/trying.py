"""Column "Try" of the tab Teach: a picture, many pictures, and the prompt as a file."""

import tempfile
from pathlib import Path
from typing import Any, Protocol

import gradio as gr

from coop_demo.data.dataset import Picture
from coop_demo.data.picture_formats import UPLOAD_TYPES
from coop_demo.languages import said
from coop_demo.languages import teach as say
from coop_demo.prompts.familiar import UNLIKE
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import LOOKS, Part, Shell
from coop_demo.ui.events import sentence_for, warned
from coop_demo.ui.session import Session, Taught
from coop_demo.ui.teach import html as teach_html
from coop_demo.ui.teach.actions import (
    as_csv,
    gather,
    load,
    surprise,
    table_rows,
    try_pictures,
)
from coop_demo.ui.teach.examples import Examples
from coop_demo.ui.teach.state import AtHand, Tried
from coop_demo.ui.windows import Updates


class Training(Part, Protocol):
    """The column beside this one, which shows what was learned and holds the words to beat."""

    template: gr.Textbox


class TryColumn:
    """One picture with both prompts' bars, many pictures with a table, and the prompt's file."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(3, say.TRY_TITLE, say.TRY_LEAD), padding=False)
        self.picture = widgets.picture_box(say.TRY_LABEL, height=200, elem_id="try-picture")
        self.examples = Examples()
        self.bars = gr.HTML(padding=False, elem_id="bars")
        with gr.Accordion(say.MANY_TITLE, open=False, elem_id="many"):
            self.files = gr.File(
                label=say.MANY_LABEL,
                file_count="multiple",
                file_types=[*UPLOAD_TYPES, ".zip"],
                height=120,
                elem_id="try-files",
            )
            self.problems = gr.HTML(padding=False)
            self.table = gr.Dataframe(
                headers=list(say.TABLE_HEADERS),
                datatype=["str", "str", "number", "str", "number"],
                label=say.RESULTS_LABEL,
                interactive=False,
                visible=False,
                max_height=320,
                buttons=[],
                elem_id="try-table",
            )
            self.csv = gr.DownloadButton(
                say.DOWNLOAD_CSV, visible=False, size="sm", elem_id="download-csv"
            )
        with gr.Row(elem_classes="cs-files"):
            self.save = gr.DownloadButton(
                say.SAVE_PROMPT, interactive=False, min_width=120, elem_id="save"
            )
            self.load = gr.UploadButton(
                say.LOAD_PROMPT, file_types=[".safetensors"], min_width=120, elem_id="load"
            )
        self.note = gr.HTML(padding=False, elem_id="prompt-note")

    @property
    def prompt_outputs(self) -> list[Any]:
        return [self.save, self.note, self.bars]

    def prompt_view(self, session: Session) -> Updates:
        """The current prompt, and no bars: they were another one's."""
        taught = session.current
        return {
            self.save: gr.update(
                value=str(taught.file) if taught and taught.file else None,
                interactive=taught is not None,
            ),
            self.note: page_html.hint(_prompt_note(taught)),
            self.bars: "",
        }

    def wire(self, shell: Shell, train: Training, summary: gr.HTML) -> None:
        """Wire the column; a loaded prompt shows in the column `train`, whose words it is
        compared with. `summary` changes when other pictures are shown."""
        self._wire_trying(shell, train.template)
        self._wire_many(shell, train.template)
        self.examples.wire(shell, summary.change, self.save.change)
        self._wire_file(shell, train)
        shell.refreshes(self.prompt_view, self.prompt_outputs)

    def _wire_trying(self, shell: Shell, template: gr.Textbox) -> None:
        def bars(session: Session, path: str | None, words: str) -> Updates:
            """Of the picture at hand that was chosen last, else of the one that was dropped."""
            chosen = session.trying
            if not path and not chosen:
                return {self.bars: ""}
            try:
                picture = chosen.picture if chosen else _dropped(path)
                tried = try_pictures(session, [picture], str(words))
                head = _shown(session, chosen) if chosen else ""
            except Exception as error:
                return {self.bars: page_html.notes([sentence_for(error)])}
            return {self.bars: head + _bars(tried)}

        def try_dropped(session: Session, path: str | None, words: str) -> Updates:
            session.trying = None
            return bars(session, path, words)

        def try_again(session: Session, path: str | None, words: str) -> Updates:
            return bars(session, path, words)

        def try_example(session: Session, words: str, event: gr.SelectData) -> Updates:
            self.examples.chosen(session, event.index)
            return bars(session, None, words)

        def try_other(session: Session, words: str) -> Updates:
            session.trying = surprise(session)
            return bars(session, None, words)

        picture = [self.picture, template]
        shell.on(self.picture.change, try_dropped, picture, [self.bars], **LOOKS)
        # what is on show is tried again with the prompt that was just learned or loaded
        shell.on(self.save.change, try_again, picture, [self.bars], **LOOKS)
        shell.on(self.examples.gallery.select, try_example, [template], [self.bars], **LOOKS)
        shell.on(self.examples.surprise.click, try_other, [template], [self.bars], **LOOKS)

    def _wire_many(self, shell: Shell, template: gr.Textbox) -> None:
        def try_many(session: Session, paths: list[str] | None, words: str) -> Updates:
            nothing = {self.table: gr.update(visible=False), self.csv: gr.update(visible=False)}
            if not paths:
                return nothing | {self.problems: ""}
            try:
                with tempfile.TemporaryDirectory(dir=session.folder) as folder:
                    pictures, problems = gather(paths, Path(folder))
                    tried = try_pictures(session, pictures, str(words))
                csv_path = session.folder / "results.csv"
                csv_path.write_text(as_csv(tried), encoding="utf-8")
            except Exception as error:
                return nothing | {self.problems: page_html.notes([sentence_for(error)])}
            return {
                self.problems: page_html.notes([*problems, *tried.problems]),
                self.table: gr.update(value=table_rows(tried), visible=True),
                self.csv: gr.update(value=str(csv_path), visible=True),
            }

        shell.on(
            self.files.change,
            try_many,
            [self.files, template],
            [self.problems, self.table, self.csv],
            show_progress_on=[self.problems],
            **LOOKS,
        )

    def _wire_file(self, shell: Shell, train: Training) -> None:
        def load_file(session: Session, path: str | None) -> Updates:
            try:
                if path:
                    load(session, path)
            except Exception as error:
                return {self.note: page_html.notes([warned(error)])}
            return train.view(session) | self.prompt_view(session)

        shell.on(
            self.load.upload,
            load_file,
            [self.load],
            [*train.outputs, *self.prompt_outputs],
            show_progress_on=[self.note],
        )


def _prompt_note(taught: Taught | None) -> str:
    return say.prompt_in_use(taught.prompt.class_names) if taught else ""


def _bars(tried: Tried) -> str:
    learned = None if tried.learned is None else tried.learned[0]
    names = tried.class_names
    return teach_html.pair(
        teach_html.bars(say.LEARNED, "learned", names, learned, empty=say.TRAIN_FIRST),
        teach_html.bars(say.WORDS, "words", names, tried.words[0], empty=""),
    ) + page_html.notes([], [UNLIKE] if tried.unlike[:1] == (True,) else [])


def _dropped(path: str | None) -> Picture:
    source = Path(str(path))
    return Picture(source.name, source)


def _shown(session: Session, chosen: AtHand) -> str:
    return teach_html.shown(
        session.thumbnail(chosen.picture), say.truth(chosen.truth, said(chosen.elsewhere))
    )
