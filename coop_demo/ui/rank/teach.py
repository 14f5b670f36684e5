"""Part "Teach it your order" of the tab Rank, its right half: training on a person's numbers."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from coop_demo.languages import rank as say
from coop_demo.languages import teach as teach_strings
from coop_demo.ranking.instructions import check_instruction
from coop_demo.ranking.order import ANTONYMS, COSINE
from coop_demo.ui import html as page_html
from coop_demo.ui.context import Shell
from coop_demo.ui.curves import Curves, Series
from coop_demo.ui.job import LongJob
from coop_demo.ui.progress import Progress
from coop_demo.ui.rank import html as rank_html
from coop_demo.ui.rank.choose import ChooseColumn
from coop_demo.ui.rank.lesson import best_rival, teach_order
from coop_demo.ui.rank.numbers import Numbers, read_table
from coop_demo.ui.rank.state import OrderSettings
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class TeachOrder:
    """Train on the numbers live, and see what it gained."""

    @staticmethod
    def head() -> None:
        gr.HTML(page_html.step_head(3, say.TEACH_TITLE, say.TEACH_LEAD), padding=False)

    def __init__(self) -> None:
        self.job = LongJob(
            say.TEACH,
            go_id="rank-teach",
            stop_id="rank-stop",
            status_id="rank-teach-status",
            hint=say.TEACH_HINT,
            min_height=44,
        )
        self.result = gr.HTML(padding=False, elem_id="rank-taught")
        self.curves = Curves(
            say.CURVES_TITLE,
            Series(say.LEARNED, "", say.RIVAL_LINE),
            names=("rank-accuracy", "rank-loss"),
            height=220,
        )
        with gr.Accordion(teach_strings.SETTINGS, open=False, elem_id="rank-settings"):
            self.settings = self._settings()

    def _settings(self) -> list[Any]:
        """In the order of OrderSettings.parse."""
        with gr.Row():
            steps = gr.Number(
                0,
                label=say.STEPS_LABEL,
                info=say.FROM_RECIPE,
                precision=0,
                min_width=110,
                elem_id="rank-steps",
            )
            rate = gr.Number(0, label=say.RATE_LABEL, info=say.FROM_RECIPE, min_width=110)
            seed = gr.Number(1, label=say.SEED_LABEL, precision=0, min_width=90)
        fresh = gr.Radio(
            list(say.STARTS.items()), value=False, label=say.FRESH_LABEL, info=say.FRESH_INFO
        )
        return [steps, rate, seed, fresh]

    @property
    def outputs(self) -> list[Any]:
        return [*self.job.outputs, self.result, *self.curves.outputs]

    def view(self, session: Session) -> Updates:
        """What was taught with the model in use, and whether something is being trained."""
        buttons = self.job.buttons(session)
        used = session.pile.rankers.get(session.backbone)
        taught = used.taught if used else None
        if taught is None:
            hint = page_html.hint(say.TEACH_HINT)
            return buttons | {self.job.status: hint, self.result: ""} | self.curves.hidden()
        rival, share = best_rival(taught.rivals)
        rows = [
            ("learned", say.BEFORE, taught.before),
            ("learned", say.AFTER, taught.after),
            *(("words", say.METHOD[m], taught.rivals.get(m)) for m in (ANTONYMS, COSINE)),
        ]
        sentence = say.taught_verdict(taught.before, taught.after, rival, share, taught.n_pairs)
        about = say.measured_on(taught.n_pairs, taught.n_held_out, taught.instruction)
        result = rank_html.scores_before_after(rows, f"{about} {sentence}", taught.ending)
        last = taught.points[-1].step if taught.points else 0
        curves = self.curves.view(taught.points, share, last)
        return buttons | {self.job.status: "", self.result: result} | curves

    def wire(self, shell: Shell, choose: ChooseColumn, numbers: Numbers) -> None:
        def job(
            session: Session, rows: Any, meaning: Any, instruction: Any, *settings: Any
        ) -> Iterator[Any]:
            parsed = OrderSettings.parse(*settings)
            wording = check_instruction(str(instruction or ""))
            read_table(session, rows, meaning)
            return teach_order(session, wording, parsed)

        def shown(session: Session, now: Progress) -> Updates:
            if not now.points:
                return {}
            return self.curves.view(now.points, now.to_beat, now.total_steps)

        def ended(session: Session, failed: bool) -> Updates:
            return self.view(session) | choose.ranker_view(session)

        self.job.wire(
            shell,
            job,
            [numbers.table, numbers.meaning, choose.instruction, *self.settings],
            [self.result, *self.curves.outputs, *choose.ranker_outputs],
            begun={self.result: ""},
            shown=shown,
            ended=ended,
        )
        shell.refreshes(self.view, self.outputs)
