"""Can its confidence be believed?"""

import math
from typing import Any

import gradio as gr

from coop_demo.charts import comparison as comparison_charts
from coop_demo.comparison.calibration import calibrate, fit_temperature, reliability
from coop_demo.languages import compare as say
from coop_demo.languages import comparison as verdicts
from coop_demo.languages import said
from coop_demo.ui import html as page_html
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
    plot,
)
from coop_demo.ui.compare.state import Compared
from coop_demo.ui.context import Shell
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates

LEAST_T, MOST_T = 0.1, 10.0


class CalibrationPanel:
    """Calibration: accuracy over confidence, at a temperature to choose."""

    def __init__(self) -> None:
        with gr.Tab(say.TRUST_TAB, id="trust"):
            lead(say.TRUST_LEAD)
            with gr.Row(elem_classes="cs-options"):
                self.method = method_box("trust-method")
                self.temperature = gr.Slider(
                    LEAST_T,
                    MOST_T,
                    1.0,
                    step=0.05,
                    label=say.TEMPERATURE_LABEL,
                    elem_id="temperature",
                )
                with gr.Row(elem_classes="cs-go cs-go-small"):
                    self.fit = gr.Button(say.FIT, size="sm", elem_id="fit-temperature")
                    self.reset = gr.Button(say.AS_IS, size="sm", elem_id="reset-temperature")
            self.sentence = gr.HTML(compare_first(), padding=False, elem_id="trust-sentence")
            self.plot = plot("trust-plot")
            self.table = gr.HTML(padding=False, elem_id="trust-table")
        self.outputs: list[Any] = [
            self.method,
            self.temperature,
            self.sentence,
            self.plot,
            self.table,
        ]

    def view(self, session: Session, compared: Compared | None) -> Updates:
        if compared is None:
            return {
                self.method: NO_CHOICE,
                self.temperature: 1.0,
                self.sentence: compare_first(),
                self.plot: HIDDEN,
                self.table: "",
            }
        comparison = compared.comparison
        method = compared.best_learned() or compared.methods()[0][1]
        found = {
            said(result.title): calibrate(result.logits, comparison.labels)
            for result in comparison.results
        }
        table = compare_html.table(
            comparison_charts.calibration_table(found), say.CALIBRATION_LABEL
        )
        return {
            self.method: gr.update(choices=compared.methods(), value=method),
            self.temperature: 1.0,
            self.table: table
            + page_html.notes((), verdicts.at_bound_sentences(found))
            + page_html.hint(say.FITTED_ON),
            **self._at(compared, method, 1.0),
        }

    def _at(self, compared: Compared, method: Any, temperature: Any) -> Updates:
        comparison = compared.comparison
        result = comparison.result(str(method))
        try:
            value = float(temperature)
        except (TypeError, ValueError):
            value = math.nan
        found = reliability(result.logits, comparison.labels, temperature=value)
        if found.ece is None or found.confidence is None or found.accuracy is None:
            return {self.sentence: page_html.hint(say.NONE_OF_THESE), self.plot: HIDDEN}
        sentence = say.trust(found.ece, value, found.confidence, found.accuracy)
        figure = comparison_charts.reliability_figure(found, said(result.title), result.method)
        return {self.sentence: compare_html.sentences([sentence]), self.plot: drawn(figure)}

    def wire(self, shell: Shell) -> None:
        def slide(session: Session, method: Any, temperature: Any) -> Updates:
            return self._at(need_compared(session), method, temperature)

        def fit(session: Session, method: Any) -> Updates:
            compared = need_compared(session)
            result = compared.comparison.result(str(method))
            fitted = fit_temperature(result.logits, compared.comparison.labels)
            assert fitted is not None  # a comparison has held-out pictures
            shown = min(max(fitted, LEAST_T), MOST_T)
            return {self.temperature: round(shown, 2), **self._at(compared, method, fitted)}

        def reset(session: Session, method: Any) -> Updates:
            return {self.temperature: 1.0, **self._at(need_compared(session), method, 1.0)}

        at = [self.sentence, self.plot]
        shell.on(
            [self.method.input, self.temperature.input],
            slide,
            [self.method, self.temperature],
            at,
            trigger_mode="always_last",
            **LOOK,
        )
        shell.on(self.fit.click, fit, [self.method], [self.temperature, *at], **LOOK)
        shell.on(self.reset.click, reset, [self.method], [self.temperature, *at], **LOOK)
