"""Train here, test there."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from coop_demo.charts import comparison as comparison_charts
from coop_demo.data.dataset import Dataset
from coop_demo.data.folders import read_zip
from coop_demo.errors import UserError
from coop_demo.languages import compare as say
from coop_demo.ui import html as page_html
from coop_demo.ui.compare import html as compare_html
from coop_demo.ui.compare.actions import read_second, run_shift, second_sets
from coop_demo.ui.compare.kept import need_compared
from coop_demo.ui.compare.panels.parts import HIDDEN, PanelJob, compare_first, drawn, lead, plot
from coop_demo.ui.compare.state import Compared
from coop_demo.ui.context import Shell
from coop_demo.ui.progress import Progress
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class ShiftPanel:
    """Distribution shift: every method on a second set of the same classes."""

    def __init__(self) -> None:
        with gr.Tab(say.SHIFT_TAB, id="shift"):
            lead(say.SHIFT_LEAD)
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
            self.job = PanelJob(say.SHIFT_RUN, "shift")
            self.result = gr.HTML(compare_first(), padding=False, elem_id="shift-result")
            self.plot = plot("shift-plot")
        self.outputs: list[Any] = [self.result, self.plot]

    def view(self, session: Session, compared: Compared | None) -> Updates:
        if compared is None:
            return {self.result: compare_first(), self.plot: HIDDEN}
        found = compared.shift
        if found is None:
            return {self.result: "", self.plot: HIDDEN}
        falls = {row.method: row.fall for row in found.rows}
        lines = []
        words, learned = falls.get("hand-crafted"), falls.get(compared.best_learned())
        if words is not None and learned is not None:
            lines.append(say.shift_verdict(words, learned))
        return {
            self.result: compare_html.sentences(lines)
            + compare_html.table(comparison_charts.shift_table(found), say.SHIFT_TAB)
            + page_html.notes([], found.notes),
            self.plot: drawn(comparison_charts.shift_figure(found)),
        }

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
