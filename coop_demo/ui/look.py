"""Tab "Look": where did it look, and can the picture be believed?"""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from coop_demo.charts import OTHER_COLOUR
from coop_demo.ui import look_text as say
from coop_demo.ui import looking, pieces
from coop_demo.ui.handlers import forgiving, sentence_for
from coop_demo.ui.looking import Looked, Subject
from coop_demo.ui.session import Session
from coop_demo.ui.shell import LOOKING_LIMIT, Refresh, Shell
from coop_demo.ui.theme import LEARNED_COLOUR, WORDS_COLOUR

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_LOOKING = "looking"  # concurrency_id of everything that draws maps


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    with (
        gr.Tab("Look", id="look"),
        gr.Row(elem_classes="cs-columns cs-look", equal_height=False),
    ):
        with gr.Column(elem_classes="cs-column", min_width=300, scale=2):
            question = Question()
        with gr.Column(elem_classes="cs-column", min_width=320, scale=5):
            maps = Maps()
            check = Check()
    _wire(shell, question, maps, check)


class Question:
    """The left column: which picture, what to look for, by which method."""

    def __init__(self) -> None:
        gr.HTML(pieces.step_head(1, say.PICTURE_TITLE, say.PICTURE_LEAD), padding=False)
        self.source = gr.Dropdown(
            list(say.SOURCES.items()),
            value=say.SCENES,
            label=say.SOURCE_LABEL,
            elem_id="look-source",
        )
        self.gallery = gr.Gallery(
            label=say.SOURCE_LABEL,
            show_label=False,
            interactive=False,
            allow_preview=False,
            columns=4,
            object_fit="cover",
            height=250,
            buttons=[],
            elem_id="look-gallery",
            elem_classes="cs-gallery",
        )
        self.picture = gr.Image(
            label=say.DROP_LABEL,
            type="filepath",
            sources=["upload", "clipboard"],
            height=170,
            buttons=[],
            elem_id="look-picture",
        )
        self.wanted = gr.Dropdown(
            [],
            value=None,
            allow_custom_value=True,
            label=say.WANTED_LABEL,
            info=say.WANTED_INFO,
            elem_id="look-wanted",
        )
        self.method = gr.Dropdown(
            list(say.METHODS.items()), value="auto", label=say.METHOD_LABEL, elem_id="look-method"
        )
        self.go = gr.Button(say.LOOK, variant="primary", elem_id="look-go")
        self.status = gr.HTML(padding=False, elem_id="look-status", min_height=30)
        with gr.Row(elem_classes="cs-files"):
            self.draw_set = gr.Button(say.ZIP_SET, size="sm", elem_id="look-draw-set")
            self.set_zip = gr.DownloadButton(
                say.GET_ZIP_SET, size="sm", visible=False, elem_id="look-set-zip"
            )


