"""Tab "Rank": order a pile of pictures by an instruction, and teach a ranker one's own order."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from coop_demo import samples
from coop_demo.charts.ranking import agreement_figure, pair_matrix_figure, strip_figure
from coop_demo.charts.training import CurvePoint, accuracy_curves, loss_curve
from coop_demo.data.dataset import Picture
from coop_demo.data.images import list_pictures
from coop_demo.data.picture_formats import UPLOAD_TYPES
from coop_demo.errors import RankingError, UserError
from coop_demo.ranking.instructions import EXAMPLE_INSTRUCTIONS, check_instruction
from coop_demo.ranking.metrics import contradictions
from coop_demo.ranking.order import RANKER, RANKING_METHODS, Order, order_csv
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import LOOKING, LOOKING_LIMIT, TRAINING, TRAINING_LIMIT, Refresh, Shell
from coop_demo.ui.events import forgiving, sentence_for, warn
from coop_demo.ui.explain import order_actions
from coop_demo.ui.rank import html as rank_html
from coop_demo.ui.rank import strings as say
from coop_demo.ui.rank.actions import (
    add_files,
    add_labels,
    best_rival,
    compare_again,
    judge,
    load,
    rank,
    ranker_in_use,
    read_numbers,
    show_sample,
    teach_order,
)
from coop_demo.ui.rank.state import PLACE, OrderSettings, Pile, RankProgress
from coop_demo.ui.session import Session
from coop_demo.ui.teach import html as teach_html
from coop_demo.ui.teach import strings as teach_strings
from coop_demo.ui.theme import LEARNED_COLOUR, LEARNED_LIGHT_COLOUR, WORDS_COLOUR

MOST_IN_GALLERY = 100
MOST_IN_TABLE = 60

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

# gr.Plot has no click event. This hears plotly's own, and hands the cell on as its own click;
# plotly forgets its listeners when it draws anew, hence the comparison with its emitter.
_CELL_CLICKS = """
const hook = () => {
  const plot = document.querySelector('#rank-pairs .js-plotly-plot');
  if (!plot || !plot.on || plot.heardBy === plot._ev) return;
  plot.heardBy = plot._ev;
  plot.on('plotly_click', (event) => {
    const point = event.points[0];
    trigger('click', {row: point.y, column: point.x});
  });
};
setInterval(hook, 700);
"""


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    with gr.Tab("Rank", id="rank"):
        with gr.Row(elem_classes="cs-columns cs-rank-columns", equal_height=False):
            with gr.Column(elem_classes="cs-column cs-rank-choose", min_width=320, scale=4):
                choose = ChooseColumn()
            with gr.Column(elem_classes="cs-column cs-rank-order", min_width=320, scale=9):
                order = OrderColumn()
        with gr.Column(elem_classes="cs-column cs-rank-teach"):
            teach = TeachOrder()
    choose.wire(shell, order, teach)
    order.wire(shell, choose)
    teach.wire(shell, choose, order)


class ChooseColumn:
    """Part 1: pictures, labels, instructions and the ranker in use."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(1, say.TITLE, say.LEAD), padding=False)
        self.sample_buttons: list[tuple[samples.SampleSet, gr.Button]] = []
        with gr.Row(elem_classes="cs-samples", equal_height=True):
            for sample in samples.sample_sets():
                if sample.kind != "ranking":
                    continue
                with gr.Column(elem_classes="cs-sample", min_width=90):
                    pictures = list_pictures(sample.folder / "pictures")[:4]
                    tiles = [rank_html.inlined(path) for path in pictures]
                    gr.HTML(page_html.mosaic(tiles), padding=False)
                    button = gr.Button(
                        sample.title,
                        size="sm",
                        min_width=60,
                        elem_id=f"rank-{sample.name}",
                        elem_classes="cs-use",
                    )
                self.sample_buttons.append((sample, button))
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
        self.shipped = gr.Button(
            say.USE_SHIPPED, size="sm", visible=False, elem_id="ranker-shipped"
        )

    @property
    def outputs(self) -> list[Any]:
        return [self.summary, self.instruction, self.second]

    @property
    def ranker_outputs(self) -> list[Any]:
        return [self.ranker_note, self.save, self.shipped]

    def view(self, session: Session) -> list[Any]:
        """Updates for `outputs`."""
        pile = session.pile
        known = [name for name in pile.labels if name]
        choices = list(dict.fromkeys([*known, *EXAMPLE_INSTRUCTIONS]))
        chosen = pile.instruction or choices[0]
        return [
            _summary(pile),
            gr.update(choices=choices, value=chosen),
            gr.update(choices=["", *choices], value=pile.second),
        ]

    def ranker_view(self, session: Session, problem: str = "") -> list[Any]:
        """Updates for `ranker_outputs`."""
        try:
            used = ranker_in_use(session)
        except UserError as error:
            used, problem = None, problem or str(error)
        own = session.backbone in session.pile.rankers
        if problem:
            note = page_html.notes([problem])
        elif used is None:
            note = page_html.notes([], [say.no_ranker(session.backbone)])
        else:
            note = page_html.hint(say.in_use(used.title))
        file = str(used.file) if used and used.file and own else None
        save = gr.update(value=file, interactive=file is not None)
        return [note, save, gr.update(visible=own)]

    def wire(self, shell: Shell, order: "OrderColumn", teach: "TeachOrder") -> None:
        store = shell.store
        everything = [*self.outputs, *order.outputs, *teach.number_outputs]

        def all_views(session: Session) -> list[Any]:
            return [*self.view(session), *order.view(session), *teach.number_view(session)]

        def open_sample(sample: samples.SampleSet):
            @forgiving
            def call(key: str) -> list[Any]:
                session = store.get(key)
                show_sample(session, sample)
                return all_views(session)

            return call

        for sample, button in self.sample_buttons:
            button.click(
                open_sample(sample),
                shell.key,
                everything,
                show_progress_on=[self.summary],
                api_visibility="private",
            )

        @forgiving
        def add(key: str, paths: list[str] | None, instruction: Any) -> list[Any]:
            session = store.get(key)
            if not paths:
                return [gr.skip()] * (1 + len(everything))
            session.pile.instruction = str(instruction or "")
            add_files(session, paths)
            return [None, *all_views(session)]

        self.files.upload(
            add,
            [shell.key, self.files, self.instruction],
            [self.files, *everything],
            show_progress_on=[self.summary],
            api_visibility="private",
        )

        @forgiving
        def clear(key: str) -> list[Any]:
            session = store.get(key)
            with session.lock:
                session.pile.clear()
            return all_views(session)

        self.clear.click(clear, shell.key, everything, **_QUIET)

        @forgiving
        def load_file(key: str, path: str | None) -> list[Any]:
            session = store.get(key)
            try:
                if path:
                    load(session, path)
            except Exception as error:
                sentence = sentence_for(error)
                warn(sentence)
                return [page_html.notes([sentence]), gr.skip(), gr.skip()]
            return self.ranker_view(session)

        self.load.upload(
            load_file,
            [shell.key, self.load],
            self.ranker_outputs,
            show_progress_on=[self.ranker_note],
            api_visibility="private",
        )

        @forgiving
        def back(key: str) -> list[Any]:
            session = store.get(key)
            with session.lock:
                session.pile.rankers.pop(session.backbone, None)
            return self.ranker_view(session)

        self.shipped.click(back, shell.key, self.ranker_outputs, **_QUIET)

        def refresh(key: str) -> list[Any]:
            session = store.get(key)
            return [*all_views(session), *self.ranker_view(session)]

        shell.on_open.append(Refresh(refresh, [*everything, *self.ranker_outputs]))
        shell.on_model.append(Refresh(refresh, [*everything, *self.ranker_outputs]))


