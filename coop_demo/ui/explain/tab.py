"""Tab "Look": where did it look, and can the picture be believed?"""

import contextlib
from collections.abc import Iterator
from typing import Any

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import LOOKING, LOOKING_LIMIT, Refresh, Shell
from coop_demo.ui.events import forgiving, sentence_for
from coop_demo.ui.explain import actions, order_actions
from coop_demo.ui.explain import html as explain_html
from coop_demo.ui.explain import strings as say
from coop_demo.ui.explain.order_tab import Ranked
from coop_demo.ui.explain.state import Looked, Subject
from coop_demo.ui.session import Session
from coop_demo.ui.teach import html as teach_html

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

# A download button needs its file before it is clicked, and packing all maps at every look would
# cost more than the maps: the button on the page packs, and then clicks the hidden one.
_SAVE_FILE = """
() => new Promise((done) => setTimeout(() => {
  document.querySelector('#%s')?.click();
  done();
}, 100))
"""


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    with (
        gr.Tab("Look", id="look") as tab,
        gr.Row(elem_classes="cs-columns cs-look", equal_height=False),
    ):
        with gr.Column(elem_classes="cs-column", min_width=300, scale=2):
            question = Question()
        with gr.Column(elem_classes="cs-column cs-look-answer", min_width=320, scale=5):
            with gr.Column() as plain:
                maps = Maps()
                check = Check()
            with gr.Column(visible=False, elem_id="look-ranked") as of_order:
                ranked = Ranked()
    _wire(shell, tab, question, maps, check, ranked, (plain, of_order))