class Maps:
    """The maps of both prompts and their difference, the slider, the strip of all classes."""

    def __init__(self) -> None:
        gr.HTML(pieces.step_head(2, say.MAPS_TITLE, say.MAPS_LEAD), padding=False)
        self.empty = gr.HTML(_promise(), padding=False, elem_id="look-empty")
        with gr.Column(visible=False) as self.all:
            with gr.Row(elem_classes="cs-look-maps", equal_height=False):
                _, self.words = _map(say.WORDS, "look-words")
                self.learned_column, self.learned = _map(say.LEARNED, "look-learned")
                self.difference_column, self.difference = _map(say.DIFFERENCE, "look-difference")
            self.note = gr.HTML(padding=False, elem_id="look-note")
            with gr.Row(elem_classes="cs-options"):
                self.opacity = gr.Slider(
                    0, 1, 0.7, step=0.05, label=say.OPACITY_LABEL, elem_id="look-opacity"
                )
                self.cells = gr.Checkbox(False, label=say.CELLS_LABEL, elem_id="look-cells")
            with gr.Row(equal_height=False):
                with gr.Column(min_width=240):
                    gr.HTML(pieces.hint(say.SLIDER_LABEL), padding=False)
                    self.slider = gr.ImageSlider(
                        label=say.SLIDER_LABEL,
                        show_label=False,
                        interactive=False,
                        type="pil",
                        format="png",
                        buttons=[],
                        elem_id="look-slider",
                    )
                with gr.Column(min_width=240) as self.strip_column:
                    gr.HTML(pieces.hint(say.STRIP_LABEL), padding=False)
                    self.strip = gr.Gallery(
                        label=say.STRIP_LABEL,
                        show_label=False,
                        interactive=False,
                        columns=3,
                        object_fit="cover",
                        height="auto",
                        format="png",
                        buttons=[],
                        elem_id="look-strip",
                    )
            self.zip = gr.DownloadButton(say.ZIP_ONE, size="sm", elem_id="look-zip")

    @property
    def pictures(self) -> list[Any]:
        return [
            self.words,
            self.learned_column,
            self.learned,
            self.difference_column,
            self.difference,
            self.slider,
            self.strip_column,
            self.strip,
            self.zip,
        ]

    @property
    def outputs(self) -> list[Any]:
        return [self.empty, self.all, self.note, *self.pictures]

    def pictures_view(
        self, session: Session, looked: Looked, opacity: float, cells: bool
    ) -> list[Any]:
        """Updates for `pictures`: what changes with the opacity and the resolution."""
        drawn = looking.drawings(looked, opacity=opacity, cells=cells)
        strip = looking.strip(looked, opacity=opacity, cells=cells)
        pair = (drawn.words, drawn.learned) if drawn.learned else (looked.image, drawn.words)
        path = session.folder / "maps.zip"
        path.write_bytes(looking.zip_of(looked, opacity=opacity, cells=cells))
        return [
            drawn.words,
            gr.update(visible=drawn.learned is not None),
            drawn.learned,
            gr.update(visible=drawn.difference is not None),
            drawn.difference,
            pair,
            gr.update(visible=bool(strip)),
            strip,
            gr.update(value=str(path)),
        ]

    def view(self, session: Session, looked: Looked | None, opacity: Any, cells: Any) -> list[Any]:
        if looked is None:
            return [
                gr.update(visible=True),
                gr.update(visible=False),
                "",
                *(gr.skip() for _ in self.pictures),
            ]
        remarks = [looked.remark] if looked.remark else []
        if looked.difference is not None:
            remarks.append(say.COLOURS)
        if looked.box[0] > 0.5 or looked.box[1] > 0.5:
            remarks.append(say.PALE)
        asked = say.asked(
            looked.wanted, looked.words.method, looked.seconds, looked.words.grid.shape
        )
        return [
            gr.update(visible=False),
            gr.update(visible=True),
            pieces.hint(asked) + pieces.notes((), remarks),
            *self.pictures_view(session, looked, _opacity(opacity), bool(cells)),
        ]


class Check:
    """Whether the map can be believed: sentences, warnings, both curves against random."""

    def __init__(self) -> None:
        with gr.Column(visible=False, elem_id="look-check") as self.all:
            gr.HTML(pieces.step_head(3, say.CHECK_TITLE, say.CHECK_LEAD), padding=False)
            self.sentences = gr.HTML(padding=False, elem_id="look-sentences")
            with gr.Row(equal_height=False):
                self.deletion = _curves(say.DELETION_TITLE, "look-deletion")
                self.insertion = _curves(say.INSERTION_TITLE, "look-insertion")

    @property
    def outputs(self) -> list[Any]:
        return [self.all, self.sentences, self.deletion, self.insertion]

    def view(self, looked: Looked | None) -> list[Any]:
        if looked is None:
            return [gr.update(visible=False), "", gr.skip(), gr.skip()]
        if not looked.checks:
            hidden = gr.update(visible=False)
            return [gr.update(visible=True), pieces.progress(say.CHECKING), hidden, hidden]
        warnings = list(dict.fromkeys(line for _, c in looked.checks for line in c.warnings))
        return [
            gr.update(visible=True),
            _verdicts(looked) + pieces.notes(warnings),
            gr.update(value=looking.curve_frame(looked, "deletion"), visible=True),
            gr.update(value=looking.curve_frame(looked, "insertion"), visible=True),
        ]


