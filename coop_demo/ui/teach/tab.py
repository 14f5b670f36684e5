"""Tab "Teach": show pictures, train a prompt, try it."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from coop_demo import samples
from coop_demo.charts.training import CurvePoint, accuracy_curves, loss_curve
from coop_demo.data.archives import read_archive
from coop_demo.data.dataset import Dataset, Picture
from coop_demo.data.folders import from_classes, read_folder, read_zip
from coop_demo.data.images import is_picture_name
from coop_demo.data.picture_formats import UPLOAD_TYPES
from coop_demo.errors import DatasetError, UserError
from coop_demo.prompts.learner import MAX_N_CTX
from coop_demo.prompts.templates import DEFAULT_TEMPLATE
from coop_demo.settings import LIMITS
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import LOOKING, LOOKING_LIMIT, TRAINING, TRAINING_LIMIT, Refresh, Shell
from coop_demo.ui.events import forgiving, sentence_for, warn
from coop_demo.ui.session import Session, Taught
from coop_demo.ui.teach import html as teach_html
from coop_demo.ui.teach import strings as say
from coop_demo.ui.teach.actions import (
    MAX_PICTURES_TO_TRY,
    as_csv,
    learn,
    load,
    table_rows,
    try_pictures,
)
from coop_demo.ui.teach.state import MAX_SHOTS_PAGE, Progress, TeachSettings, Tried
from coop_demo.ui.theme import FOLDER_MARK, LEARNED_COLOUR, LEARNED_LIGHT_COLOUR, WORDS_COLOUR

N_ROWS = LIMITS.max_classes_page
TABLE_HEADERS = ["Picture", say.LEARNED, "%", say.WORDS, "% "]


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    with gr.Tab("Teach", id="teach"), gr.Row(elem_classes="cs-columns", equal_height=False):
        with gr.Column(elem_classes="cs-column cs-show", min_width=320):
            show = ShowColumn()
        with gr.Column(elem_classes="cs-column cs-train", min_width=320):
            train = TrainColumn()
        with gr.Column(elem_classes="cs-column cs-try", min_width=320):
            attempt = TryColumn()
    show.wire(shell, train)
    train.wire(shell, show, attempt)
    attempt.wire(shell, train)


class ShowColumn:
    """Column 1: ten class rows, built once and shown as needed, so that uploads are never lost."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(1, say.SHOW_TITLE, say.SHOW_LEAD), padding=False)
        self.sample_buttons: list[tuple[str, gr.Button]] = []
        with gr.Row(elem_classes="cs-samples", equal_height=True):
            for sample in samples.sample_sets():
                if not sample.teaches:
                    continue
                with gr.Column(elem_classes="cs-sample", min_width=90):
                    gr.HTML(page_html.mosaic(samples.mosaic(sample)), padding=False)
                    button = gr.Button(
                        sample.title,
                        size="sm",
                        min_width=60,
                        elem_id=f"sample-{sample.name}",
                        elem_classes="cs-use",
                    )
                self.sample_buttons.append((sample.name, button))
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
        self.summary = gr.HTML(padding=False, elem_id="summary")
        self.overview = gr.HTML(visible=False, padding=False)
        with gr.Column(elem_classes="cs-rows", elem_id="class-rows"):
            for index in range(N_ROWS):
                self._row(index)
        with gr.Row(elem_classes="cs-row-buttons"):
            self.add = gr.Button(say.ADD_CLASS, size="sm", min_width=110, elem_id="add-class")
            self.clear = gr.Button(say.START_OVER, size="sm", min_width=110, elem_id="start-over")

    def _row(self, index: int) -> None:
        with gr.Group(visible=index < 2, elem_classes="cs-class") as box:
            with gr.Row(elem_classes="cs-class-head", equal_height=True):
                self.names.append(
                    gr.Textbox(
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
            self.counts.append(gr.HTML(padding=False, elem_classes="cs-count"))
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
        ]

    def view(self, session: Session) -> list[Any]:
        """Updates for `outputs`."""
        rows = session.rows
        many = len(rows) > N_ROWS
        boxes, names, galleries, counts = [], [], [], []
        for index in range(N_ROWS):
            shown = not many and index < len(rows)
            row = rows[index] if shown else None
            boxes.append(gr.update(visible=shown))
            names.append(row.name if row else "")
            galleries.append(
                [str(session.thumbnail(picture)) for picture in row.pictures] if row else []
            )
            counts.append(_row_note(len(row.pictures), len(row.test)) if row else "")
        overview = (
            teach_html.class_table([(row.name, len(row.pictures), len(row.test)) for row in rows])
            if many
            else ""
        )
        return [
            *boxes,
            *names,
            *galleries,
            *counts,
            gr.update(value=overview, visible=many),
            gr.update(interactive=len(rows) < N_ROWS),
            summary(session),
        ]

    def wire(self, shell: Shell, train: "TrainColumn") -> None:
        store = shell.store

        def refresh(key: str) -> list[Any]:
            return self.view(store.get(key))

        def loads(handler):  # a handler that puts a whole set in place of the rows
            @forgiving
            def call(key: str, *values) -> list[Any]:
                session = store.get(key)
                handler(session, *values)
                return [*self.view(session), session.template]

            return call

        @loads
        def open_zip(session: Session, path: str | None) -> None:
            _open_zip(session, path)

        @loads
        def open_folder(session: Session, paths: Sequence[str] | None) -> None:
            _open_folder(session, paths)

        def open_sample(name: str):
            @loads
            def call(session: Session) -> None:
                sample = samples.find_sample(name)
                session.show_set(
                    samples.read_sample(name),
                    source=sample.title,
                    template=sample.template,
                    about=(
                        sample.description,
                        sample.expect,
                        say.licence(sample.licence.split(" (")[0]),
                    ),
                )

            return call

        set_outputs = [*self.outputs, train.template]
        for name, button in self.sample_buttons:
            button.click(
                open_sample(name),
                shell.key,
                set_outputs,
                show_progress_on=[self.summary],
                api_visibility="private",
            )
        for upload, handler in ((self.zip, open_zip), (self.folder, open_folder)):
            upload.upload(
                handler,
                [shell.key, upload],
                set_outputs,
                show_progress_on=[self.summary],
                api_visibility="private",
            )

        @forgiving
        def add(key: str, *names: str) -> list[Any]:
            session = store.get(key)
            session.name_rows(names)
            session.add_row()
            return self.view(session)

        def remove(index: int):
            @forgiving
            def call(key: str, *names: str) -> list[Any]:
                session = store.get(key)
                session.name_rows(names)
                session.remove_row(index)
                return self.view(session)

            return call

        @forgiving
        def clear(key: str) -> list[Any]:
            session = store.get(key)
            session.clear()
            return self.view(session)

        @forgiving
        def rename(key: str, *names: str) -> str:
            session = store.get(key)
            session.name_rows(names)
            return summary(session)

        def pictures(index: int):
            @forgiving
            def call(
                key: str, given: list[tuple[str, str | None]] | None, *names: str
            ) -> list[Any]:
                session = store.get(key)
                session.name_rows(names)  # typed a moment ago, maybe without leaving the field
                paths = [path for path, _ in given or []]
                problems = session.set_pictures(index, paths)
                row = session.row(index)
                # The gallery is left as the person sees it, unless a file had to go: another
                # upload may be under way, and an update would take it back.
                gallery = (
                    [str(session.thumbnail(picture)) for picture in row.pictures]
                    if problems
                    else gr.skip()
                )
                note = _row_note(len(row.pictures), len(row.test), problems)
                return [gallery, note, summary(session)]

            return call

        self.add.click(add, [shell.key, *self.names], self.outputs, **_QUIET)
        self.clear.click(clear, shell.key, self.outputs, **_QUIET)
        for index, button in enumerate(self.removes):
            button.click(remove(index), [shell.key, *self.names], self.outputs, **_QUIET)
        gr.on(
            [event for name in self.names for event in (name.blur, name.submit)],
            rename,
            [shell.key, *self.names],
            self.summary,
            trigger_mode="always_last",
            **_QUIET,
        )
        for index, gallery in enumerate(self.galleries):
            gr.on(
                [gallery.upload, gallery.delete],
                pictures(index),
                [shell.key, gallery, *self.names],
                [gallery, self.counts[index], self.summary],
                trigger_mode="always_last",
                show_progress="hidden",
                api_visibility="private",
            )
        shell.on_open.append(Refresh(refresh, self.outputs))


class TrainColumn:
    """Column 2: the words to beat, Train and Stop, curves, the result, and all settings."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(2, say.TRAIN_TITLE, say.TRAIN_LEAD), padding=False)
        self.template = gr.Textbox(
            DEFAULT_TEMPLATE,
            label=say.TEMPLATE_LABEL,
            info=say.TEMPLATE_INFO,
            max_length=300,
            elem_id="template",
        )
        with gr.Row(elem_classes="cs-go"):
            self.train = gr.Button(
                say.TRAIN, variant="primary", elem_id="train", scale=3, min_width=120
            )
            self.stop = gr.Button(
                say.STOP, interactive=False, elem_id="stop", scale=1, min_width=80
            )
        self.status = gr.HTML(page_html.hint(say.CURVES_HINT), padding=False, elem_id="status")
        self.result = gr.HTML(padding=False, elem_id="result")
        self.accuracy_plot = gr.LinePlot(
            x="step",
            y="value",
            color="series",
            title=say.ACCURACY_TITLE,
            color_title=" ",
            x_title=" ",
            y_title=" ",
            y_lim=[0, 100],
            color_map={
                say.LEARNED_HELD_OUT: LEARNED_COLOUR,
                say.LEARNED_TRAINING: LEARNED_LIGHT_COLOUR,
                say.FLAT_LINE: WORDS_COLOUR,
            },
            height=230,
            visible=False,
            buttons=[],
            elem_id="accuracy-plot",
            elem_classes="cs-plot",
        )
        self.loss_plot = gr.LinePlot(
            x="step",
            y="value",
            title=say.LOSS_TITLE,
            x_title=say.STEP_AXIS,
            y_title=" ",
            height=170,
            visible=False,
            buttons=[],
            elem_id="loss-plot",
            elem_classes="cs-plot",
        )
        with gr.Accordion(say.SETTINGS, open=False, elem_id="settings"):
            self.settings = self._settings()

    def _settings(self) -> list[Any]:
        """In the order of TeachSettings.parse, after the template."""
        n_ctx = gr.Slider(1, MAX_N_CTX, 16, step=1, label=say.N_CTX_LABEL, info=say.N_CTX_INFO)
        kind = gr.Radio(list(say.KINDS), value=say.KINDS[0], label=say.KIND_LABEL)
        position = gr.Radio(list(say.POSITIONS.items()), value="end", label=say.POSITION_LABEL)
        init = gr.Textbox("", label=say.INIT_LABEL, info=say.INIT_INFO, max_length=200)
        shots = gr.Slider(1, MAX_SHOTS_PAGE, 16, step=1, label=say.SHOTS_LABEL, info=say.SHOTS_INFO)
        preset = gr.Radio(
            list(say.PRESETS), value="fast", label=say.PRESET_LABEL, info=say.PRESET_INFO
        )
        with gr.Row():
            # 0 and not empty: gradio turns an empty number into 0 when it first shows it
            steps = gr.Number(
                0,
                label=say.STEPS_LABEL,
                info=say.FROM_RECIPE,
                precision=0,
                min_width=120,
                elem_id="steps",
            )
            rate = gr.Number(0, label=say.RATE_LABEL, info=say.FROM_RECIPE, min_width=120)
        pull = gr.Slider(0, 16, 0, step=0.5, label=say.PULL_LABEL, info=say.PULL_INFO)
        seed = gr.Number(1, label=say.SEED_LABEL, info=say.SEED_INFO, precision=0)
        return [n_ctx, kind, position, init, shots, preset, steps, rate, pull, seed]

    @property
    def outputs(self) -> list[Any]:
        return [
            self.train,
            self.stop,
            self.status,
            self.accuracy_plot,
            self.loss_plot,
            self.result,
        ]

    def view(self, session: Session) -> list[Any]:
        """Updates for `outputs` while nothing is being trained here."""
        taught = session.current
        running = session.training
        buttons = [gr.update(interactive=not running), gr.update(interactive=running)]
        if taught is None:
            hint = page_html.hint(say.CURVES_HINT)
            return [*buttons, hint, gr.update(visible=False), gr.update(visible=False), ""]
        points = [
            CurvePoint(
                entry["step"],
                entry["loss"],
                entry["train_accuracy"],
                entry["held_out_accuracy"],
            )
            for entry in taught.prompt.history
        ]
        return [
            *buttons,
            "",
            *_curves(points, taught.hand_accuracy, points[-1].step if points else 0),
            teach_html.scoreboard(taught.verdict, taught.ending),
        ]

    def wire(self, shell: Shell, show: ShowColumn, attempt: "TryColumn") -> None:
        store = shell.store

        @forgiving
        def run(key: str, *values: Any) -> Iterator[list[Any]]:
            session = store.get(key)
            names, (template, *settings) = values[:N_ROWS], values[N_ROWS:]
            session.name_rows(names)
            yield from self._run(session, attempt, template, settings)

        @forgiving
        def stop(key: str) -> list[Any]:
            session = store.get(key)
            if not session.training:
                raise UserError(say.NOTHING_TO_STOP)
            session.stop.set()
            return [gr.update(interactive=False), teach_html.progress(say.STOPPING)]

        def refresh(key: str) -> list[Any]:
            session = store.get(key)
            return [session.template, *self.view(session)]

        outputs = [*self.outputs, *attempt.prompt_outputs]
        self.train.click(
            run,
            [shell.key, *show.names, self.template, *self.settings],
            outputs,
            concurrency_id=TRAINING,
            concurrency_limit=TRAINING_LIMIT,
            show_progress="minimal",
            show_progress_on=[self.status],
            api_visibility="private",
        )
        self.stop.click(stop, shell.key, [self.stop, self.status], queue=False, **_QUIET)
        shell.on_open.append(Refresh(refresh, [self.template, *self.outputs]))
        shell.on_model.append(Refresh(refresh, [self.template, *self.outputs]))

    def _run(
        self, session: Session, attempt: "TryColumn", template: Any, settings: Sequence[Any]
    ) -> Iterator[list[Any]]:
        keep_try = [gr.skip() for _ in attempt.prompt_outputs]
        try:
            parsed = TeachSettings.parse(template, *settings)
            dataset, _ = session.split(parsed.seed)
            self._claim(session)
        except UserError as error:
            # nothing was begun: the sentence takes the status line, all else stays
            status = page_html.notes([str(error)])
            yield [gr.skip(), gr.skip(), status, *[gr.skip()] * 3, *keep_try]
            return
        session.template = parsed.template
        try:
            yield [
                gr.update(interactive=False),
                gr.update(interactive=True),
                teach_html.progress(say.PREPARING, 0.0),
                gr.update(visible=False),
                gr.update(visible=False),
                "",
                *keep_try,
            ]
            with contextlib.closing(learn(session, dataset, parsed)) as events:
                for event in events:
                    if isinstance(event, Progress):
                        yield [*self._progress(event), *keep_try]
        except UserError as error:
            session.training = False
            yield [*self.view(session), *keep_try]
            yield [
                gr.skip(),
                gr.skip(),
                page_html.notes([str(error)]),
                *[gr.skip()] * 3,
                *keep_try,
            ]
            return
        except Exception as error:
            session.training = False
            warn(sentence_for(error))
            yield [*self.view(session), *keep_try]
            return
        finally:
            session.training = False
        yield [*self.view(session), *attempt.prompt_view(session)]

    @staticmethod
    def _claim(session: Session) -> None:
        """One training a person; raises UserError while there is one."""
        with session.lock:
            if session.training:
                raise UserError(say.ALREADY_TRAINING)
            session.training = True
            session.stop.clear()

    def _progress(self, event: Progress) -> list[Any]:
        curves = (
            _curves(event.points, event.hand_accuracy, event.total_steps)
            if event.points
            else [gr.skip(), gr.skip()]
        )
        status = teach_html.progress(event.sentence, event.share)
        return [gr.skip(), gr.skip(), status, *curves, gr.skip()]


class TryColumn:
    """Column 3: one picture with both prompts' bars, many pictures, and the prompt as a file."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(3, say.TRY_TITLE, say.TRY_LEAD), padding=False)
        self.picture = gr.Image(
            label=say.TRY_LABEL,
            type="filepath",
            sources=["upload", "webcam", "clipboard"],
            height=260,
            buttons=[],
            elem_id="try-picture",
        )
        widgets.leave_to_our_loader(self.picture)
        self.bars = gr.HTML(_no_bars(), padding=False, elem_id="bars")
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
                headers=TABLE_HEADERS,
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

    def prompt_view(self, session: Session, problem: str = "") -> list[Any]:
        """Updates for `prompt_outputs`: the current prompt, and the bars it makes obsolete."""
        taught = session.current
        save = gr.update(
            value=str(taught.file) if taught and taught.file else None,
            interactive=taught is not None,
        )
        note = page_html.notes([problem]) if problem else page_html.hint(_prompt_note(taught))
        return [save, note, _no_bars()]

    def wire(self, shell: Shell, train: TrainColumn) -> None:
        store = shell.store

        def refresh(key: str) -> list[Any]:
            return self.prompt_view(store.get(key))

        def try_one(key: str, path: str | None, template: str) -> str:
            if not path:
                return _no_bars()
            try:
                picture = Picture(Path(path).name, Path(path))
                tried = try_pictures(store.get(key), [picture], str(template))
            except Exception as error:
                return page_html.notes([sentence_for(error)])
            return _bars(tried)

        def try_many(key: str, paths: list[str] | None, template: str) -> list[Any]:
            nothing = [gr.update(visible=False), gr.update(visible=False)]
            if not paths:
                return ["", *nothing]
            try:
                session = store.get(key)
                with tempfile.TemporaryDirectory(dir=session.folder) as folder:
                    pictures, problems = _gather(paths, Path(folder))
                    tried = try_pictures(session, pictures, str(template))
                csv_path = session.folder / "results.csv"
                csv_path.write_text(as_csv(tried), encoding="utf-8")
            except Exception as error:
                return [page_html.notes([sentence_for(error)]), *nothing]
            return [
                page_html.notes([*problems, *tried.problems]),
                gr.update(value=table_rows(tried), visible=True),
                gr.update(value=str(csv_path), visible=True),
            ]

        @forgiving
        def load_file(key: str, path: str | None) -> list[Any]:
            session = store.get(key)
            if not path:
                return [*train.view(session), *self.prompt_view(session)]
            try:
                load(session, path)
            except Exception as error:
                sentence = sentence_for(error)
                warn(sentence)
                keep = [gr.skip() for _ in train.outputs]
                return [*keep, gr.skip(), page_html.notes([sentence]), gr.skip()]
            return [*train.view(session), *self.prompt_view(session)]

        one = {
            "fn": try_one,
            "inputs": [shell.key, self.picture, train.template],
            "outputs": self.bars,
            "concurrency_id": LOOKING,
            "concurrency_limit": LOOKING_LIMIT,
            "api_visibility": "private",
        }
        self.picture.change(**one)
        # what is on show is tried again with the prompt that was just learned or loaded
        self.save.change(**one)
        self.files.change(
            try_many,
            [shell.key, self.files, train.template],
            [self.problems, self.table, self.csv],
            concurrency_id=LOOKING,
            show_progress_on=[self.problems],
            api_visibility="private",
        )
        self.load.upload(
            load_file,
            [shell.key, self.load],
            [*train.outputs, *self.prompt_outputs],
            show_progress_on=[self.note],
            api_visibility="private",
        )
        shell.on_open.append(Refresh(refresh, self.prompt_outputs))
        shell.on_model.append(Refresh(refresh, self.prompt_outputs))


_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


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
    about = page_html.hint(" ".join(session.about))
    return page_html.facts(session.source, sentence, about) + page_html.notes(
        session.problems, remarks
    )


def _row_note(n: int, n_test: int, problems: Sequence[str] = ()) -> str:
    counted = say.counted(n, "picture") if n else say.NO_PICTURES_YET
    if n_test:
        counted = say.learn_and_test(n, n_test)
    return page_html.hint(counted) + page_html.notes(problems)


def _curves(points: Sequence[CurvePoint], hand: float | None, total_steps: int) -> list[Any]:
    """Updates for the accuracy and the loss plot."""
    curves = accuracy_curves(
        points,
        hand,
        learned=say.LEARNED_HELD_OUT,
        training=say.LEARNED_TRAINING,
        flat_line=say.FLAT_LINE,
        total_steps=total_steps,
    )
    x_lim = [0, max(total_steps, 1)]
    # gradio's chart takes its series from the first data it gets: none before all of them are there
    measured = any(point.train_accuracy is not None for point in points)
    return [
        gr.update(value=curves, visible=True, x_lim=x_lim) if measured else gr.skip(),
        gr.update(value=loss_curve(points), visible=True, x_lim=x_lim),
    ]


def _open_zip(session: Session, path: str | None) -> None:
    if not path:
        raise DatasetError(say.NO_FILE)
    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        dataset = read_zip(path, into=Path(folder))
        _take_set(session, dataset)


def _open_folder(session: Session, paths: Sequence[str] | None) -> None:
    """The files of a chosen folder; their names carry their folders (see theme.py)."""
    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        home = Path(folder)
        for path in list(paths or [])[: LIMITS.max_zip_files]:
            parts = [part for part in Path(path).name.split(FOLDER_MARK) if part]
            if not parts or any(part in (".", "..") or part.startswith(".") for part in parts):
                continue
            target = home.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.symlink_to(Path(path).resolve())
        tops = list(home.iterdir())
        if not tops:
            raise DatasetError(say.FOLDER_EMPTY)
        name = tops[0].name if len(tops) == 1 and tops[0].is_dir() else say.YOUR_FOLDER
        try:
            dataset = read_folder(home)
        except DatasetError as error:
            # the person knows their folder, not the place its files were put for a moment
            raise DatasetError(str(error).replace(str(home), name)) from error
        _take_set(session, replace(dataset, name=name))


def _take_set(session: Session, dataset: Dataset) -> None:
    """Move a set's pictures into the session before the folder they came in goes."""
    problems = list(dataset.problems)

    def kept(part) -> list[tuple[str, list[Picture]]]:
        rows: list[tuple[str, list[Picture]]] = [(name, []) for name in dataset.class_names]
        for item in part:
            try:
                rows[item.label][1].append(session.take(item.picture))
            except UserError as error:
                problems.append(str(error))
        return rows

    test = [(name, pictures) for name, pictures in kept(dataset.test) if pictures]
    taken = from_classes(kept(dataset.train), test, name=dataset.name)
    notes = tuple(dict.fromkeys((*dataset.notes, *taken.notes)))
    session.show_set(replace(taken, problems=tuple(problems), notes=notes), source=dataset.name)


def _gather(paths: Sequence[str], folder: Path) -> tuple[list[Picture], list[str]]:
    """Pictures from files and zips, up to the page's limit, and what is to be said about them."""
    pictures: list[Picture] = []
    problems: list[str] = []
    for number, path in enumerate(map(Path, paths)):
        if path.suffix.lower() != ".zip":
            pictures.append(Picture(path.name, path))
            continue
        into = folder / str(number)
        into.mkdir()
        try:
            contents = read_archive(path, wanted=is_picture_name, into=into)
        except DatasetError as error:
            problems.append(str(error))
            continue
        problems += (*contents.problems, *contents.notes)
        pictures += [Picture("/".join(parts), source) for parts, source in contents.files]
    if not pictures:
        raise UserError(problems[0] if problems else say.NO_TRY_PICTURES)
    if len(pictures) > MAX_PICTURES_TO_TRY:
        problems.append(say.too_many_to_try(len(pictures), MAX_PICTURES_TO_TRY))
    return pictures[:MAX_PICTURES_TO_TRY], problems


def _prompt_note(taught: Taught | None) -> str:
    return say.prompt_in_use(taught.prompt.class_names) if taught else ""


def _bars(tried: Tried) -> str:
    learned = None if tried.learned is None else tried.learned[0]
    names = tried.class_names
    return teach_html.pair(
        teach_html.bars(say.LEARNED, "learned", names, learned, empty=say.TRAIN_FIRST),
        teach_html.bars(say.WORDS, "words", names, tried.words[0], empty=""),
    )


def _no_bars() -> str:
    return page_html.hint(say.TRY_EMPTY)
