"""Column "Show" of the tab Teach: samples, uploads, and a row for each class."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gradio as gr

from coop_demo import samples
from coop_demo.data.picture_formats import UPLOAD_TYPES
from coop_demo.errors import DatasetError, UserError
from coop_demo.languages import said
from coop_demo.languages import teach as say
from coop_demo.settings import LIMITS
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import QUIET, Part, Refresh, Shell
from coop_demo.ui.job import LongJob
from coop_demo.ui.session import Session
from coop_demo.ui.teach import burst
from coop_demo.ui.teach import html as teach_html
from coop_demo.ui.teach.actions import open_folder, open_sample, open_zip
from coop_demo.ui.windows import Updates

N_ROWS = LIMITS.max_classes_page
FOLDED = 12  # thumbnails: two rows of them; the rest shows when asked for


class Training(Part, Protocol):
    """The column that learns from these pictures."""

    template: gr.Textbox
    job: LongJob

    def ready(self, session: Session) -> Updates: ...


class Trying(Protocol):
    """The column that shows what the prompt makes of a picture."""

    @property
    def prompt_outputs(self) -> list[Any]: ...

    def prompt_view(self, session: Session) -> Updates: ...


class ShowColumn:
    """Ten class rows, built once and shown as needed, so that uploads are never lost."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(1, say.SHOW_TITLE, say.SHOW_LEAD), padding=False)
        self.sample_buttons: list[tuple[str, gr.Button]] = []
        with gr.Row(elem_classes="cs-samples", equal_height=True):
            for sample in samples.sample_sets():
                if sample.teaches:
                    self.sample_buttons.append((sample.name, _sample_button(sample)))
        with gr.Row(elem_classes="cs-uploads"):
            self.zip = gr.UploadButton(
                say.UPLOAD_ZIP, file_types=[".zip"], size="sm", min_width=110, elem_id="open-zip"
            )
            self.folder = gr.UploadButton(
                say.UPLOAD_FOLDER,
                file_count="directory",
                size="sm",
                min_width=110,
                elem_id="open-folder",
            )
        gr.HTML(page_html.hint(say.UPLOAD_HINT), padding=False)
        self.boxes: list[gr.Group] = []
        self.names: list[gr.Textbox] = []
        self.removes: list[gr.Button] = []
        self.galleries: list[gr.Gallery] = []
        self.counts: list[gr.HTML] = []
        self.summary = gr.HTML(
            page_html.hint(say.NO_PICTURES_YET), padding=False, elem_id="summary"
        )
        self.overview = gr.HTML(visible=False, padding=False)
        with gr.Column(elem_classes="cs-rows", elem_id="class-rows"):
            for index in range(N_ROWS):
                self._row(index)
        with gr.Row(elem_classes="cs-row-buttons"):
            self.add = gr.Button(say.ADD_CLASS, size="sm", min_width=110, elem_id="add-class")
            self.clear = gr.Button(say.START_OVER, size="sm", min_width=110, elem_id="start-over")
        self.undo = widgets.Undo("undo")

    def _row(self, index: int) -> None:
        shown = index < 2
        with gr.Group(visible=shown, elem_classes="cs-class") as box:
            with gr.Row(elem_classes="cs-class-head", equal_height=True):
                self.names.append(
                    gr.Textbox(
                        "",
                        label=say.class_label(index + 1),
                        placeholder=say.NAME_PLACEHOLDER,
                        max_length=LIMITS.max_class_name,
                        elem_id=f"class-name-{index + 1}",
                        scale=5,
                        container=False,
                    )
                )
                self.removes.append(
                    gr.Button(
                        say.remove_label(index + 1),
                        size="sm",
                        scale=0,
                        min_width=36,
                        elem_id=f"remove-class-{index + 1}",
                        elem_classes="cs-remove",
                    )
                )
            self.galleries.append(
                gr.Gallery(
                    label=say.pictures_label(index + 1),
                    show_label=False,
                    type="filepath",
                    sources=["upload", "webcam", "clipboard"],
                    file_types=[*UPLOAD_TYPES],
                    columns=5,
                    height=132,
                    object_fit="cover",
                    interactive=True,
                    buttons=[],
                    elem_id=f"pictures-{index + 1}",
                    elem_classes="cs-gallery",
                )
            )
            gr.HTML(burst.button(index + 1), padding=False)
            note = _row_note(0, 0) if shown else ""
            self.counts.append(gr.HTML(note, padding=False, elem_classes="cs-count"))
        self.boxes.append(box)

    @property
    def outputs(self) -> list[Any]:
        return [
            *self.boxes,
            *self.names,
            *self.galleries,
            *self.counts,
            self.overview,
            self.add,
            self.summary,
            *self.undo.outputs,
        ]

    def view(self, session: Session) -> Updates:
        """The rows as the session has them, or an overview of more than the page has rows."""
        rows = session.rows
        many = len(rows) > N_ROWS
        updates: Updates = {}
        for index in range(N_ROWS):
            shown = not many and index < len(rows)
            row = rows[index] if shown else None
            pictures = [str(session.thumbnail(one)) for one in row.pictures] if row else []
            updates |= {
                self.boxes[index]: gr.update(visible=shown),
                self.names[index]: row.name if row else "",
                self.galleries[index]: pictures,
                self.counts[index]: _row_note(len(row.pictures), len(row.test)) if row else "",
            }
        listed = [(row.name, len(row.pictures), len(row.test)) for row in rows]
        overview = teach_html.class_table(listed) if many else ""
        return (
            updates
            | {
                self.overview: gr.update(value=overview, visible=many),
                self.add: gr.update(interactive=len(rows) < N_ROWS),
                self.summary: summary(session),
            }
            | self.undo_view(session)
        )

    def undo_view(self, session: Session) -> Updates:
        undo = session.can_undo
        return self.undo.view(undo.sentence if undo else "")

    def wire(self, shell: Shell, train: Training, attempt: Trying) -> None:
        """Wire the column; a sample brings along a template that suits it, and what is deleted
        takes along what was learned from it."""
        self._wire_sets(shell, train)
        self._wire_rows(shell, train)
        self._wire_deleting(shell, train, attempt)
        self._wire_pictures(shell, train)
        shell.on_open.append(Refresh(self.view, self.outputs))

    def _wire_sets(self, shell: Shell, train: Training) -> None:
        """A sample, zip or folder takes the place of the rows."""

        def opens_sample(name: str):
            def call(session: Session) -> Updates:
                open_sample(session, name)
                return self.view(session) | train.ready(session) | {template: session.template}

            return call

        def opens(put: Callable[[Session, Any], None]):
            def call(session: Session, given: Any) -> Updates:
                put(session, given)
                # it brings no words: those on the page stay
                return self.view(session) | train.ready(session)

            return call

        template, shown = train.template, [self.summary]
        outputs = [*self.outputs, train.job.go]
        for name, button in self.sample_buttons:
            given = (button.click, opens_sample(name), [], [*outputs, template])
            shell.on(*given, show_progress_on=shown)
        for upload, put in ((self.zip, open_zip), (self.folder, open_folder)):
            shell.on(upload.upload, opens(put), [upload], outputs, show_progress_on=shown)

    def _wire_rows(self, shell: Shell, train: Training) -> None:
        """Rows come, go and get their names."""

        def add(session: Session, *names: str) -> Updates:
            session.name_rows(names)
            session.add_row()
            return self.view(session)

        def remove(index: int):
            def call(session: Session, *names: str) -> Updates:
                session.name_rows(names)
                session.remove_row(index)
                return self.view(session) | train.ready(session)

            return call

        def rename(session: Session, *names: str) -> Updates:
            session.name_rows(names)
            return {self.summary: summary(session)} | self.undo_view(session)

        outputs = [*self.outputs, train.job.go]
        shell.on(self.add.click, add, self.names, self.outputs, **QUIET)
        for index, button in enumerate(self.removes):
            shell.on(button.click, remove(index), self.names, outputs, **QUIET)
        shell.on(
            [event for name in self.names for event in (name.blur, name.submit)],
            rename,
            self.names,
            [self.summary, *self.undo.outputs],
            trigger_mode="always_last",
            **QUIET,
        )

    def _wire_deleting(self, shell: Shell, train: Training, attempt: Trying) -> None:
        """Everything goes at once, and the last thing that went comes back."""
        outputs = [*self.outputs, *train.outputs, *attempt.prompt_outputs]

        def everything(session: Session) -> Updates:
            return self.view(session) | train.view(session) | attempt.prompt_view(session)

        def clear(session: Session) -> Updates:
            if session.training:
                raise UserError(say.NOT_WHILE_TRAINING)
            session.clear()
            return everything(session)

        def undo(session: Session) -> Updates:
            session.bring_back()
            return everything(session)

        shell.on(self.clear.click, clear, [], outputs, **QUIET)
        shell.on(self.undo.button.click, undo, [], outputs, **QUIET)

    def _wire_pictures(self, shell: Shell, train: Training) -> None:
        """Pictures come to a row and go."""

        def pictures(index: int):
            def call(
                session: Session, given: list[tuple[str, str | None]] | None, *names: str
            ) -> Updates:
                session.name_rows(names)  # typed a moment ago, maybe without leaving the field
                row = session.row(index)
                problems = session.set_pictures(index, [path for path, _ in given or []])
                if index >= len(session.rows) or session.rows[index] is not row:
                    # rows moved while the pictures were decoded
                    return self.view(session) | train.ready(session)
                updates: Updates = {
                    self.counts[index]: _row_note(len(row.pictures), len(row.test), problems),
                    self.summary: summary(session),
                }
                updates |= self.undo_view(session) | train.ready(session)
                if problems:
                    # The gallery is left as the person sees it, unless a file had to go: another
                    # upload may be under way, and an update would take it back.
                    thumbnails = [str(session.thumbnail(picture)) for picture in row.pictures]
                    updates[self.galleries[index]] = thumbnails
                return updates

            return call

        for index, gallery in enumerate(self.galleries):
            shell.on(
                [gallery.upload, gallery.delete],
                pictures(index),
                [gallery, *self.names],
                [*self.outputs, train.job.go],
                trigger_mode="always_last",
                **QUIET,
            )