def _wire(shell: Shell, question: Question, maps: Maps, check: Check) -> None:
    store = shell.store
    results = [*maps.outputs, *check.outputs]
    asking = [shell.key, question.wanted, question.method, maps.opacity, maps.cells]

    def nothing() -> list[Any]:
        return [gr.skip() for _ in results]

    def shown(session: Session, opacity: Any, cells: Any) -> list[Any]:
        looked = looking.looked_at(session)
        return [*maps.view(session, looked, opacity, cells), *check.view(looked)]

    def run(session: Session, wanted: Any, method: Any, opacity: Any, cells: Any) -> Iterator:
        yield [pieces.progress(say.LOOKING), *nothing()]
        try:
            for looked in looking.look(session, wanted, method):
                status = "" if looked.checks else pieces.progress(say.CHECKING)
                first = not looked.checks
                drawn = (
                    maps.view(session, looked, opacity, cells)
                    if first
                    else [gr.skip() for _ in maps.outputs]
                )
                yield [status, *drawn, *check.view(looked)]
        except Exception as error:
            yield [pieces.notes([sentence_for(error)]), *nothing()]

    @forgiving
    def go(key: str, wanted: Any, method: Any, opacity: Any, cells: Any) -> Iterator[list[Any]]:
        yield from run(store.get(key), wanted, method, opacity, cells)

    def gallery_of(session: Session, source: str) -> Any:
        found = looking.subjects(session, source)[: looking.MOST_TO_CHOOSE]
        return gr.update(value=[str(session.thumbnail(subject.picture)) for subject in found])

    def choices_of(subject: Subject | None) -> Any:
        if subject is None:
            return gr.update(choices=[], value=None)
        names = list(subject.class_names)
        return gr.update(choices=names, value=subject.own or (names[0] if names else None))

    @forgiving
    def choose_source(key: str, source: str) -> Any:
        return gallery_of(store.get(key), source)

    @forgiving
    def choose(key: str, source: str, event: gr.SelectData) -> list[Any]:
        session = store.get(key)
        found = looking.subjects(session, source)[: looking.MOST_TO_CHOOSE]
        if not isinstance(event.index, int) or not 0 <= event.index < len(found):
            return [gr.skip()] * (2 + len(results))
        looking.choose(session, found[event.index])
        return [choices_of(found[event.index]), None, *shown(session, 0.7, False)]

    @forgiving
    def drop(key: str, path: str | None) -> list[Any]:
        session = store.get(key)
        if not path:
            return [gr.skip()] * (1 + len(results))
        subject = looking.dropped(session, path)
        looking.choose(session, subject)
        return [choices_of(subject), *shown(session, 0.7, False)]

    @forgiving
    def redraw(key: str, opacity: Any, cells: Any) -> list[Any]:
        session = store.get(key)
        looked = looking.looked_at(session)
        if looked is None:
            return [gr.skip() for _ in maps.pictures]
        return maps.pictures_view(session, looked, _opacity(opacity), bool(cells))

    @forgiving
    def draw_set(key: str, source: str, method: Any, opacity: Any) -> Iterator[list[Any]]:
        session = store.get(key)
        yield [pieces.progress(say.LOOKING, 0.0), gr.update(visible=False)]
        try:
            events = looking.maps_of_set(session, source, method, opacity=_opacity(opacity))
            for done, total, packed in events:
                if packed is None:
                    yield [pieces.progress(say.drawing(done, total), done / total), gr.skip()]
                    continue
                path = session.folder / "maps-of-a-set.zip"
                path.write_bytes(packed)
                yield ["", gr.update(value=str(path), visible=True)]
        except Exception as error:
            yield [pieces.notes([sentence_for(error)]), gr.skip()]

    def refresh(key: str) -> list[Any]:
        session = store.get(key)
        return [
            gallery_of(session, say.SCENES),
            say.SCENES,
            choices_of(looking.chosen(session)),
            *shown(session, 0.7, False),
        ]

    def model_changed(key: str) -> list[Any]:
        session = store.get(key)
        looking.forget(session)
        return ["", *shown(session, 0.7, False)]

    heavy: dict[str, Any] = {
        "concurrency_id": _LOOKING,
        "concurrency_limit": LOOKING_LIMIT,
        "show_progress": "minimal",
        "show_progress_on": [question.status],
        "api_visibility": "private",
    }
    question.go.click(go, asking, [question.status, *results], **heavy)
    picked = question.gallery.select(
        choose,
        [shell.key, question.source],
        [question.wanted, question.picture, *results],
        **_QUIET,
    )
    picked.then(go, asking, [question.status, *results], **heavy)
    question.picture.input(
        drop, [shell.key, question.picture], [question.wanted, *results], **_QUIET
    )
    question.source.input(choose_source, [shell.key, question.source], question.gallery, **_QUIET)
    drawing = [shell.key, maps.opacity, maps.cells]
    maps.opacity.release(redraw, drawing, maps.pictures, **_QUIET)
    maps.cells.input(redraw, drawing, maps.pictures, **_QUIET)
    question.draw_set.click(
        draw_set,
        [shell.key, question.source, question.method, maps.opacity],
        [question.status, question.set_zip],
        **heavy,
    )
    shell.on_open.append(
        Refresh(refresh, [question.gallery, question.source, question.wanted, *results])
    )
    shell.on_model.append(Refresh(model_changed, [question.status, *results]))


