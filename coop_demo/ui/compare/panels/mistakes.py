"""Which pictures are mistaken for what?"""

from typing import Any

import gradio as gr

from coop_demo.charts import comparison as comparison_charts
from coop_demo.comparison.confusion import cell_pictures, confusion_matrix
from coop_demo.languages import compare as say
from coop_demo.ui.compare import html as compare_html
from coop_demo.ui.compare.kept import need_compared
from coop_demo.ui.compare.panels.parts import (
    HIDDEN,
    LOOK,
    NO_CHOICE,
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


class MistakesPanel:
    """The confusion matrix, the pictures of a cell, and the accuracy of each class."""

    def __init__(self) -> None:
        with gr.Tab(say.MISTAKES_TAB, id="mistakes"):
            lead(say.MISTAKES_LEAD)
            with gr.Row(elem_classes="cs-options"):
                self.method = method_box("mistakes-method")
                self.true = gr.Dropdown([], label=say.TRUE_LABEL, elem_id="true-class")
                self.answer = gr.Dropdown([], label=say.ANSWER_LABEL, elem_id="answer-class")
            with gr.Row(elem_classes="cs-split", equal_height=False):
                with gr.Column(min_width=320, scale=3):
                    self.plot = plot("confusion-plot")
                    self.clicks = plot_clicks("confusion-plot")
                with gr.Column(min_width=300, scale=2, elem_classes="cs-cell"):
                    self.cell = picture_cards("cell-pictures", compare_first())
            self.classes = plot("classes-plot")
        self.outputs: list[Any] = [
            self.method,
            self.true,
            self.answer,
            self.plot,
            self.cell,
            self.classes,
        ]

    def view(self, session: Session, compared: Compared | None) -> Updates:
        if compared is None:
            return {
                self.method: NO_CHOICE,
                self.true: NO_CHOICE,
                self.answer: NO_CHOICE,
                self.plot: HIDDEN,
                self.cell: compare_first(),
                self.classes: HIDDEN,
            }
        method = compared.best_learned() or compared.methods()[-1][1]
        true, answer = _commonest_mistake(compared, method)
        names = [(name, i) for i, name in enumerate(compared.comparison.class_names)]
        both = list(dict.fromkeys(("hand-crafted", compared.best_learned() or method)))
        return {
            self.method: gr.update(choices=compared.methods(), value=method),
            self.true: gr.update(choices=names, value=true),
            self.answer: gr.update(choices=names, value=answer),
            self.plot: drawn(comparison_charts.confusion_figure(compared.comparison, method)),
            self.cell: self._cell(session, compared, method, true, answer),
            self.classes: drawn(comparison_charts.per_class_figure(compared.comparison, both)),
        }

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
        def choose_method(session: Session, method: Any, true: Any, answer: Any) -> Updates:
            compared = need_compared(session)
            figure = comparison_charts.confusion_figure(compared.comparison, str(method))
            cell = self._cell(session, compared, method, true, answer)
            return {self.plot: drawn(figure), self.cell: cell}

        def choose_cell(session: Session, method: Any, true: Any, answer: Any) -> Updates:
            compared = need_compared(session)
            return {self.cell: self._cell(session, compared, method, true, answer)}

        def click_cell(session: Session, method: Any, event: gr.EventData) -> Updates:
            true, answer = clicked(event, 2, say.NONE_OF_THESE)
            found = self._cell(session, need_compared(session), method, true, answer)
            return {self.true: true, self.answer: answer, self.cell: found}

        chosen = [self.method, self.true, self.answer]
        shell.on(self.method.input, choose_method, chosen, [self.plot, self.cell], **LOOK)
        shell.on([self.true.input, self.answer.input], choose_cell, chosen, [self.cell], **LOOK)
        shell.on(
            self.clicks.click,
            click_cell,
            [self.method],
            [self.true, self.answer, self.cell],
            **LOOK,
        )
        opens_look(shell, self.cell)


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
