"""Looking closer at a comparison: one panel a question, each a tab below the table of methods."""

import contextlib
import math
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import gradio as gr

from coop_demo.charts import comparison as comparison_charts
from coop_demo.charts.report import csv_files, html_report
from coop_demo.comparison.calibration import calibrate, fit_temperature, reliability
from coop_demo.comparison.confusion import cell_pictures, confusion_matrix, disagreements
from coop_demo.comparison.methods import KGCOOP_WEIGHT, METHODS
from coop_demo.comparison.projection import project
from coop_demo.data.dataset import Dataset
from coop_demo.data.folders import read_zip
from coop_demo.errors import UserError
from coop_demo.ui import html as page_html
from coop_demo.ui.compare import html as compare_html
from coop_demo.ui.compare import strings as say
from coop_demo.ui.compare.actions import (
    look_at,
    read_second,
    report_folder,
    run_curve,
    run_forgetting,
    run_shift,
    second_sets,
)
from coop_demo.ui.compare.state import Compared, Progress, need_compared, working
from coop_demo.ui.context import LOOKING, LOOKING_LIMIT, TRAINING, TRAINING_LIMIT, Shell
from coop_demo.ui.events import forgiving, sentence_for
from coop_demo.ui.forms import whole
from coop_demo.ui.plot_clicks import clicked, picture_cards, plot_clicks
from coop_demo.ui.session import Session
from coop_demo.ui.teach import html as teach_html

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_LOOK: dict[str, Any] = {
    "concurrency_id": LOOKING,
    "concurrency_limit": LOOKING_LIMIT,
    **_QUIET,
}
_MAX_VECTORS = 64  # rows of the words table on the page


class Panel(Protocol):
    """A panel: `view(session, compared)` gives one update for each of `outputs`."""

    outputs: list[Any]

    def view(self, session: Session, compared: Compared | None) -> list[Any]: ...

    def wire(self, shell: Shell) -> None: ...


def _lead(sentence: str) -> None:
    gr.HTML(page_html.hint(sentence), padding=False)


def _plot(elem_id: str) -> gr.Plot:
    return gr.Plot(
        show_label=False, container=False, visible=False, elem_id=elem_id, elem_classes="cs-plot"
    )


def _hidden() -> Any:
    return gr.update(visible=False)


def _drawn(figure: Any) -> Any:
    return gr.update(value=figure, visible=True)


def _opens_look(shell: Shell, cards: gr.HTML) -> None:
    @forgiving
    def look(key: str, event: gr.EventData) -> Any:
        (number,) = clicked(event, 1, say.NONE_OF_THESE)
        look_at(shell.store.get(key), number)
        return gr.update(selected="look")

    cards.click(look, shell.key, shell.tabs, **_LOOK)


class _LongJob:
    """Go and Stop with a line of progress, around a generator of Progress."""

    def __init__(self, label: str, name: str) -> None:
        with gr.Row(elem_classes="cs-go cs-go-small"):
            self.go = gr.Button(label, variant="primary", elem_id=f"{name}-go", scale=2)
            self.stop = gr.Button(say.STOP, interactive=False, elem_id=f"{name}-stop", scale=1)
        self.status = gr.HTML(padding=False, elem_id=f"{name}-status")

    def wire(
        self,
        shell: Shell,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        job: Callable[..., Iterator[Progress]],
        view: Callable[[Session, Compared | None], list[Any]],
    ) -> None:
        """`job(session, *values)` is run; `view` redraws `outputs` whenever something is new."""
        store = shell.store
        keep = [gr.skip() for _ in outputs]

        @forgiving
        def run(key: str, *values: Any) -> Iterator[list[Any]]:
            session = store.get(key)
            last = ""
            with working(session):
                yield [
                    gr.update(interactive=False),
                    gr.update(interactive=True),
                    teach_html.progress(say.PREPARING, 0.0),
                    *keep,
                ]
                try:
                    with contextlib.closing(job(session, *values)) as events:  # type: ignore[type-var]
                        for event in events:
                            shown = view(session, event.so_far) if event.so_far else keep
                            last = (
                                teach_html.progress(event.sentence, event.share)
                                if event.sentence
                                else ""
                            )
                            yield [gr.skip(), gr.skip(), last, *shown]
                except Exception as error:
                    last = page_html.notes([sentence_for(error)])
            yield [gr.update(interactive=True), gr.update(interactive=False), last, *keep]

        @forgiving
        def stop(key: str) -> Any:
            session = store.get(key)
            if not session.training:
                raise UserError(say.NOTHING_TO_STOP)
            session.stop.set()
            # the status is the job's own: an answer from here could come after its last word
            return gr.update(interactive=False)

        self.go.click(
            run,
            [shell.key, *inputs],
            [self.go, self.stop, self.status, *outputs],
            concurrency_id=TRAINING,
            concurrency_limit=TRAINING_LIMIT,
            show_progress="minimal",
            show_progress_on=[self.status],
            api_visibility="private",
        )
        self.stop.click(stop, shell.key, self.stop, queue=False, **_QUIET)


