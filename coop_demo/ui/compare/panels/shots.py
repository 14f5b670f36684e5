"""How much do more pictures help?"""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from coop_demo.charts import comparison as comparison_charts
from coop_demo.comparison.methods import COMPARISON_METHODS
from coop_demo.languages import compare as say
from coop_demo.languages import said
from coop_demo.ui import html as page_html
from coop_demo.ui.compare.actions import run_curve
from coop_demo.ui.compare.panels.parts import HIDDEN, PanelJob, drawn, lead, plot
from coop_demo.ui.compare.state import MAX_SEEDS, Compared
from coop_demo.ui.context import Shell
from coop_demo.ui.forms import whole
from coop_demo.ui.progress import Progress
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class ShotsPanel:
    """Accuracy over the number of shots."""

    def __init__(self) -> None:
        with gr.Tab(say.SHOTS_TAB, id="shots"):
            lead(say.SHOTS_LEAD)
            with gr.Row(elem_classes="cs-options"):
                self.methods = gr.CheckboxGroup(
                    [
                        (said(m.title), m.key)
                        for m in COMPARISON_METHODS.values()
                        if m.key != "hand-crafted"
                    ],
                    value=["tip-adapter", "learned"],
                    label=say.SHOTS_METHODS_LABEL,
                    elem_id="curve-methods",
                    scale=3,
                )
                self.seeds = gr.Slider(
                    1, MAX_SEEDS, 3, step=1, label=say.SEEDS_LABEL, elem_id="curve-seeds"
                )
            self.job = PanelJob(say.DRAW_CURVE, "curve")
            self.plot = plot("shots-plot")
            self.notes = gr.HTML(padding=False, elem_id="curve-notes")
        self.outputs: list[Any] = [self.plot, self.notes]

    def view(self, session: Session, compared: Compared | None) -> Updates:
        if compared is None or not compared.cells:
            return {self.plot: HIDDEN, self.notes: ""}
        ending = f'<p class="cs-ending">{escape(said(compared.curve_ending))}</p>'
        return {
            self.plot: drawn(comparison_charts.shots_figure(compared.cells)),
            self.notes: (ending if compared.curve_ending else "")
            + page_html.notes(compared.curve_problems),
        }

    def wire(self, shell: Shell) -> None:
        def job(session: Session, methods: Any, seeds: Any) -> Iterator[Progress]:
            n = whole(seeds, say.SEEDS_LABEL, 1, MAX_SEEDS)
            yield from run_curve(session, [str(key) for key in methods or ()], n)

        self.job.wire(shell, [self.methods, self.seeds], self.outputs, job, self.view)
