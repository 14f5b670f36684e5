"""What was learned, and where does it lie?"""

from typing import Any

import gradio as gr

from coop_demo.charts import comparison as comparison_charts
from coop_demo.comparison.projection import project
from coop_demo.errors import UserError
from coop_demo.languages import compare as say
from coop_demo.ui import html as page_html
from coop_demo.ui.compare import html as compare_html
from coop_demo.ui.compare.kept import need_compared
from coop_demo.ui.compare.panels.parts import (
    HIDDEN,
    LOOK,
    compare_first,
    drawn,
    lead,
    method_box,
    opens_look,
    plot,
)
from coop_demo.ui.compare.state import Compared
from coop_demo.ui.context import Shell
from coop_demo.ui.forms import whole
from coop_demo.ui.plot_clicks import clicked, picture_cards, plot_clicks
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates

_MAX_VECTORS = 64  # rows of the words table on the page


class LearnedPanel:
    """The context vectors in words, and the map of pictures and class vectors."""

    def __init__(self) -> None:
        with gr.Tab(say.LEARNED_TAB, id="learned"):
            lead(say.LEARNED_LEAD)
            self.method = method_box("words-method", visible=False)
            self.words = gr.HTML(compare_first(), padding=False, elem_id="words-table")
            lead(say.MAP_LEAD)
            with gr.Row(elem_classes="cs-split", equal_height=False):
                with gr.Column(min_width=320, scale=3):
                    self.plot = plot("map-plot")
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

    def view(self, session: Session, compared: Compared | None) -> Updates:
        if compared is None:
            return {
                self.method: HIDDEN,
                self.words: compare_first(),
                self.plot: HIDDEN,
                self.number: HIDDEN,
                self.card: "",
            }
        learned = [(title, key) for title, key in compared.methods() if key in compared.words]
        best = compared.best_learned()
        comparison = compared.comparison
        try:
            points = project(comparison, [key for key in ("hand-crafted", best) if key])
            names = [item.picture.name for item in comparison.pictures]
            figure = drawn(
                comparison_charts.projection_figure(points, comparison.class_names, names)
            )
            card = self._card(session, compared, 1)
        except UserError as error:
            figure, card = HIDDEN, page_html.hint(str(error))
        K = len(comparison.labels)
        return {
            self.method: gr.update(
                choices=learned,
                value=best if best in compared.words else None,
                visible=len(learned) > 1,
            ),
            self.words: self._words(compared, best),
            self.plot: figure,
            self.number: gr.update(minimum=1, maximum=max(K, 2), value=1, visible=K > 1),
            self.card: card,
        }

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
        def choose(session: Session, method: Any) -> Updates:
            return {self.words: self._words(need_compared(session), method)}

        def move(session: Session, number: Any) -> Updates:
            return {self.card: self._card(session, need_compared(session), number)}

        def click(session: Session, event: gr.EventData) -> Updates:
            (at,) = clicked(event, 1, say.NONE_OF_THESE)
            if at < 0:  # a class vector
                return {}
            card = self._card(session, need_compared(session), at + 1)
            return {self.number: at + 1, self.card: card}

        shell.on(self.method.input, choose, [self.method], [self.words], **LOOK)
        shell.on(
            self.number.input, move, [self.number], [self.card], trigger_mode="always_last", **LOOK
        )
        shell.on(self.clicks.click, click, [], [self.number, self.card], **LOOK)
        opens_look(shell, self.card)