class ShotsPanel:
    """How much do more pictures help?"""

    def __init__(self) -> None:
        with gr.Tab(say.SHOTS_TAB, id="shots"):
            _lead(say.SHOTS_LEAD)
            with gr.Row(elem_classes="cs-options"):
                self.methods = gr.CheckboxGroup(
                    [(m.title, m.key) for m in METHODS.values() if m.key != "hand-crafted"],
                    value=["tip-adapter", "learned"],
                    label=say.SHOTS_METHODS_LABEL,
                    elem_id="curve-methods",
                    scale=3,
                )
                self.seeds = gr.Slider(
                    1, say.MAX_SEEDS, 3, step=1, label=say.SEEDS_LABEL, elem_id="curve-seeds"
                )
            self.job = _LongJob(say.DRAW_CURVE, "curve")
            self.plot = _plot("shots-plot")
            self.notes = gr.HTML(padding=False, elem_id="curve-notes")
        self.outputs: list[Any] = [self.plot, self.notes]

    def view(self, session: Session, compared: Compared | None) -> list[Any]:
        if compared is None or not compared.cells:
            return [_hidden(), ""]
        ending = f'<p class="cs-ending">{compared.curve_ending}</p>'
        return [
            _drawn(comparison_charts.shots_figure(compared.cells)),
            (ending if compared.curve_ending else "") + page_html.notes(compared.curve_problems),
        ]

    def wire(self, shell: Shell) -> None:
        def job(session: Session, methods: Any, seeds: Any) -> Iterator[Progress]:
            n = whole(seeds, say.SEEDS_LABEL, 1, say.MAX_SEEDS)
            yield from run_curve(session, [str(key) for key in methods or ()], n)

        self.job.wire(shell, [self.methods, self.seeds], self.outputs, job, self.view)


