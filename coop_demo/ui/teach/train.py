"""Column "Train" of the tab Teach: the words to beat, Train and Stop, curves, the result."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from coop_demo.charts.training import CurvePoint
from coop_demo.errors import UserError
from coop_demo.languages import teach as say
from coop_demo.prompts.learner import MAX_N_CTX
from coop_demo.prompts.templates import DEFAULT_TEMPLATE
from coop_demo.settings import LIMITS
from coop_demo.ui import html as page_html
from coop_demo.ui.context import Refresh, Shell
from coop_demo.ui.curves import Curves, Series
from coop_demo.ui.job import LongJob
from coop_demo.ui.progress import Progress
from coop_demo.ui.session import Session
from coop_demo.ui.teach import html as teach_html
from coop_demo.ui.teach.actions import learn
from coop_demo.ui.teach.show import N_ROWS, ShowColumn
from coop_demo.ui.teach.state import KINDS, MAX_SHOTS_PAGE, PRESETS, TeachSettings
from coop_demo.ui.teach.trying import TryColumn
from coop_demo.ui.windows import Updates


class TrainColumn:
    """The training of a prompt with all its settings."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(2, say.TRAIN_TITLE, say.TRAIN_LEAD), padding=False)
        self.template = gr.Textbox(
            DEFAULT_TEMPLATE,
            label=say.TEMPLATE_LABEL,
            info=say.TEMPLATE_INFO,
            max_length=LIMITS.max_template,
            elem_id="template",
        )
        self.job = LongJob(
            say.TRAIN,
            go_id="train",
            stop_id="stop",
            status_id="status",
            hint=say.CURVES_HINT,
            ready=False,
        )
        self.go_on = gr.Button(say.GO_ON, visible=False, elem_id="go-on")
        self.result = gr.HTML(padding=False, elem_id="result")
        self.curves = Curves(
            say.ACCURACY_TITLE,
            Series(say.LEARNED_HELD_OUT, say.LEARNED_TRAINING, say.FLAT_LINE),
            names=("accuracy-plot", "loss-plot"),
            height=230,
        )
        with gr.Accordion(say.SETTINGS, open=False, elem_id="settings"):
            self.settings = self._settings()

    def _settings(self) -> list[Any]:
        """In the order of TeachSettings.parse, after the template."""
        n_ctx = gr.Slider(1, MAX_N_CTX, 16, step=1, label=say.N_CTX_LABEL, info=say.N_CTX_INFO)
        kind = gr.Radio(_named(say.KINDS, KINDS), value=KINDS[0], label=say.KIND_LABEL)
        position = gr.Radio(list(say.POSITIONS.items()), value="end", label=say.POSITION_LABEL)
        init = gr.Textbox("", label=say.INIT_LABEL, info=say.INIT_INFO, max_length=200)
        shots = gr.Slider(
            1,
            MAX_SHOTS_PAGE,
            16,
            step=1,
            label=say.SHOTS_LABEL,
            info=say.SHOTS_INFO,
            elem_id="shots",
        )
        preset = gr.Radio(
            _named(say.PRESETS, PRESETS), value="fast", label=say.PRESET_LABEL, info=say.PRESET_INFO
        )
        with gr.Row():
            # 0 and not empty: gradio turns an empty number into 0 when it first shows it
            steps = gr.Number(
                0,
                label=say.STEPS_LABEL,
                info=say.FROM_RECIPE,
                precision=0,
                min_width=120,
                elem_id="steps",
            )
            rate = gr.Number(0, label=say.RATE_LABEL, info=say.FROM_RECIPE, min_width=120)
        pull = gr.Slider(0, 16, 0, step=0.5, label=say.PULL_LABEL, info=say.PULL_INFO)
        seed = gr.Number(1, label=say.SEED_LABEL, info=say.SEED_INFO, precision=0)
        return [n_ctx, kind, position, init, shots, preset, steps, rate, pull, seed]

    @property
    def outputs(self) -> list[Any]:
        return [*self.job.outputs, self.go_on, *self.curves.outputs, self.result]

    def ready(self, session: Session) -> Updates:
        """Train while there is something to learn from and nothing else is running."""
        can_train = session.can_train and not session.training
        return {self.job.go: gr.update(interactive=can_train)}

    def view(self, session: Session) -> Updates:
        """What was learned with the model in use, and whether something is being trained."""
        taught = session.current
        left = session.backbone in session.under_way and not session.training
        buttons = self.job.buttons(session) | self.ready(session)
        buttons[self.go_on] = gr.update(visible=left)
        if taught is None:
            hint = page_html.hint(say.CURVES_HINT)
            return buttons | {self.job.status: hint, self.result: ""} | self.curves.hidden()
        points = [
            CurvePoint(
                entry["step"],
                entry["loss"],
                entry["train_accuracy"],
                entry["held_out_accuracy"],
            )
            for entry in taught.prompt.history
        ]
        last = points[-1].step if points else 0
        return (
            buttons
            | {
                self.job.status: "",
                self.result: teach_html.scoreboard(taught.verdict, taught.ending, taught.notes),
            }
            | self.curves.view(points, taught.hand_crafted_accuracy, last)
        )

    def wire(self, shell: Shell, show: ShowColumn, attempt: TryColumn) -> None:
        def job(session: Session, *values: Any) -> Iterator[Any]:
            session.name_rows(values[:N_ROWS])
            settings = TeachSettings.parse(*values[N_ROWS:])
            dataset, _ = session.split(settings.seed)
            session.template, session.settings = settings.template, settings
            return learn(session, dataset, settings)

        def go_on(session: Session) -> Iterator[Any]:
            left = session.under_way.get(session.backbone)
            if left is None:
                raise UserError(say.NOTHING_TO_GO_ON)
            return learn(session, left.dataset, left.settings, resume=left)

        def shown(session: Session, now: Progress) -> Updates:
            if not now.points:
                return {}
            return self.curves.view(now.points, now.to_beat, now.total_steps)

        def ended(session: Session, failed: bool) -> Updates:
            return self.view(session) | ({} if failed else attempt.prompt_view(session))

        def refresh(session: Session) -> Updates:
            return {self.template: session.template} | self.view(session)

        def settings(session: Session) -> Updates:
            shown = session.settings.shown if session.settings else ()
            return dict(zip(self.settings, shown, strict=False))

        outputs = [self.result, self.go_on, *self.curves.outputs, *attempt.prompt_outputs]
        begun = {self.result: "", self.go_on: gr.update(visible=False)}
        given = [*show.names, self.template, *self.settings]
        for button, work, inputs in ((None, job, given), (self.go_on, go_on, [])):
            self.job.wire(
                shell,
                work,
                inputs,
                outputs,
                button=button,
                begun=self.curves.hidden() | begun,
                shown=shown,
                ended=ended,
            )
        shell.keep_typed(self.template)
        shell.refreshes(refresh, [self.template, *self.outputs])
        shell.on_open.append(Refresh(settings, self.settings))


def _named(titles: Sequence[str], values: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(titles, values, strict=True))
