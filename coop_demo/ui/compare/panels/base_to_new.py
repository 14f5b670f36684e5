"""What does learning some classes do to others?"""

import math
from collections.abc import Iterator
from typing import Any

import gradio as gr

from coop_demo.charts import comparison as comparison_charts
from coop_demo.comparison.methods import KGCOOP_WEIGHT
from coop_demo.errors import UserError
from coop_demo.languages import compare as say
from coop_demo.languages import said
from coop_demo.ui.compare import html as compare_html
from coop_demo.ui.compare.actions import run_base_to_new
from coop_demo.ui.compare.panels.parts import HIDDEN, PanelJob, compare_first, drawn, lead, plot
from coop_demo.ui.compare.state import Compared
from coop_demo.ui.context import Shell
from coop_demo.ui.progress import Progress
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class BaseToNewPanel:
    """Base-to-new: the classes that were held out, before and after learning the others."""

    def __init__(self) -> None:
        with gr.Tab(say.FORGET_TAB, id="forget"):
            lead(say.FORGET_LEAD)
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
            self.job = PanelJob(say.FORGET_RUN, "forget")
            self.result = gr.HTML(compare_first(), padding=False, elem_id="forget-result")
            self.plot = plot("forget-plot")
        self.outputs: list[Any] = [self.held, self.result, self.plot]

    def view(self, session: Session, compared: Compared | None) -> Updates:
        if compared is None:
            return {
                self.held: gr.update(choices=[], value=[]),
                self.result: compare_first(),
                self.plot: HIDDEN,
            }
        choices = gr.update(choices=list(compared.comparison.class_names), value=[])
        return {self.held: choices, **self._found(compared)}

    def _found(self, compared: Compared) -> Updates:
        found = compared.base_to_new
        if found is None:
            return {self.result: "", self.plot: HIDDEN}
        rows = {row.method: row for row in found.rows}
        hand, learned, pulled = rows["hand-crafted"], rows["learned"], rows.get("kgcoop")
        lines = []
        scores = (learned.base, learned.new, hand.base, hand.new)
        values = [score.accuracy for score in scores]
        if all(value is not None for value in values):
            lines.append(say.forgetting_verdict(*values))  # type: ignore[arg-type]
        if found.n_without_pictures:
            lines.append(said(found.remark))
        scores = (learned.base, learned.together, hand.base, hand.together)
        values = [score.accuracy for score in scores]
        if found.n_without_pictures == len(found.new_names) and None not in values:
            lines.append(say.more_names_verdict(*values))  # type: ignore[arg-type]
        if pulled and pulled.new.accuracy is not None and learned.new.accuracy is not None:
            lines.append(say.pull_verdict(learned.new.accuracy, pulled.new.accuracy))
        return {
            self.result: compare_html.sentences(lines)
            + compare_html.table(comparison_charts.base_to_new_table(found), say.FORGET_TAB),
            self.plot: drawn(comparison_charts.base_to_new_figure(found)),
        }

    def wire(self, shell: Shell) -> None:
        def job(session: Session, held: Any, pull: Any) -> Iterator[Progress]:
            names = [str(name) for name in held or ()]
            weight = float(pull) if isinstance(pull, int | float) else math.nan
            if not 0 < weight <= 100:
                raise UserError(say.PULL_RANGE)
            yield from run_base_to_new(session, names, weight)

        def view(session: Session, compared: Compared | None) -> Updates:
            return self._found(compared) if compared else {}

        self.job.wire(shell, [self.held, self.pull], [self.result, self.plot], job, view)