class MistakesPanel:
    """The confusion matrix, the pictures of a cell, and the accuracy of each class."""

    def __init__(self) -> None:
        with gr.Tab(say.MISTAKES_TAB, id="mistakes"):
            _lead(say.MISTAKES_LEAD)
            with gr.Row(elem_classes="cs-options"):
                self.method = _method_box("mistakes-method")
                self.true = gr.Dropdown([], label=say.TRUE_LABEL, elem_id="true-class")
                self.answer = gr.Dropdown([], label=say.ANSWER_LABEL, elem_id="answer-class")
            with gr.Row(elem_classes="cs-split", equal_height=False):
                with gr.Column(min_width=320, scale=3):
                    self.plot = _plot("confusion-plot")
                    self.clicks = plot_clicks("confusion-plot")
                with gr.Column(min_width=300, scale=2, elem_classes="cs-cell"):
                    self.cell = picture_cards("cell-pictures")
            self.classes = _plot("classes-plot")
        self.outputs: list[Any] = [
            self.method,
            self.true,
            self.answer,
            self.plot,
            self.cell,
            self.classes,
        ]

    def view(self, session: Session, compared: Compared | None) -> list[Any]:
        if compared is None:
            nothing = gr.update(choices=[], value=None)
            return [
                nothing,
                nothing,
                nothing,
                _hidden(),
                page_html.hint(say.COMPARE_FIRST),
                _hidden(),
            ]
        method = compared.best_learned() or compared.methods()[-1][1]
        true, answer = _commonest_mistake(compared, method)
        names = [(name, i) for i, name in enumerate(compared.comparison.class_names)]
        both = list(dict.fromkeys(("hand-crafted", compared.best_learned() or method)))
        return [
            gr.update(choices=compared.methods(), value=method),
            gr.update(choices=names, value=true),
            gr.update(choices=names, value=answer),
            _drawn(comparison_charts.confusion_figure(compared.comparison, method)),
            self._cell(session, compared, method, true, answer),
            _drawn(comparison_charts.per_class_figure(compared.comparison, both)),
        ]

    def _cell(
        self, session: Session, compared: Compared, method: Any, true: Any, answer: Any
    ) -> str:
        comparison = compared.comparison
        names = comparison.class_names
        result = comparison.result(str(method))
        true = whole(true, say.TRUE_LABEL, 0, len(names) - 1)
        answer = whole(answer, say.ANSWER_LABEL, 0, len(names) - 1)
        numbers = cell_pictures(result.predicted, comparison.labels, true, answer)
        other = "hand-crafted" if result.method != "hand-crafted" else compared.best_learned()
        methods = [result.method, *([other] if other else [])]
        sentence = say.cell(len(numbers), names[true], names[answer])
        body = compare_html.cards(session, comparison, numbers, methods) if numbers else ""
        return f"{compare_html.sentences([sentence])}{body}"

    def wire(self, shell: Shell) -> None:
        store = shell.store

        @forgiving
        def choose_method(key: str, method: Any, true: Any, answer: Any) -> list[Any]:
            session = store.get(key)
            compared = need_compared(session)
            figure = comparison_charts.confusion_figure(compared.comparison, str(method))
            return [_drawn(figure), self._cell(session, compared, method, true, answer)]

        @forgiving
        def choose_cell(key: str, method: Any, true: Any, answer: Any) -> str:
            session = store.get(key)
            return self._cell(session, need_compared(session), method, true, answer)

        @forgiving
        def click_cell(key: str, method: Any, event: gr.EventData) -> list[Any]:
            session = store.get(key)
            true, answer = clicked(event, 2, say.NONE_OF_THESE)
            found = self._cell(session, need_compared(session), method, true, answer)
            return [true, answer, found]

        chosen = [shell.key, self.method, self.true, self.answer]
        self.method.input(choose_method, chosen, [self.plot, self.cell], **_LOOK)
        gr.on([self.true.input, self.answer.input], choose_cell, chosen, self.cell, **_LOOK)
        self.clicks.click(
            click_cell, [shell.key, self.method], [self.true, self.answer, self.cell], **_LOOK
        )
        _opens_look(shell, self.cell)


class DifferPanel:
    """Pictures on which two methods part, both ways."""

    def __init__(self) -> None:
        with gr.Tab(say.DIFFER_TAB, id="differ"):
            _lead(say.DIFFER_LEAD)
            with gr.Row(elem_classes="cs-options"):
                self.first = _method_box("differ-first", say.FIRST_LABEL)
                self.second = _method_box("differ-second", say.SECOND_LABEL)
            self.which = gr.Radio([], label=say.WHICH_LABEL, elem_id="differ-which")
            self.cards = picture_cards("differ-cards")
        self.outputs: list[Any] = [self.first, self.second, self.which, self.cards]

    def view(self, session: Session, compared: Compared | None) -> list[Any]:
        if compared is None:
            nothing = gr.update(choices=[], value=None)
            return [nothing, nothing, nothing, page_html.hint(say.COMPARE_FIRST)]
        methods = compared.methods()
        first = compared.best_learned() or methods[-1][1]
        return [
            gr.update(choices=methods, value=first),
            gr.update(choices=methods, value="hand-crafted"),
            *self._shown(session, compared, first, "hand-crafted", 0),
        ]

    def _shown(
        self, session: Session, compared: Compared, first: Any, second: Any, which: Any
    ) -> list[Any]:
        """Updates for which and cards."""
        if first == second:
            return [gr.update(choices=[], value=None), page_html.hint(say.SAME_METHOD)]
        comparison = compared.comparison
        a, b = comparison.result(str(first)), comparison.result(str(second))
        parted = disagreements(a.logits, b.logits, comparison.labels)
        groups = (parted.only_first_right, parted.only_second_right, parted.both_wrong)
        which = whole(0 if which is None else which, say.WHICH_LABEL, 0, 2)
        choices = [
            (say.only(a.title, len(groups[0])), 0),
            (say.only(b.title, len(groups[1])), 1),
            (say.neither(len(groups[2])), 2),
        ]
        return [
            gr.update(choices=choices, value=which),
            compare_html.cards(session, comparison, groups[which], [a.method, b.method]),
        ]

    def wire(self, shell: Shell) -> None:
        store = shell.store

        @forgiving
        def choose(key: str, first: Any, second: Any, which: Any) -> list[Any]:
            session = store.get(key)
            return self._shown(session, need_compared(session), first, second, which)

        gr.on(
            [self.first.input, self.second.input, self.which.input],
            choose,
            [shell.key, self.first, self.second, self.which],
            [self.which, self.cards],
            **_LOOK,
        )
        _opens_look(shell, self.cards)