class Question:
    """The left column: which picture, what to look for, by which method."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(1, say.PICTURE_TITLE, say.PICTURE_LEAD), padding=False)
        self.source = gr.Dropdown(
            list(say.SOURCES.items()),
            value=say.SCENES,
            label=say.SOURCE_LABEL,
            elem_id="look-source",
        )
        self.gallery = widgets.pictures_to_click(
            say.SOURCE_LABEL,
            columns=4,
            elem_id="look-gallery",
            elem_classes="cs-gallery",
        )
        self.offered = gr.HTML(padding=False, elem_id="look-offered")
        self.picture = gr.Image(
            label=say.DROP_LABEL,
            type="filepath",
            sources=["upload", "clipboard"],
            height=210,
            buttons=[],
            elem_id="look-picture",
        )
        # No event may have this as its output: gradio would then make it anew, without the change.
        widgets.leave_to_our_loader(self.picture)
        self.wanted = gr.Dropdown(
            [],
            value=None,
            allow_custom_value=True,
            label=say.WANTED_LABEL,
            info=say.WANTED_INFO,
            elem_id="look-wanted",
        )
        self.method = gr.Dropdown(
            [(say.SUITS, "auto")], value="auto", label=say.METHOD_LABEL, elem_id="look-method"
        )
        self.go = gr.Button(say.LOOK, variant="primary", elem_id="look-go")
        self.status = gr.HTML(padding=False, elem_id="look-status", min_height=30)
        self.draw_set = gr.Button(say.ZIP_SET, size="sm", elem_id="look-draw-set")
        self.set_zip = gr.DownloadButton(
            say.GET_ZIP_SET, size="sm", visible=False, elem_id="look-set-zip"
        )

    def offer(self, session: Session, source: str) -> list[Any]:
        """Updates for the gallery and the line under it.

        Raises:
            UserError: there is nothing to choose from.
        """
        shown, n = actions.offer(session, source)
        thumbnails = [str(session.thumbnail(subject.picture)) for subject in shown]
        return [gr.update(value=thumbnails), page_html.hint(say.offered(len(shown), n))]

    @staticmethod
    def choices(subject: Subject | None) -> Any:
        if subject is None:
            return gr.update(choices=[], value=None)
        return gr.update(
            choices=list(subject.class_names), value=Question.first_of(subject) or None
        )

    @staticmethod
    def first_of(subject: Subject) -> str:
        """What is looked for until a person says otherwise; "" where nothing is known."""
        return subject.own or next(iter(subject.class_names), "")


class Maps:
    """The maps of both prompts and their difference, the slider, the strip of all classes."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(2, say.MAPS_TITLE, say.MAPS_LEAD), padding=False)
        self.empty = gr.HTML(explain_html.promise(), padding=False, elem_id="look-empty")
        with gr.Column(visible=False) as self.all:
            with gr.Row(elem_classes="cs-look-maps", equal_height=False):
                _, self.words = _map(say.WORDS, "look-words")
                self.learned_column, self.learned = _map(say.LEARNED, "look-learned")
                self.difference_column, self.difference = _map(say.DIFFERENCE, "look-difference")
            self.note = gr.HTML(padding=False, elem_id="look-note")
            with gr.Row(elem_classes="cs-options cs-look-options"):
                self.opacity = gr.Slider(
                    0,
                    1,
                    explain_html.OPACITY,
                    step=0.05,
                    label=say.OPACITY_LABEL,
                    buttons=[],
                    elem_id="look-opacity",
                )
                self.cells = gr.Checkbox(False, label=say.CELLS_LABEL, elem_id="look-cells")
            with gr.Row(equal_height=False, elem_classes="cs-look-more"):
                with gr.Column(min_width=240):
                    self.slider_hint = gr.HTML(padding=False)
                    self.slider = gr.ImageSlider(
                        label=say.SLIDER_LABEL,
                        show_label=False,
                        interactive=False,
                        type="pil",
                        format="jpeg",
                        buttons=[],
                        elem_id="look-slider",
                    )
                with gr.Column(min_width=240) as self.strip_column:
                    self.strip_hint = gr.HTML(padding=False)
                    self.strip = widgets.pictures_to_click(
                        say.STRIP_LABEL,
                        columns=3,
                        format="jpeg",
                        elem_id="look-strip",
                        elem_classes=["cs-look-strip", "cs-look-many"],
                    )
            self.save = gr.Button(say.ZIP_ONE, size="sm", elem_id="look-save")
            self.zip = gr.DownloadButton(say.ZIP_ONE, elem_id="look-zip", elem_classes="cs-unseen")

    @property
    def pictures(self) -> list[Any]:
        return [
            self.words,
            self.learned_column,
            self.learned,
            self.difference_column,
            self.difference,
            self.slider_hint,
            self.slider,
            self.strip_column,
            self.strip_hint,
            self.strip,
        ]

    @property
    def outputs(self) -> list[Any]:
        return [self.empty, self.all, self.note, *self.pictures]

    def pictures_view(
        self, session: Session, looked: Looked, opacity: float, cells: bool
    ) -> list[Any]:
        """Updates for `pictures`: what changes with the opacity and the resolution."""
        drawn = actions.drawings(looked, opacity=opacity, cells=cells)
        strip = actions.strip(looked, opacity=opacity, cells=cells)
        pair = (drawn.words, drawn.learned) if drawn.learned else (looked.image, drawn.words)

        def file(kind: str, picture: Any) -> str | None:
            name = f"{looked.name}-{looked.wanted}"
            return picture and str(actions.saved_png(session, kind, name, picture))

        return [
            file("hand-crafted", drawn.words),
            gr.update(visible=drawn.learned is not None),
            file("learned", drawn.learned),
            gr.update(visible=drawn.difference is not None),
            file("difference", drawn.difference),
            page_html.hint(say.SLIDER_BOTH if drawn.learned else say.SLIDER_ONE),
            pair,
            gr.update(visible=bool(strip)),
            page_html.hint(
                say.strip_hint(looked.learned is not None, len(strip), len(looked.texts))
            ),
            strip,
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
        if bool(looked.words.empty[looked.index]):
            remarks.insert(0, say.EMPTY_MAP)
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
            page_html.hint(asked) + page_html.notes((), remarks),
            *self.pictures_view(session, looked, explain_html.held(opacity), bool(cells)),
        ]