class OrderColumn:
    """Part 2: the order, beside another instruction's and beside simpler ways; pairs; labels."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(2, say.ORDER_TITLE, say.ORDER_LEAD), padding=False)
        self.status = gr.HTML(
            page_html.hint(say.NOTHING_RANKED), padding=False, elem_id="rank-status", min_height=30
        )
        self.figures = gr.HTML(padding=False, elem_id="rank-figures")
        self.gallery = widgets.pictures_to_click(
            say.GALLERY,
            columns=6,
            visible=False,
            elem_id="rank-gallery",
            elem_classes="cs-ordered",
        )
        self.gallery_note = gr.HTML(padding=False)
        self.slope = gr.HTML(padding=False, elem_id="rank-slope")
        with gr.Column(visible=False, elem_classes="cs-rank-more") as self.more:
            gr.HTML(rank_html.head(say.RIVALS_TITLE, say.RIVALS_LEAD), padding=False)
            with gr.Row(elem_classes="cs-antonyms", equal_height=False):
                self.high = gr.Textbox(
                    label=say.HIGH_LABEL, max_length=300, min_width=180, elem_id="rank-high"
                )
                self.low = gr.Textbox(
                    label=say.LOW_LABEL, max_length=300, min_width=180, elem_id="rank-low"
                )
                self.again = gr.Button(
                    say.AGAIN, size="sm", scale=0, min_width=130, elem_id="rank-again"
                )
            self.strips = gr.HTML(padding=False, elem_id="rank-strips")
            self.csv = gr.DownloadButton(say.DOWNLOAD, size="sm", elem_id="rank-csv")
            with gr.Row(equal_height=False, elem_classes="cs-rank-plots"):
                with gr.Column(min_width=300):
                    gr.HTML(rank_html.head(say.SCORES_TITLE, say.SCORES_LEAD), padding=False)
                    self.strip_plot = gr.Plot(
                        show_label=False, elem_id="rank-scores", elem_classes="cs-plot"
                    )
                with gr.Column(min_width=300, visible=False) as self.scatter_box:
                    gr.HTML(rank_html.head(say.LABELS_TITLE), padding=False)
                    self.scatter = gr.Plot(
                        show_label=False, elem_id="rank-scatter", elem_classes="cs-plot"
                    )
            gr.HTML(rank_html.head(say.PAIRS_TITLE, say.PAIRS_LEAD), padding=False)
            with gr.Row(equal_height=False, elem_classes="cs-rank-plots"):
                with gr.Column(min_width=320, scale=3):
                    self.matrix = gr.Plot(
                        show_label=False, elem_id="rank-pairs", elem_classes="cs-plot"
                    )
                with gr.Column(min_width=260, scale=2):
                    self.one = gr.Dropdown(
                        [], label=say.FIRST_PICTURE, interactive=True, elem_id="rank-one"
                    )
                    self.other = gr.Dropdown(
                        [], label=say.OTHER_PICTURE, interactive=True, elem_id="rank-other"
                    )
                    self.pair = gr.HTML(padding=False, elem_id="rank-pair")
                    self.look_pair = gr.Button(say.LOOK_PAIR, size="sm", elem_id="rank-look-pair")
        self.clicks = gr.HTML("", js_on_load=_CELL_CLICKS, padding=False, elem_id="rank-clicks")

    @property
    def outputs(self) -> list[Any]:
        return [
            self.status,
            self.figures,
            self.gallery,
            self.gallery_note,
            self.slope,
            self.more,
            self.high,
            self.low,
            self.strips,
            self.csv,
            self.strip_plot,
            self.scatter_box,
            self.scatter,
            self.matrix,
            self.one,
            self.other,
            self.pair,
        ]

    def nothing(self, status: str) -> list[Any]:
        """Updates for `outputs` that say `status` and leave the rest."""
        return [status, *[gr.skip()] * (len(self.outputs) - 1)]

    def view(self, session: Session) -> list[Any]:
        """Updates for `outputs`."""
        found = session.pile.orders_with(session.backbone)
        if not found:
            return [
                page_html.hint(say.NOTHING_RANKED),
                "",
                gr.update(value=[], visible=False),
                "",
                "",
                gr.update(visible=False),
                *session.pile.pair,
                "",
                gr.update(value=None),
                None,
                gr.update(visible=False),
                None,
                None,
                gr.update(choices=[], value=None),
                gr.update(choices=[], value=None),
                "",
            ]
        first = found[0]
        scores = first.scores[first.leading]
        n = len(first.pictures)
        csv_path = session.folder / "ranking.csv"
        csv_path.write_text(order_csv(found), encoding="utf-8")
        status = page_html.hint(say.ranked(n, first.seconds, len(found)))
        problems = list(session.pile.problems)
        if first.leading != RANKER:
            problems.insert(0, say.no_ranker(session.backbone))
        elif float(scores.max()) == float(scores.min()):
            problems.insert(0, say.all_same(RANKER))
        names = [picture.name for picture in first.pictures]
        judged = len(first.metrics()) > 0
        shown = _ends(n, MOST_IN_GALLERY)
        return [
            status + page_html.notes(problems),
            "".join(_figures(order, len(found)) for order in found),
            gr.update(value=_gallery(session, first, shown), visible=True),
            page_html.hint(say.gallery_hint(len(shown), n, first.leading == RANKER)),
            _slope(session, found),
            gr.update(visible=True),
            first.pair.high,
            first.pair.low,
            rank_html.strips(first, session.thumbnail),
            gr.update(value=str(csv_path)),
            strip_figure(
                [(order.instruction, order.scores[order.leading].tolist()) for order in found],
                names,
            ),
            gr.update(visible=judged),
            agreement_figure(first.instruction, scores.tolist(), first.values.tolist(), names)
            if judged
            else None,
            *self._pairs(session, first),
        ]

    def _pairs(self, session: Session, order: Order) -> list[Any]:
        if order.pair_logits is None:
            empty = gr.update(choices=[], value=None)
            return [None, empty, empty, page_html.hint(say.NO_PAIRS)]
        names = [order.pictures[i].name for i in order.compared]
        wrong = contradictions(order.pair_logits)
        figure = pair_matrix_figure(names, order.pair_logits, wrong)
        first, other = 0, len(names) - 1
        choices = [(f"{place}. {name}", place - 1) for place, name in enumerate(names, start=1)]
        return [
            figure,
            gr.update(choices=choices, value=first),
            gr.update(choices=choices, value=other),
            rank_html.one_pair(order, first, other, session.thumbnail),
        ]

    def wire(self, shell: Shell, choose: ChooseColumn) -> None:
        store = shell.store

        @forgiving
        def run(
            key: str, instruction: Any, second: Any, high: Any, low: Any
        ) -> Iterator[list[Any]]:
            session = store.get(key)
            yield self.nothing(teach_html.progress(say.PREPARING, 0.0))
            try:
                asked = [str(words or "") for words in (instruction, second, high, low)]
                with contextlib.closing(rank(session, *asked)) as events:
                    for event in events:
                        if isinstance(event, RankProgress):
                            yield self.nothing(teach_html.progress(event.sentence, event.share))
                updates = self.view(session)
            except Exception as error:
                yield self.nothing(page_html.notes([sentence_for(error)]))
                return
            yield updates

        choose.rank.click(
            run,
            [shell.key, choose.instruction, choose.second, self.high, self.low],
            self.outputs,
            concurrency_id=LOOKING,
            concurrency_limit=LOOKING_LIMIT,
            show_progress="hidden",
            api_visibility="private",
        )

        @forgiving
        def again(key: str, high: str, low: str) -> list[Any]:
            session = store.get(key)
            found = compare_again(session, str(high or ""), str(low or ""))
            csv_path = session.folder / "ranking.csv"
            csv_path.write_text(order_csv(found), encoding="utf-8")
            return [
                rank_html.strips(found[0], session.thumbnail),
                "".join(_figures(order, len(found)) for order in found),
                gr.update(value=str(csv_path)),
            ]

        gr.on(
            [self.again.click, self.high.submit, self.low.submit],
            again,
            [shell.key, self.high, self.low],
            [self.strips, self.figures, self.csv],
            concurrency_id=LOOKING,
            show_progress_on=[self.strips],
            api_visibility="private",
        )

        @forgiving
        def choose_pair(key: str, first: Any, other: Any) -> str:
            return self._pair_view(store.get(key), first, other)

        gr.on(
            [self.one.input, self.other.input],
            choose_pair,
            [shell.key, self.one, self.other],
            self.pair,
            **_QUIET,
        )

        @forgiving
        def choose_cell(key: str, event: gr.EventData) -> list[Any]:
            row, column = getattr(event, "row", None), getattr(event, "column", None)
            return [row, column, self._pair_view(store.get(key), row, column)]

        self.clicks.click(choose_cell, shell.key, [self.one, self.other, self.pair], **_QUIET)

        @forgiving
        def look_at_picture(key: str, event: gr.SelectData) -> Any:
            session = store.get(key)
            shown = _shown(self._first(session))
            if not isinstance(event.index, int) or not 0 <= event.index < len(shown):
                raise RankingError(say.RANK_FIRST)
            order_actions.choose(session, self._first(session), [shown[event.index]])
            return gr.update(selected="look")

        @forgiving
        def look_at_pair(key: str, first: Any, other: Any) -> Any:
            session = store.get(key)
            self._pair_view(session, first, other)  # says what is wrong with the two, if anything
            order = self._first(session)
            if first == other:
                raise RankingError(say.SAME_PICTURE)
            pictures = [order.pictures[order.compared[at]] for at in (first, other)]
            order_actions.choose(session, order, pictures)
            return gr.update(selected="look")

        self.gallery.select(look_at_picture, shell.key, shell.tabs, **_QUIET)
        self.look_pair.click(look_at_pair, [shell.key, self.one, self.other], shell.tabs, **_QUIET)

    def _first(self, session: Session) -> Order:
        found = session.pile.orders_with(session.backbone)
        if not found:
            raise RankingError(say.RANK_FIRST)
        return found[0]

    def _pair_view(self, session: Session, first: Any, other: Any) -> str:
        found = session.pile.orders_with(session.backbone)
        if not found or found[0].pair_logits is None:
            raise RankingError(say.RANK_FIRST if not found else say.NO_PAIRS)
        n = len(found[0].compared)
        if not all(isinstance(at, int) and 0 <= at < n for at in (first, other)):
            raise RankingError(f"Choose two of the {n} pictures in the matrix.")
        return rank_html.one_pair(found[0], first, other, session.thumbnail)


class TeachOrder:
    """Part 3: number some pictures, train on them live, see what it gained."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(3, say.TEACH_TITLE, say.TEACH_LEAD), padding=False)
        with gr.Row(equal_height=False, elem_classes="cs-rank-plots"):
            with gr.Column(min_width=320, scale=5):
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
                    self.labels = gr.Button(
                        say.FROM_LABELS, size="sm", min_width=120, elem_id="numbers-labels"
                    )
                    self.order = gr.Button(
                        say.FROM_ORDER, size="sm", min_width=120, elem_id="numbers-order"
                    )
                    self.csv = gr.UploadButton(
                        say.FROM_CSV,
                        file_types=[".csv"],
                        size="sm",
                        min_width=120,
                        elem_id="numbers-csv",
                    )
                    self.clear = gr.Button(
                        say.CLEAR_NUMBERS, size="sm", min_width=120, elem_id="numbers-clear"
                    )
            with gr.Column(min_width=320, scale=4):
                with gr.Row(elem_classes="cs-go"):
                    self.teach = gr.Button(
                        say.TEACH, variant="primary", scale=3, elem_id="rank-teach"
                    )
                    self.stop = gr.Button(
                        teach_strings.STOP, interactive=False, scale=1, elem_id="rank-stop"
                    )
                self.status = gr.HTML(
                    page_html.hint(say.TEACH_HINT),
                    padding=False,
                    elem_id="rank-teach-status",
                    min_height=44,
                )
                self.result = gr.HTML(padding=False, elem_id="rank-taught")
                self.accuracy = gr.LinePlot(
                    x="step",
                    y="value",
                    color="series",
                    title=say.CURVES_TITLE,
                    x_title=" ",
                    y_title=" ",
                    y_lim=[0, 100],
                    color_map={
                        say.LEARNED: LEARNED_COLOUR,
                        teach_strings.LEARNED_TRAINING: LEARNED_LIGHT_COLOUR,
                        say.RIVAL_LINE: WORDS_COLOUR,
                    },
                    height=220,
                    visible=False,
                    buttons=[],
                    elem_id="rank-accuracy",
                    elem_classes="cs-plot",
                )
                self.loss = gr.LinePlot(
                    x="step",
                    y="value",
                    title=teach_strings.LOSS_TITLE,
                    x_title=teach_strings.STEP_AXIS,
                    y_title=" ",
                    height=170,
                    visible=False,
                    buttons=[],
                    elem_id="rank-loss",
                    elem_classes="cs-plot",
                )
                with gr.Accordion(teach_strings.SETTINGS, open=False, elem_id="rank-settings"):
                    with gr.Row():
                        self.steps = gr.Number(
                            0,
                            label=say.STEPS_LABEL,
                            info=say.FROM_RECIPE,
                            precision=0,
                            min_width=110,
                            elem_id="rank-steps",
                        )
                        self.rate = gr.Number(
                            0,
                            label=say.RATE_LABEL,
                            info=say.FROM_RECIPE,
                            min_width=110,
                        )
                        self.seed = gr.Number(1, label=say.SEED_LABEL, precision=0, min_width=90)
                    self.fresh = gr.Radio(
                        list(say.STARTS.items()),
                        value=False,
                        label=say.FRESH_LABEL,
                        info=say.FRESH_INFO,
                    )

    @property
    def number_outputs(self) -> list[Any]:
        return [self.clickable, self.table, self.note, self.meaning]

    @property
    def outputs(self) -> list[Any]:
        return [self.teach, self.stop, self.status, self.result, self.accuracy, self.loss]

    def number_view(self, session: Session) -> list[Any]:
        """Updates for `number_outputs`."""
        pile = session.pile
        shown = pile.pictures[:MOST_IN_TABLE]
        if not shown:
            hidden = gr.update(value=[], visible=False)
            return [hidden, gr.update(value=[], visible=False), "", pile.meaning]
        rows, gallery = [], []
        for picture in shown:
            assert picture.content is not None
            number = pile.numbers.get(picture.content)
            written = "" if number is None else f"{number:g}"
            path = session.thumbnail(picture)
            uri = rank_html.inlined(path)
            rows.append([f'<img src="{uri}" alt="" width="40" height="40">', picture.name, written])
            gallery.append((str(path), written or None))
        return [
            gr.update(value=gallery, visible=True),
            gr.update(value=rows, visible=True),
            _numbered(pile),
            pile.meaning,
        ]

    def view(self, session: Session) -> list[Any]:
        """Updates for `outputs` while nothing is being trained here."""
        running = session.training
        buttons = [gr.update(interactive=not running), gr.update(interactive=running)]
        used = session.pile.rankers.get(session.backbone)
        taught = used.taught if used else None
        if taught is None:
            hidden = gr.update(visible=False)
            return [*buttons, page_html.hint(say.TEACH_HINT), "", hidden, hidden]
        rival, share = best_rival(taught.rivals)
        rows = [
            ("learned", "Before", taught.before),
            ("learned", "After", taught.after),
            *(
                ("words", say.METHOD[m], taught.rivals.get(m))
                for m in RANKING_METHODS
                if m != RANKER
            ),
        ]
        sentence = say.taught_verdict(taught.before, taught.after, rival, share, taught.n_pairs)
        about = say.measured_on(taught.n_pairs, taught.n_held_out, taught.instruction)
        last = taught.points[-1].step if taught.points else 0
        return [
            *buttons,
            "",
            rank_html.scores_before_after(rows, f"{about} {sentence}", taught.ending),
            *_curves(taught.points, share, last),
        ]

    def wire(self, shell: Shell, choose: ChooseColumn, order: OrderColumn) -> None:
        store = shell.store

        @forgiving
        def typed(key: str, rows: Sequence[Sequence[Any]]) -> list[Any]:
            session = store.get(key)
            numbers = read_numbers(session.pile, rows)
            with session.lock:
                _replace_shown(session.pile, numbers)
            return [self.number_view(session)[0], _numbered(session.pile)]

        self.table.input(
            typed,
            [shell.key, self.table],
            [self.clickable, self.note],
            trigger_mode="always_last",
            **_QUIET,
        )

        @forgiving
        def clicked(key: str, event: gr.SelectData) -> list[Any]:
            session = store.get(key)
            pile = session.pile
            at = event.index
            if not isinstance(at, int) or not 0 <= at < min(len(pile.pictures), MOST_IN_TABLE):
                return [gr.skip()] * 4
            content = pile.pictures[at].content
            assert content is not None
            with session.lock:
                if pile.meaning != PLACE:
                    pile.meaning, pile.numbers = PLACE, {}
                if content in pile.numbers:
                    gone = pile.numbers.pop(content)  # a second click takes it out again
                    pile.numbers = {c: v - 1 if v > gone else v for c, v in pile.numbers.items()}
                else:
                    pile.numbers[content] = max(pile.numbers.values(), default=0.0) + 1
            return self.number_view(session)

        self.clickable.select(clicked, shell.key, self.number_outputs, **_QUIET)

        @forgiving
        def mean(key: str, meaning: str) -> None:
            if meaning not in say.MEANINGS.values():
                raise RankingError(f"{say.MEANING_LABEL}: choose one of the two.")
            store.get(key).pile.meaning = meaning

        self.meaning.input(mean, [shell.key, self.meaning], None, **_QUIET)

        @forgiving
        def from_labels(key: str, instruction: Any) -> list[Any]:
            session = store.get(key)
            _take_labels(session, str(instruction or ""))
            return self.number_view(session)

        @forgiving
        def from_order(key: str) -> list[Any]:
            session = store.get(key)
            found = session.pile.orders_with(session.backbone)
            if not found:
                raise RankingError(say.NO_ORDER)
            places = found[0].ranking(found[0].leading)
            with session.lock:
                session.pile.meaning = PLACE
                session.pile.numbers = {
                    content: float(place)
                    for place, at in enumerate(places, start=1)
                    if (content := found[0].pictures[at].content)
                }
            return self.number_view(session)

        @forgiving
        def from_csv(key: str, path: str | None, instruction: Any) -> list[Any]:
            session = store.get(key)
            if not path:
                return [gr.skip()] * (len(self.number_outputs) + 1)
            wording = check_instruction(str(instruction or ""))
            said = add_labels(session.pile, Path(path), instruction=wording)
            session.pile.instruction = wording
            session.pile.problems = tuple(said)
            _take_labels(session, wording)
            return [*self.number_view(session), _summary(session.pile)]

        @forgiving
        def clear(key: str) -> list[Any]:
            session = store.get(key)
            with session.lock:
                session.pile.numbers = {}
            return self.number_view(session)

        outputs = self.number_outputs
        self.labels.click(from_labels, [shell.key, choose.instruction], outputs, **_QUIET)
        self.order.click(from_order, shell.key, outputs, **_QUIET)
        self.clear.click(clear, shell.key, outputs, **_QUIET)
        self.csv.upload(
            from_csv,
            [shell.key, self.csv, choose.instruction],
            [*outputs, choose.summary],
            **_QUIET,
        )

        @forgiving
        def run(
            key: str, rows: Any, meaning: Any, instruction: Any, *settings: Any
        ) -> Iterator[list[Any]]:
            session = store.get(key)
            yield from self._run(session, choose, rows, meaning, instruction, settings)

        self.teach.click(
            run,
            [
                shell.key,
                self.table,
                self.meaning,
                choose.instruction,
                self.steps,
                self.rate,
                self.seed,
                self.fresh,
            ],
            [*self.outputs, *choose.ranker_outputs],
            concurrency_id=TRAINING,
            concurrency_limit=TRAINING_LIMIT,
            show_progress="minimal",
            show_progress_on=[self.status],
            api_visibility="private",
        )

        @forgiving
        def stop(key: str) -> list[Any]:
            session = store.get(key)
            if not session.training:
                raise UserError(teach_strings.NOTHING_TO_STOP)
            session.stop.set()
            return [gr.update(interactive=False), teach_html.progress(teach_strings.STOPPING)]

        self.stop.click(stop, shell.key, [self.stop, self.status], queue=False, **_QUIET)

        def refresh(key: str) -> list[Any]:
            return self.view(store.get(key))

        shell.on_open.append(Refresh(refresh, self.outputs))
        shell.on_model.append(Refresh(refresh, self.outputs))

    def _run(
        self,
        session: Session,
        choose: ChooseColumn,
        rows: Any,
        meaning: Any,
        instruction: Any,
        settings: Sequence[Any],
    ) -> Iterator[list[Any]]:
        keep = [gr.skip() for _ in choose.ranker_outputs]
        try:
            parsed = OrderSettings.parse(*settings)
            wording = check_instruction(str(instruction or ""))
            if meaning not in say.MEANINGS.values():
                raise RankingError(f"{say.MEANING_LABEL}: choose one of the two.")
            numbers = read_numbers(session.pile, rows or [])
            with session.lock:
                if session.training:
                    raise UserError(teach_strings.ALREADY_TRAINING)
                _replace_shown(session.pile, numbers)
                session.pile.meaning = meaning
                session.training = True
                session.stop.clear()
        except UserError as error:
            yield [gr.skip(), gr.skip(), page_html.notes([str(error)]), *[gr.skip()] * 3, *keep]
            return
        failed = ""
        try:
            yield [
                gr.update(interactive=False),
                gr.update(interactive=True),
                teach_html.progress(say.PREPARING, 0.0),
                "",
                gr.skip(),
                gr.skip(),
                *keep,
            ]
            with contextlib.closing(teach_order(session, wording, parsed)) as events:
                for event in events:
                    if isinstance(event, RankProgress):
                        yield [*self._progress(event), *keep]
        except Exception as error:
            failed = sentence_for(error)
        finally:
            session.training = False
        updates = self.view(session)
        if failed:
            updates[2] = page_html.notes([failed])
        yield [*updates, *choose.ranker_view(session)]

    def _progress(self, event: RankProgress) -> list[Any]:
        curves = (
            _curves(event.points, event.rival, event.total_steps)
            if event.points
            else [gr.skip(), gr.skip()]
        )
        status = teach_html.progress(event.sentence, event.share)
        return [gr.skip(), gr.skip(), status, gr.skip(), *curves]