class LearnedPanel:
    """The context vectors in words, and the map of pictures and class vectors."""

    def __init__(self) -> None:
        with gr.Tab(say.LEARNED_TAB, id="learned"):
            _lead(say.LEARNED_LEAD)
            self.method = _method_box("words-method")
            self.words = gr.HTML(padding=False, elem_id="words-table")
            _lead(say.MAP_LEAD)
            with gr.Row(elem_classes="cs-split", equal_height=False):
                with gr.Column(min_width=320, scale=3):
                    self.plot = _plot("map-plot")
                    self.clicks = plot_clicks("map-plot")
                with gr.Column(min_width=300, scale=2):
                    self.number = gr.Slider(
                        1,
                        2,
                        1,
                        step=1,
                        label=say.PICTURE_LABEL,
                        visible=False,
                        elem_id="map-picture",
                    )
                    self.card = picture_cards("map-card")
        self.outputs: list[Any] = [self.method, self.words, self.plot, self.number, self.card]

    def view(self, session: Session, compared: Compared | None) -> list[Any]:
        if compared is None:
            hint = page_html.hint(say.COMPARE_FIRST)
            return [_hidden(), hint, _hidden(), _hidden(), ""]
        learned = [(title, key) for title, key in compared.methods() if key in compared.words]
        best = compared.best_learned()
        comparison = compared.comparison
        try:
            drawn = project(comparison, [key for key in ("hand-crafted", best) if key])
            names = [item.picture.name for item in comparison.pictures]
            figure = _drawn(
                comparison_charts.projection_figure(drawn, comparison.class_names, names)
            )
            card = self._card(session, compared, 1)
        except UserError as error:
            figure, card = _hidden(), page_html.hint(str(error))
        K = len(comparison.labels)
        return [
            gr.update(
                choices=learned,
                value=best if best in compared.words else None,
                visible=len(learned) > 1,
            ),
            self._words(compared, best),
            figure,
            gr.update(minimum=1, maximum=max(K, 2), value=1, visible=K > 1),
            card,
        ]

    def _words(self, compared: Compared, method: Any) -> str:
        found = compared.words.get(str(method))
        if found is None:
            return page_html.hint(say.NO_LEARNED)
        accuracy = found.accuracy
        verdict = ""
        if accuracy.learned is not None:
            best = max(accuracy.by_cosine or 0.0, accuracy.by_distance or 0.0)
            verdict = say.words_verdict(accuracy.learned, best, accuracy.hand_crafted)
        n = len(found.vectors)
        more = page_html.hint(say.more_vectors(_MAX_VECTORS, n)) if n > _MAX_VECTORS else ""
        return (
            compare_html.sentences([verdict])
            + compare_html.table(
                comparison_charts.words_accuracy_table(accuracy), say.WORDS_ACCURACY_LABEL
            )
            + compare_html.table(
                comparison_charts.words_table(found.vectors[:_MAX_VECTORS]), say.WORDS_TABLE_LABEL
            )
            + more
        )

    def _card(self, session: Session, compared: Compared, number: Any) -> str:
        at = whole(number, say.PICTURE_LABEL, 1, len(compared.comparison.labels)) - 1
        methods = [key for key in (compared.best_learned(), "hand-crafted") if key]
        return compare_html.cards(session, compared.comparison, [at], methods)

    def wire(self, shell: Shell) -> None:
        store = shell.store

        @forgiving
        def choose(key: str, method: Any) -> str:
            return self._words(need_compared(store.get(key)), method)

        @forgiving
        def move(key: str, number: Any) -> str:
            session = store.get(key)
            return self._card(session, need_compared(session), number)

        @forgiving
        def click(key: str, event: gr.EventData) -> list[Any]:
            session = store.get(key)
            (at,) = clicked(event, 1, say.NONE_OF_THESE)
            if at < 0:  # a class vector
                return [gr.skip(), gr.skip()]
            return [at + 1, self._card(session, need_compared(session), at + 1)]

        self.method.input(choose, [shell.key, self.method], self.words, **_LOOK)
        self.number.input(
            move, [shell.key, self.number], self.card, trigger_mode="always_last", **_LOOK
        )
        self.clicks.click(click, shell.key, [self.number, self.card], **_LOOK)
        _opens_look(shell, self.card)