# ---- pieces


def _map(title: str, elem_id: str) -> tuple[gr.Column, gr.Image]:
    """A titled picture in a column of its own."""
    with gr.Column(min_width=160) as column:
        gr.HTML(pieces.hint(title), padding=False)
        image = gr.Image(
            label=title,
            show_label=False,
            interactive=False,
            type="pil",
            format="png",
            buttons=["download", "fullscreen"],
            elem_id=elem_id,
        )
    return column, image


def _curves(title: str, elem_id: str) -> gr.LinePlot:
    return gr.LinePlot(
        x="removed",
        y="value",
        color="series",
        title=title,
        x_title="% of the picture",
        y_title=" ",
        color_map={
            say.WORDS: WORDS_COLOUR,
            say.LEARNED: LEARNED_COLOUR,
            say.AT_RANDOM: OTHER_COLOUR,
            say.LEARNED_AT_RANDOM: OTHER_COLOUR,
        },
        height=230,
        visible=False,
        buttons=[],
        elem_id=elem_id,
        elem_classes="cs-plot",
    )


def _promise() -> str:
    return f'<div class="cs-promise"><p>{escape(say.EMPTY)}</p></div>'


def _verdicts(looked: Looked) -> str:
    """A sentence and the areas of each prompt's map."""
    parts = []
    for title, check in looked.checks:
        areas = say.areas(
            title,
            check.deletion.area,
            check.random_deletion.area,
            check.insertion.area,
            check.random_insertion.area,
        )
        parts.append(
            f'<p class="cs-verdict"><b>{escape(title)}.</b> {escape(check.sentence)}</p>'
            f'<p class="cs-ending">{escape(areas)}</p>'
        )
    return f'<div class="cs-result">{"".join(parts)}</div>'


def _opacity(value: Any) -> float:
    """A slider's value, held to its range: raw requests may send anything."""
    try:
        return min(max(float(value), 0.0), 1.0)
    except (TypeError, ValueError):
        return 0.7