class Check:
    """Whether the map can be believed: sentences, warnings, curves, the meaningless text's map."""

    def __init__(self) -> None:
        with gr.Column(visible=False, elem_id="look-check") as self.all:
            gr.HTML(page_html.step_head(3, say.CHECK_TITLE, say.CHECK_LEAD), padding=False)
            self.sentences = gr.HTML(padding=False, elem_id="look-sentences")
            with gr.Row(
                equal_height=False, visible=False, elem_classes="cs-look-check"
            ) as self.figures:
                self.deletion = gr.HTML(padding=False, elem_id="look-deletion")
                self.insertion = gr.HTML(padding=False, elem_id="look-insertion")
                with gr.Column(min_width=150):
                    self.shuffled = gr.Image(
                        label=say.MEANINGLESS,
                        show_label=False,
                        interactive=False,
                        type="filepath",
                        buttons=["download", "fullscreen"],
                        elem_id="look-shuffled",
                    )
                    self.shuffled_hint = gr.HTML(padding=False)

    @property
    def outputs(self) -> list[Any]:
        return [
            self.all,
            self.sentences,
            self.figures,
            self.deletion,
            self.insertion,
            self.shuffled,
            self.shuffled_hint,
        ]

    def view(self, session: Session, looked: Looked | None, *, checking: bool = False) -> list[Any]:
        hidden = [gr.update(visible=False), "", "", gr.skip(), ""]
        if looked is None or not looked.checks:
            status = teach_html.progress(say.CHECKING) if checking else ""
            return [gr.update(visible=checking), status, *hidden]
        warnings = list(dict.fromkeys(line for _, c in looked.checks for line in c.warnings))
        meaningless = actions.shuffled(looked)
        name = f"{looked.name}-{looked.wanted}"
        return [
            gr.update(visible=True),
            explain_html.verdicts(looked) + page_html.notes(warnings),
            gr.update(visible=True),
            explain_html.curve_chart(looked, "deletion"),
            explain_html.curve_chart(looked, "insertion"),
            meaningless and str(actions.saved_png(session, "meaningless", name, meaningless)),
            page_html.hint(say.shuffled_hint(looked.checks[-1][1].text_correlation)),
        ]