class ForgetPanel:
    """What learning some classes does to others."""

    def __init__(self) -> None:
        with gr.Tab(say.FORGET_TAB, id="forget"):
            _lead(say.FORGET_LEAD)
            with gr.Row(elem_classes="cs-options"):
                self.held = gr.Dropdown(
                    [],
                    multiselect=True,
                    allow_custom_value=True,
                    label=say.HELD_LABEL,
                    info=say.HELD_INFO,
                    elem_id="forget-classes",
                    scale=3,
                )
                self.pull = gr.Slider(
                    0.5, 16, KGCOOP_WEIGHT, step=0.5, label=say.PULL_LABEL, elem_id="forget-pull"
                )
            self.job = _LongJob(say.FORGET_RUN, "forget")
            self.result = gr.HTML(padding=False, elem_id="forget-result")
            self.plot = _plot("forget-plot")
        self.outputs: list[Any] = [self.held, self.result, self.plot]

    def view(self, session: Session, compared: Compared | None) -> list[Any]:
        if compared is None:
            return [gr.update(choices=[], value=[]), page_html.hint(say.COMPARE_FIRST), _hidden()]
        choices = gr.update(choices=list(compared.comparison.class_names), value=[])
        return [choices, *self._found(compared)]

    def _found(self, compared: Compared) -> list[Any]:
        found = compared.forgetting
        if found is None:
            return ["", _hidden()]
        rows = {row.method: row for row in found.rows}
        hand, learned, pulled = rows["hand-crafted"], rows["learned"], rows.get("kgcoop")
        lines = []
        scores = (learned.base, learned.new, hand.base, hand.new)
        values = [score.accuracy for score in scores]
        if all(value is not None for value in values):
            lines.append(say.forgetting_verdict(*values))  # type: ignore[arg-type]
        if found.n_without_pictures:
            lines.append(found.remark)
        scores = (learned.base, learned.together, hand.base, hand.together)
        values = [score.accuracy for score in scores]
        if found.n_without_pictures == len(found.new_names) and None not in values:
            lines.append(say.more_names_verdict(*values))  # type: ignore[arg-type]
        if pulled and pulled.new.accuracy is not None and learned.new.accuracy is not None:
            lines.append(say.pull_verdict(learned.new.accuracy, pulled.new.accuracy))
        return [
            compare_html.sentences(lines)
            + compare_html.table(comparison_charts.forgetting_table(found), say.FORGET_TAB),
            _drawn(comparison_charts.forgetting_figure(found)),
        ]

    def wire(self, shell: Shell) -> None:
        def job(session: Session, held: Any, pull: Any) -> Iterator[Progress]:
            names = [str(name) for name in held or ()]
            weight = float(pull) if isinstance(pull, int | float) else math.nan
            if not 0 < weight <= 100:
                raise UserError(f"{say.PULL_LABEL}: choose a number above 0, up to 100.")
            yield from run_forgetting(session, names, weight)

        def view(session: Session, compared: Compared | None) -> list[Any]:
            return self._found(compared) if compared else ["", _hidden()]

        self.job.wire(shell, [self.held, self.pull], [self.result, self.plot], job, view)


