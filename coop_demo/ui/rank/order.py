"""Part "Order" of the tab Rank: the order, beside another instruction's and simpler ways."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from coop_demo.charts.ranking import agreement_figure, pair_matrix_figure, strip_figure
from coop_demo.data.dataset import Picture
from coop_demo.errors import RankingError
from coop_demo.languages import page as strings
from coop_demo.languages import rank as say
from coop_demo.ranking.metrics import contradictions
from coop_demo.ranking.order import RANKER, Order, order_csv
from coop_demo.settings import LIMITS
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import LOOKS, QUIET, Shell
from coop_demo.ui.events import sentence_for
from coop_demo.ui.explain import order_actions
from coop_demo.ui.plot_clicks import clicked, plot_clicks
from coop_demo.ui.progress import Progress
from coop_demo.ui.rank import html as rank_html
from coop_demo.ui.rank.actions import compare_again, judge, rank
from coop_demo.ui.rank.choose import ChooseColumn
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates

MOST_IN_GALLERY = 100


class OrderColumn:
    """The order, how it compares, and any two of its pictures."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(2, say.ORDER_TITLE, say.ORDER_LEAD), padding=False)
        self.status = gr.HTML(
            rank_html.promise(), padding=False, elem_id="rank-status", min_height=30
        )
        self.gallery = widgets.pictures_to_click(
            say.GALLERY,
            columns=6,
            visible=False,
            elem_id="rank-gallery",
            elem_classes="cs-ordered",
        )
        self.gallery_note = gr.HTML(padding=False)
        self.figures = gr.HTML(padding=False, elem_id="rank-figures")
        with gr.Column(visible=False, elem_classes="cs-rank-more") as self.more:
            with gr.Accordion(
                say.SLOPE_TITLE, open=False, visible=False, elem_id="rank-slope-fold"
            ) as self.slope_fold:
                self.slope = gr.HTML(padding=False, elem_id="rank-slope")
            with gr.Accordion(say.RIVALS_TITLE, open=False, elem_id="rank-rivals-fold"):
                self._rivals()
            with gr.Accordion(say.SCORES_TITLE, open=False, elem_id="rank-scores-fold"):
                self._plots()
            with gr.Accordion(say.PAIRS_TITLE, open=False, elem_id="rank-pairs-fold"):
                self._pairs()
            self.csv = gr.DownloadButton(say.DOWNLOAD, size="sm", elem_id="rank-csv")

    def _rivals(self) -> None:
        gr.HTML(page_html.hint(say.RIVALS_LEAD), padding=False)
        with gr.Row(elem_classes="cs-antonyms", equal_height=False):
            self.high = gr.Textbox(
                "",
                label=say.HIGH_LABEL,
                max_length=LIMITS.max_template,
                min_width=180,
                elem_id="rank-high",
            )
            self.low = gr.Textbox(
                "",
                label=say.LOW_LABEL,
                max_length=LIMITS.max_template,
                min_width=180,
                elem_id="rank-low",
            )
            self.again = gr.Button(
                say.AGAIN, size="sm", scale=0, min_width=130, elem_id="rank-again"
            )
        self.strips = gr.HTML(padding=False, elem_id="rank-strips")

    def _plots(self) -> None:
        with gr.Row(equal_height=False, elem_classes="cs-rank-plots"):
            with gr.Column(min_width=300):
                gr.HTML(page_html.hint(say.SCORES_LEAD), padding=False)
                self.strip_plot = gr.Plot(
                    show_label=False, elem_id="rank-scores", elem_classes="cs-plot"
                )
            with gr.Column(min_width=300, visible=False) as self.scatter_box:
                gr.HTML(page_html.hint(say.LABELS_TITLE), padding=False)
                self.scatter = gr.Plot(
                    show_label=False, elem_id="rank-scatter", elem_classes="cs-plot"
                )

    def _pairs(self) -> None:
        gr.HTML(page_html.hint(say.PAIRS_LEAD), padding=False)
        with gr.Row(equal_height=False, elem_classes="cs-rank-plots"):
            with gr.Column(min_width=320, scale=3):
                self.matrix = gr.Plot(
                    show_label=False, elem_id="rank-pairs", elem_classes="cs-plot"
                )
                self.clicks = plot_clicks("rank-pairs")
            with gr.Column(min_width=260, scale=2):
                self.one = gr.Dropdown(
                    [], label=say.FIRST_PICTURE, interactive=True, elem_id="rank-one"
                )
                self.other = gr.Dropdown(
                    [], label=say.OTHER_PICTURE, interactive=True, elem_id="rank-other"
                )
                self.pair = gr.HTML(padding=False, elem_id="rank-pair")
                self.look_pair = gr.Button(say.LOOK_PAIR, size="sm", elem_id="rank-look-pair")

    @property
    def outputs(self) -> list[Any]:
        return [
            self.status,
            self.figures,
            self.gallery,
            self.gallery_note,
            self.slope_fold,
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

    def view(self, session: Session) -> Updates:
        """The orders the session has with the model in use."""
        found = session.pile.orders_with(session.backbone)
        if not found:
            return self._nothing(session)
        first = found[0]
        n = len(first.pictures)
        shown = _ends(n, MOST_IN_GALLERY)
        return {
            self.status: _status(session, found),
            self.gallery: gr.update(value=_gallery(session, first, shown), visible=True),
            self.gallery_note: page_html.hint(
                say.gallery_hint(len(shown), n, first.leading == RANKER)
            ),
            self.slope_fold: gr.update(visible=len(found) > 1),
            self.slope: _slope(session, found),
            self.more: gr.update(visible=True),
            self.high: first.pair.high,
            self.low: first.pair.low,
            **self._rivals_view(session, found),
            **self._plots_view(found),
            **self._pairs_view(session, first),
        }

    def _nothing(self, session: Session) -> Updates:
        high, low = session.pile.pair
        no_choice = gr.update(choices=[], value=None)
        return {
            self.status: rank_html.promise(),
            self.figures: "",
            self.gallery: gr.update(value=[], visible=False),
            self.gallery_note: "",
            self.slope_fold: gr.update(visible=False),
            self.slope: "",
            self.more: gr.update(visible=False),
            self.high: high,
            self.low: low,
            self.strips: "",
            self.csv: gr.update(value=None),
            self.strip_plot: None,
            self.scatter_box: gr.update(visible=False),
            self.scatter: None,
            self.matrix: None,
            self.one: no_choice,
            self.other: no_choice,
            self.pair: "",
        }

    def _rivals_view(self, session: Session, found: Sequence[Order]) -> Updates:
        """The simpler ways beside the ranker: all that another antonym pair changes."""
        csv_path = session.folder / "ranking.csv"
        csv_path.write_text(order_csv(found), encoding="utf-8")
        return {
            self.strips: rank_html.strips(found[0], session.thumbnail),
            self.figures: "".join(_figures(order, len(found)) for order in found),
            self.csv: gr.update(value=str(csv_path)),
        }

    def _plots_view(self, found: Sequence[Order]) -> Updates:
        first = found[0]
        names = [picture.name for picture in first.pictures]
        scores = first.scores[first.leading].tolist()
        judged = len(first.metrics()) > 0
        scatter = (
            agreement_figure(first.instruction, scores, first.values.tolist(), names)
            if judged
            else None
        )
        return {
            self.strip_plot: strip_figure(
                [(order.instruction, order.scores[order.leading].tolist()) for order in found],
                names,
            ),
            self.scatter_box: gr.update(visible=judged),
            self.scatter: scatter,
        }

    def _pairs_view(self, session: Session, order: Order) -> Updates:
        if order.pair_logits is None:
            no_choice = gr.update(choices=[], value=None)
            return {
                self.matrix: None,
                self.one: no_choice,
                self.other: no_choice,
                self.pair: page_html.hint(say.NO_PAIRS),
            }
        names = [order.pictures[i].name for i in order.compared]
        wrong = contradictions(order.pair_logits)
        first, other = 0, len(names) - 1
        choices = [(f"{place}. {name}", place - 1) for place, name in enumerate(names, start=1)]
        return {
            self.matrix: pair_matrix_figure(names, order.pair_logits, wrong),
            self.one: gr.update(choices=choices, value=first),
            self.other: gr.update(choices=choices, value=other),
            self.pair: rank_html.one_pair(order, first, other, session.thumbnail),
        }

    def wire(self, shell: Shell, choose: ChooseColumn) -> None:
        self._wire_rank(shell, choose)
        self._wire_rivals(shell)
        self._wire_pairs(shell)
        self._wire_look(shell)
        shell.keep_typed(self.high, self.low)

    def _wire_rank(self, shell: Shell, choose: ChooseColumn) -> None:
        def run(
            session: Session, instruction: Any, second: Any, high: Any, low: Any
        ) -> Iterator[Updates]:
            yield {self.status: page_html.progress(strings.PREPARING, 0.0)}
            try:
                asked = [str(words or "") for words in (instruction, second, high, low)]
                with contextlib.closing(rank(session, *asked)) as events:
                    for event in events:
                        if isinstance(event, Progress):
                            yield {self.status: page_html.progress(event.sentence, event.share)}
                updates = self.view(session)
            except Exception as error:
                yield {self.status: page_html.notes([sentence_for(error)])}
                return
            yield updates

        shell.on(
            choose.rank.click,
            run,
            [choose.instruction, choose.second, self.high, self.low],
            self.outputs,
            **LOOKS,
            **QUIET,
        )

    def _wire_rivals(self, shell: Shell) -> None:
        def again(session: Session, high: str, low: str) -> Updates:
            found = compare_again(session, str(high or ""), str(low or ""))
            return self._rivals_view(session, found)

        shell.on(
            [self.again.click, self.high.submit, self.low.submit],
            again,
            [self.high, self.low],
            [self.strips, self.figures, self.csv],
            show_progress_on=[self.strips],
            **LOOKS,
        )

    def _wire_pairs(self, shell: Shell) -> None:
        def choose_pair(session: Session, first: Any, other: Any) -> Updates:
            return {self.pair: _pair(session, first, other)}

        def choose_cell(session: Session, event: gr.EventData) -> Updates:
            row, column = clicked(event, 2, say.NO_SUCH_PAIR)
            found = _pair(session, row, column)
            return {self.one: row, self.other: column, self.pair: found}

        both = [self.one, self.other]
        shell.on([self.one.input, self.other.input], choose_pair, both, [self.pair], **QUIET)
        shell.on(self.clicks.click, choose_cell, [], [*both, self.pair], **QUIET)

    def _wire_look(self, shell: Shell) -> None:
        """A picture or a pair opens in the tab Look."""

        def look_at_picture(session: Session, event: gr.SelectData) -> Updates:
            order = _first(session)
            shown = _shown(order)
            if not isinstance(event.index, int) or not 0 <= event.index < len(shown):
                raise RankingError(say.RANK_FIRST)
            order_actions.choose(session, order, [shown[event.index]])
            return {shell.tabs: gr.update(selected="look")}

        def look_at_pair(session: Session, first: Any, other: Any) -> Updates:
            _pair(session, first, other)  # says what is wrong with the two, if anything
            order = _first(session)
            if first == other:
                raise RankingError(say.SAME_PICTURE)
            pictures = [order.pictures[order.compared[at]] for at in (first, other)]
            order_actions.choose(session, order, pictures)
            return {shell.tabs: gr.update(selected="look")}

        both = [self.one, self.other]
        shell.on(self.gallery.select, look_at_picture, [], [shell.tabs], **QUIET)
        shell.on(self.look_pair.click, look_at_pair, both, [shell.tabs], **QUIET)


def _first(session: Session) -> Order:
    found = session.pile.orders_with(session.backbone)
    if not found:
        raise RankingError(say.RANK_FIRST)
    return found[0]


def _pair(session: Session, first: Any, other: Any) -> str:
    order = _first(session)
    if order.pair_logits is None:
        raise RankingError(say.NO_PAIRS)
    n = len(order.compared)
    if not all(isinstance(at, int) and 0 <= at < n for at in (first, other)):
        raise RankingError(say.choose_two(n))
    return rank_html.one_pair(order, first, other, session.thumbnail)


def _status(session: Session, found: Sequence[Order]) -> str:
    first = found[0]
    scores = first.scores[first.leading]
    problems = list(session.pile.problems)
    if first.leading != RANKER:
        problems.insert(0, say.no_ranker(session.backbone))
    elif float(scores.max()) == float(scores.min()):
        problems.insert(0, say.all_same(RANKER))
    ranked = say.ranked(len(first.pictures), first.seconds, len(found))
    said = [understood(one, names=len(found) > 1) for one in found]
    if any(one.trust is not None and one.trust.level == "doubtful" for one in found):
        return page_html.hint(ranked) + page_html.notes([*problems, *said])
    return page_html.hint(ranked) + page_html.notes(problems) + page_html.hint(" ".join(said))


def understood(order: Order, *, names: bool) -> str:
    """How the instruction was read and how far the order can be trusted; `names` says whose."""
    parts = [say.asked_for(order.instruction)] if names else []
    parts += [say.reading_sentence(order.reading)] if order.reading else []
    parts += [say.trust_sentence(order.trust)] if order.trust else []
    return " ".join(part for part in parts if part)


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
            f"{place + 1} · {strings.figures(f'{scores[ranking[place]]:.2f}')}",
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
    return rank_html.slope(found[0], found[1], session.thumbnail)