def summary(session: Session) -> str:
    """What was shown so far, how many pictures are held out, and what is still missing."""
    rows = [row for row in session.rows if not row.is_empty]
    n_train = sum(len(row.pictures) for row in rows)
    if not n_train:
        return page_html.hint(say.NO_PICTURES_YET) + page_html.notes(
            session.problems, session.notes
        )
    try:
        dataset, n_held_out = session.split(seed=1)
    except DatasetError as error:
        return page_html.notes(session.problems, [str(error)])
    remarks = list(dataset.notes)
    if not n_held_out:
        untested = [
            name for name, n in zip(dataset.class_names, dataset.test_counts, strict=True) if not n
        ]
        if untested:
            remarks.insert(0, say.no_test_part(untested))
    remarks += [note for note in session.notes if note not in remarks]
    sentence = say.what_is_there(
        len(dataset.class_names), len(dataset.train), len(dataset.test), n_held_out
    )
    about = page_html.hint(" ".join(map(said, session.about)))
    return page_html.facts(session.source, sentence, about) + page_html.notes(
        session.problems, remarks
    )


def _sample_button(sample: samples.SampleSet) -> gr.Button:
    with gr.Column(elem_classes="cs-sample", min_width=90):
        gr.HTML(page_html.mosaic(samples.mosaic(sample)), padding=False)
        return gr.Button(
            said(sample.title),
            size="sm",
            min_width=60,
            elem_id=f"sample-{sample.name}",
            elem_classes="cs-use",
        )


def _row_note(n: int, n_test: int, problems: Sequence[str] = ()) -> str:
    counted = say.counted(n, "picture") if n else say.NO_PICTURES_YET
    if n_test:
        counted = say.learn_and_test(n, n_test)
    more = burst.unfold() if n > FOLDED else ""
    return f'<div class="cs-row-note">{page_html.hint(counted)}{more}</div>' + page_html.notes(
        problems
    )