class ShiftPanel:
    """Train here, test there."""

    def __init__(self) -> None:
        with gr.Tab(say.SHIFT_TAB, id="shift"):
            _lead(say.SHIFT_LEAD)
            with gr.Row(elem_classes="cs-options"):
                self.sample = gr.Dropdown(
                    [(say.CHOOSE_SECOND, ""), *second_sets()],
                    value="",
                    label=say.SECOND_SET_LABEL,
                    elem_id="second-set",
                )
                self.zip = gr.File(
                    label=say.SECOND_ZIP,
                    file_types=[".zip"],
                    height=110,
                    elem_id="second-zip",
                )
            self.job = _LongJob(say.SHIFT_RUN, "shift")
            self.result = gr.HTML(padding=False, elem_id="shift-result")
            self.plot = _plot("shift-plot")
        self.outputs: list[Any] = [self.result, self.plot]

    def view(self, session: Session, compared: Compared | None) -> list[Any]:
        if compared is None:
            return [page_html.hint(say.COMPARE_FIRST), _hidden()]
        found = compared.shift
        if found is None:
            return ["", _hidden()]
        falls = {row.method: row.fall for row in found.rows}
        lines = []
        words, learned = falls.get("hand-crafted"), falls.get(compared.best_learned())
        if words is not None and learned is not None:
            lines.append(say.shift_verdict(words, learned))
        return [
            compare_html.sentences(lines)
            + compare_html.table(comparison_charts.shift_table(found), say.SHIFT_TAB)
            + page_html.notes([], found.notes),
            _drawn(comparison_charts.shift_figure(found)),
        ]

    def wire(self, shell: Shell) -> None:
        def job(session: Session, sample: Any, archive: Any) -> Iterator[Progress]:
            need_compared(session)
            with tempfile.TemporaryDirectory(dir=session.folder) as folder:
                second: Dataset
                if archive:
                    second = read_zip(str(archive), into=Path(folder))
                elif sample:
                    second = read_second(str(sample))
                else:
                    raise UserError(say.NO_SECOND)
                yield from run_shift(session, second)

        self.job.wire(shell, [self.sample, self.zip], self.outputs, job, self.view)


class TrustPanel:
    """Can its confidence be believed?"""

    def __init__(self) -> None:
        with gr.Tab(say.TRUST_TAB, id="trust"):
            _lead(say.TRUST_LEAD)
            with gr.Row(elem_classes="cs-options"):
                self.method = _method_box("trust-method")
                self.temperature = gr.Slider(
                    say.LEAST_T,
                    say.MOST_T,
                    1.0,
                    step=0.05,
                    label=say.TEMPERATURE_LABEL,
                    elem_id="temperature",
                )
                with gr.Row(elem_classes="cs-go cs-go-small"):
                    self.fit = gr.Button(say.FIT, size="sm", elem_id="fit-temperature")
                    self.reset = gr.Button(say.AS_IS, size="sm", elem_id="reset-temperature")
            self.sentence = gr.HTML(padding=False, elem_id="trust-sentence")
            self.plot = _plot("trust-plot")
            self.table = gr.HTML(padding=False, elem_id="trust-table")
        self.outputs: list[Any] = [
            self.method,
            self.temperature,
            self.sentence,
            self.plot,
            self.table,
        ]

    def view(self, session: Session, compared: Compared | None) -> list[Any]:
        if compared is None:
            nothing = gr.update(choices=[], value=None)
            return [nothing, 1.0, page_html.hint(say.COMPARE_FIRST), _hidden(), ""]
        comparison = compared.comparison
        method = compared.best_learned() or compared.methods()[0][1]
        found = {
            result.title: calibrate(result.logits, comparison.labels)
            for result in comparison.results
        }
        table = compare_html.table(
            comparison_charts.calibration_table(found), say.CALIBRATION_LABEL
        )
        return [
            gr.update(choices=compared.methods(), value=method),
            1.0,
            *self._drawn(compared, method, 1.0),
            table + page_html.hint(say.FITTED_ON),
        ]

    def _drawn(self, compared: Compared, method: Any, temperature: Any) -> list[Any]:
        comparison = compared.comparison
        result = comparison.result(str(method))
        try:
            value = float(temperature)
        except (TypeError, ValueError):
            value = math.nan
        found = reliability(result.logits, comparison.labels, temperature=value)
        if found.ece is None or found.confidence is None or found.accuracy is None:
            return [page_html.hint(say.NONE_OF_THESE), _hidden()]
        sentence = say.trust(found.ece, value, found.confidence, found.accuracy)
        return [
            compare_html.sentences([sentence]),
            _drawn(comparison_charts.reliability_figure(found, result.title, result.method)),
        ]

    def wire(self, shell: Shell) -> None:
        store = shell.store

        @forgiving
        def slide(key: str, method: Any, temperature: Any) -> list[Any]:
            return self._drawn(need_compared(store.get(key)), method, temperature)

        @forgiving
        def fit(key: str, method: Any) -> list[Any]:
            compared = need_compared(store.get(key))
            result = compared.comparison.result(str(method))
            fitted = fit_temperature(result.logits, compared.comparison.labels)
            assert fitted is not None  # a comparison has held-out pictures
            shown = min(max(fitted, say.LEAST_T), say.MOST_T)
            return [round(shown, 2), *self._drawn(compared, method, fitted)]

        @forgiving
        def reset(key: str, method: Any) -> list[Any]:
            return [1.0, *self._drawn(need_compared(store.get(key)), method, 1.0)]

        drawn = [self.sentence, self.plot]
        gr.on(
            [self.method.input, self.temperature.input],
            slide,
            [shell.key, self.method, self.temperature],
            drawn,
            trigger_mode="always_last",
            **_LOOK,
        )
        self.fit.click(fit, [shell.key, self.method], [self.temperature, *drawn], **_LOOK)
        self.reset.click(reset, [shell.key, self.method], [self.temperature, *drawn], **_LOOK)