def _summary(pile: Pile) -> str:
    if not pile.pictures:
        return page_html.hint(say.EMPTY) + page_html.notes(pile.problems, pile.notes)
    sentence = say.facts(len(pile.pictures), pile.labels)
    remarks = (*pile.notes, *pile.about)
    return page_html.facts(pile.source.rstrip(".?!"), sentence) + page_html.notes(
        pile.problems, remarks
    )


def _numbered(pile: Pile) -> str:
    n = sum(content in pile.by_content for content in pile.numbers)
    return page_html.hint(say.numbered(n, len(pile.pictures), MOST_IN_TABLE))


def _replace_shown(pile: Pile, numbers: dict[str, float]) -> None:
    """The table's numbers in place of those of the pictures it lists; others keep theirs."""
    listed = {picture.content for picture in pile.pictures[:MOST_IN_TABLE]}
    others = {c: v for c, v in pile.numbers.items() if c not in listed}
    pile.numbers = {**others, **numbers}


def _take_labels(session: Session, instruction: str) -> None:
    pile = session.pile
    known = {c: v for c, v in pile.labels_for(instruction).items() if c in pile.by_content}
    if not known:
        raise RankingError(say.NO_LABELS)
    with session.lock:
        pile.meaning = "amount"
        pile.numbers = known