def _wire(
    shell: Shell,
    tab: gr.Tab,
    question: Question,
    maps: Maps,
    check: Check,
    ranked: Ranked,
    columns: tuple[gr.Column, gr.Column],
) -> None:
    store = shell.store
    results = [*columns, *maps.outputs, *check.outputs]
    asking = [shell.key, question.wanted, question.method, maps.opacity, maps.cells]

    def nothing() -> list[Any]:
        return [gr.skip() for _ in results]

    def columns_view(session: Session) -> list[Any]:
        """The maps of prompts, or those of the ranker when pictures of an order were chosen."""
        of_order = order_actions.chosen(session) is not None
        return [gr.update(visible=not of_order), gr.update(visible=of_order)]

    def shown(session: Session, opacity: Any, cells: Any) -> list[Any]:
        looked = actions.looked_at(session)
        return [
            *columns_view(session),
            *maps.view(session, looked, opacity, cells),
            *check.view(session, looked),
        ]

    def run(session: Session, wanted: Any, method: Any, opacity: Any, cells: Any) -> Iterator:
        """Updates for the status and the results: first the maps, then their check."""
        actions.taken_up(session)
        order_actions.forget(session)
        if not str(wanted or "").strip():
            yield [page_html.notes([], [say.NOTHING_WANTED]), *shown(session, opacity, cells)]
            return
        yield [teach_html.progress(say.LOOKING), *columns_view(session), *nothing()[2:]]
        try:
            for looked in actions.look(session, wanted, method):
                first = not looked.checks
                drawn = (
                    maps.view(session, looked, opacity, cells)
                    if first
                    else [gr.skip() for _ in maps.outputs]
                )
                checked = check.view(session, looked, checking=first)
                yield ["", *columns_view(session), *drawn, *checked]
        except Exception as error:
            unchecked = check.view(session, None)
            kept = nothing()[: -len(unchecked)]
            yield [page_html.notes([sentence_for(error)]), *kept, *unchecked]

    def look_at(session: Session, subject: Subject, *how: Any) -> Iterator[list[Any]]:
        """`run` for a picture that was chosen just now; its class names come first.

        One event and not two, so that what is asked for never depends on what the page has heard
        of in the meantime.
        """
        order_actions.forget(session)
        wanted = question.first_of(subject)
        maps_gone = shown(session, explain_html.OPACITY, False)
        yield [question.choices(subject), "", *maps_gone]
        for update in run(session, wanted, *how):
            yield [gr.skip(), *update]

    @forgiving
    def go(key: str, wanted: Any, method: Any, opacity: Any, cells: Any) -> Iterator[list[Any]]:
        yield from run(store.get(key), wanted, method, opacity, cells)

    @forgiving
    def choose_source(key: str, source: str) -> list[Any]:
        return question.offer(store.get(key), source)

    @forgiving
    def choose(
        key: str, method: Any, opacity: Any, cells: Any, event: gr.SelectData
    ) -> Iterator[list[Any]]:
        session = store.get(key)
        subject = actions.offered(session, event.index)
        actions.choose(session, subject)
        yield from look_at(session, subject, method, opacity, cells)

    @forgiving
    def drop(
        key: str, path: str | None, method: Any, opacity: Any, cells: Any
    ) -> Iterator[list[Any]]:
        session = store.get(key)
        if not path:
            yield [gr.skip(), gr.skip(), *nothing()]
            return
        try:
            subject = actions.dropped(session, path)
        except UserError as error:
            yield [gr.skip(), page_html.notes([str(error)]), *nothing()]
            return
        actions.choose(session, subject)
        yield from look_at(session, subject, method, opacity, cells)

    @forgiving
    def choose_class(
        key: str, method: Any, opacity: Any, cells: Any, event: gr.SelectData
    ) -> Iterator[list[Any]]:
        session = store.get(key)
        looked = actions.looked_at(session)
        if looked is None or not isinstance(event.index, int):
            raise UserError(say.UNKNOWN_PICTURE)
        wanted = looked.texts[min(max(event.index, 0), len(looked.texts) - 1)]
        for update in run(session, wanted, method, opacity, cells):
            yield [gr.update(value=wanted), *update]

    @forgiving
    def redraw(key: str, opacity: Any, cells: Any) -> list[Any]:
        session = store.get(key)
        looked = actions.looked_at(session)
        if looked is None:
            return [gr.skip() for _ in maps.pictures]
        return maps.pictures_view(session, looked, explain_html.held(opacity), bool(cells))

    @forgiving
    def save(key: str, opacity: Any, cells: Any) -> Any:
        session = store.get(key)
        looked = actions.looked_at(session)
        if looked is None:
            raise UserError(say.NO_MAPS)
        path = session.folder / "maps.zip"
        path.write_bytes(
            actions.zip_of(looked, opacity=explain_html.held(opacity), cells=bool(cells))
        )
        return gr.update(value=str(path))

    @forgiving
    def draw_set(
        key: str, source: str, method: Any, opacity: Any, cells: Any
    ) -> Iterator[list[Any]]:
        session = store.get(key)
        yield [teach_html.progress(say.LOOKING, 0.0), gr.update(visible=False)]
        try:
            events = actions.maps_of_set(
                session, source, method, opacity=explain_html.held(opacity), cells=bool(cells)
            )
            for done, total, packed, remark in events:
                if packed is None:
                    yield [teach_html.progress(say.drawing(done, total), done / total), gr.skip()]
                    continue
                path = session.folder / "maps-of-a-set.zip"
                path.write_bytes(packed)
                yield [
                    page_html.notes([], [remark] if remark else []),
                    gr.update(value=str(path), visible=True),
                ]
        except Exception as error:
            yield [page_html.notes([sentence_for(error)]), gr.skip()]

    def refresh(key: str) -> list[Any]:
        session = store.get(key)
        return [
            *question.offer(session, say.SCENES),
            say.SCENES,
            question.choices(actions.chosen(session)),
            *shown(session, explain_html.OPACITY, False),
        ]

    def model_changed(key: str) -> list[Any]:
        session = store.get(key)
        actions.forget(session)
        order_actions.forget(session)
        methods = gr.update(choices=actions.fitting_methods(session.backbone), value="auto")
        return [methods, "", gr.update(visible=False), *shown(session, explain_html.OPACITY, False)]

    @forgiving
    def arrive(
        key: str, source: str, method: Any, opacity: Any, cells: Any, *ranked_how: Any
    ) -> Iterator[list[Any]]:
        """The tab opens: the methods of the model in use, and what other tabs brought along."""
        session = store.get(key)
        methods = gr.update(choices=actions.fitting_methods(session.backbone))
        offered = [gr.skip(), gr.skip()]
        if source == say.MINE:
            with contextlib.suppress(UserError):  # none left: what is shown may stay
                offered = question.offer(session, source)
        here = [methods, *offered]
        same = [gr.skip(), gr.skip()]
        of_order = [gr.skip() for _ in (*ranked.choices, *ranked.outputs)]
        if order_actions.is_fresh(session):
            yield [*here, *same, *columns_view(session), *nothing()[2:], *of_order]
            for update in ranked.run(session, *ranked_how):
                choices = ranked.choices_view(session)
                yield [gr.skip() for _ in here] + [*same, *nothing(), *choices, *update]
            return
        subject = actions.chosen(session)
        if subject is None or not actions.is_fresh(session):
            yield [*here, *same, *nothing(), *of_order]
            return
        yield [*here, *same, *nothing(), *of_order]
        for update in look_at(session, subject, method, opacity, cells):
            yield [*(gr.skip() for _ in here), *update, *of_order]

    @forgiving
    def back(key: str) -> list[Any]:
        session = store.get(key)
        order_actions.forget(session)
        return columns_view(session)

    # "multiple": what was asked for last counts, and `looking.look` ends what came before
    heavy: dict[str, Any] = {
        "trigger_mode": "multiple",
        "concurrency_id": LOOKING,
        "concurrency_limit": LOOKING_LIMIT,
        "show_progress": "minimal",
        "show_progress_on": [question.status],
        "api_visibility": "private",
    }
    how = [question.method, maps.opacity, maps.cells]
    answer = [question.status, *results]
    question.go.click(go, asking, answer, **heavy)
    question.gallery.select(choose, [shell.key, *how], [question.wanted, *answer], **heavy)
    question.picture.input(
        drop, [shell.key, question.picture, *how], [question.wanted, *answer], **heavy
    )
    maps.strip.select(choose_class, [shell.key, *how], [question.wanted, *answer], **heavy)
    tab.select(
        arrive,
        [shell.key, question.source, *how, ranked.opacity, ranked.cells],
        [
            question.method,
            question.gallery,
            question.offered,
            question.wanted,
            *answer,
            *ranked.choices,
            *ranked.outputs,
        ],
        **heavy,
    )
    ranked.wire(shell, heavy, _SAVE_FILE)
    ranked.back.click(back, shell.key, list(columns), **_QUIET)
    question.source.input(
        choose_source,
        [shell.key, question.source],
        [question.gallery, question.offered],
        **_QUIET,
    )
    drawing = [shell.key, maps.opacity, maps.cells]
    # `input` and not `release`, which a keyboard never sends; what came too fast is skipped
    maps.opacity.input(redraw, drawing, maps.pictures, trigger_mode="always_last", **_QUIET)
    maps.cells.input(redraw, drawing, maps.pictures, **_QUIET)
    maps.save.click(
        save, drawing, maps.zip, concurrency_id=LOOKING, api_visibility="private"
    ).success(None, None, None, js=_SAVE_FILE % "look-zip")
    question.draw_set.click(
        draw_set,
        [shell.key, question.source, question.method, maps.opacity, maps.cells],
        [question.status, question.set_zip],
        **{**heavy, "trigger_mode": "once"},
    )
    shell.on_open.append(
        Refresh(
            refresh,
            [question.gallery, question.offered, question.source, question.wanted, *results],
        )
    )
    shell.on_model.append(
        Refresh(model_changed, [question.method, question.status, question.set_zip, *results])
    )


# ---- pieces


def _map(title: str, elem_id: str) -> tuple[gr.Column, gr.Image]:
    """A titled picture in a column of its own."""
    with gr.Column(min_width=160) as column:
        gr.HTML(page_html.hint(title), padding=False)
        image = gr.Image(
            label=title,
            show_label=False,
            interactive=False,
            type="filepath",
            buttons=["download", "fullscreen"],
            elem_id=elem_id,
        )
    return column, image