class TakePanel:
    """One self-contained report and all tables."""

    def __init__(self) -> None:
        with gr.Tab(say.TAKE_TAB, id="take"):
            _lead(say.TAKE_LEAD)
            self.pictures = gr.Checkbox(True, label=say.WITH_PICTURES, elem_id="report-pictures")
            self.write = gr.Button(say.WRITE, variant="primary", elem_id="write-report")
            self.status = gr.HTML(padding=False, elem_id="report-status")
            with gr.Row(elem_classes="cs-files"):
                self.html = gr.DownloadButton(say.GET_HTML, visible=False, elem_id="get-report")
                self.csv = gr.DownloadButton(say.GET_CSV, visible=False, elem_id="get-tables")
        self.outputs: list[Any] = [self.status, self.html, self.csv]

    def view(self, session: Session, compared: Compared | None) -> list[Any]:
        hint = page_html.hint(say.COMPARE_FIRST) if compared is None else ""
        return [hint, _hidden(), _hidden()]

    def wire(self, shell: Shell) -> None:
        store = shell.store

        @forgiving
        def write(key: str, pictures: Any) -> list[Any]:
            session = store.get(key)
            report = need_compared(session).report()
            folder = report_folder(session)
            page, tables = folder / "report.html", folder / "tables.zip"
            page.write_text(html_report(report, pictures=bool(pictures)), encoding="utf-8")
            files = csv_files(report)
            with zipfile.ZipFile(tables, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
            return [
                page_html.hint(say.written(len(files))),
                gr.update(value=str(page), visible=True),
                gr.update(value=str(tables), visible=True),
            ]

        self.write.click(
            write,
            [shell.key, self.pictures],
            self.outputs,
            concurrency_id=LOOKING,
            concurrency_limit=LOOKING_LIMIT,
            show_progress_on=[self.status],
            api_visibility="private",
        )


PANELS: tuple[type, ...] = (
    ShotsPanel,
    MistakesPanel,
    DifferPanel,
    LearnedPanel,
    ForgetPanel,
    ShiftPanel,
    TrustPanel,
    TakePanel,
)


def _method_box(elem_id: str, label: str = say.METHOD_LABEL) -> gr.Dropdown:
    return gr.Dropdown([], label=label, elem_id=elem_id)


def _commonest_mistake(compared: Compared, method: str) -> tuple[int, int]:
    """The fullest cell off the diagonal; the first on it when nothing is wrong."""
    comparison = compared.comparison
    C = len(comparison.class_names)
    counts = confusion_matrix(comparison.result(method).predicted, comparison.labels, C)
    counts = counts.copy()
    counts[range(C), range(C)] = 0
    if not counts.any():
        return 0, 0
    at = int(counts.argmax())
    return at // C, at % C