def _ends(n: int, most: int) -> list[int]:
    """Places shown of n: all, or the first and the last half of `most`."""
    if n <= most:
        return list(range(n))
    return [*range(most - most // 2), *range(n - most // 2, n)]


def _gallery(session: Session, order: Order, shown: Sequence[int]) -> list[tuple[str, str]]:
    ranking = order.ranking(order.leading)
    scores = order.scores[order.leading]
    return [
        (
            str(session.thumbnail(order.pictures[ranking[place]])),
            f"{place + 1} · {scores[ranking[place]]:.2f}",
        )
        for place in shown
    ]


def _shown(order: Order) -> list[Picture]:
    """The pictures of the gallery, as they stand there."""
    ranking = order.ranking(order.leading)
    return [order.pictures[ranking[at]] for at in _ends(len(ranking), MOST_IN_GALLERY)]


def _figures(order: Order, n_orders: int) -> str:
    shown = rank_html.figures(order, judge(order))
    if n_orders == 1 or not shown:
        return shown
    return rank_html.head(order.instruction) + shown


def _slope(session: Session, found: Sequence[Order]) -> str:
    if len(found) < 2:
        return ""
    return rank_html.head(say.SLOPE_TITLE) + rank_html.slope(found[0], found[1], session.thumbnail)


def _curves(points: Sequence[CurvePoint], rival: float | None, total_steps: int) -> list[Any]:
    """Updates for the accuracy and the loss plot."""
    curves = accuracy_curves(
        points,
        rival,
        learned=say.LEARNED,
        training=teach_strings.LEARNED_TRAINING,
        flat_line=say.RIVAL_LINE,
        total_steps=total_steps,
    )
    losses = loss_curve([point for point in points if point.loss == point.loss])
    x_lim = [0, max(total_steps, 1)]
    return [
        gr.update(value=curves, visible=True, x_lim=x_lim),
        gr.update(value=losses, visible=True, x_lim=x_lim),
    ]
