"""Tab "Compare": is the learned prompt really better? What to compare, and the table of methods.

What looks closer at a comparison stands in `panels/`.
"""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from coop_demo import samples
from coop_demo.comparison.compare import DEFAULT_METHODS
from coop_demo.comparison.methods import COMPARISON_METHODS
from coop_demo.languages import compare as say
from coop_demo.languages import page as strings
from coop_demo.languages import said
from coop_demo.languages import teach as teach_strings
from coop_demo.prompts.learner import MAX_N_CTX
from coop_demo.prompts.templates import DATASET_TEMPLATES, DEFAULT_TEMPLATE, PLAIN_TEMPLATES
from coop_demo.ui import html as page_html
from coop_demo.ui.compare import html as compare_html
from coop_demo.ui.compare.actions import run_comparison
from coop_demo.ui.compare.kept import compared_of
from coop_demo.ui.compare.panels import PANELS, Panel
from coop_demo.ui.compare.state import MAX_TEMPLATES, TAUGHT, Compared, CompareSettings
from coop_demo.ui.context import QUIET, Shell
from coop_demo.ui.events import warned
from coop_demo.ui.job import LongJob
from coop_demo.ui.progress import Progress
from coop_demo.ui.session import Session
from coop_demo.ui.teach.state import MAX_SHOTS_PAGE, PRESETS
from coop_demo.ui.windows import Updates

_FIRST_METHODS = (*DEFAULT_METHODS, "learned-csc")


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    with (
        gr.Tab(strings.COMPARE_TAB, id="compare") as tab,
        gr.Row(elem_classes="cs-columns cs-compare", equal_height=False),
    ):
        with gr.Column(elem_classes="cs-column cs-choose", min_width=300, scale=2):
            choice = Choice()
        with gr.Column(elem_classes="cs-results", min_width=320, scale=5):
            with gr.Column(elem_classes="cs-column"):
                outcome = Outcome()
            with (
                gr.Column(elem_classes="cs-column cs-closer", visible=False) as closer,
                gr.Tabs(elem_classes="cs-tabs cs-panels") as shell.panels,
            ):
                panels = [panel() for panel in PANELS]
    results = Results(choice, outcome, closer, panels)
    results.wire(shell)
    choice.wire(shell, tab)
    for panel in panels:
        panel.wire(shell)


class Choice:
    """The left column: pictures, methods, prompts, settings, Compare and Stop."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(1, say.SET_TITLE, say.SET_LEAD), padding=False)
        self.source = gr.Dropdown(
            [
                (say.FROM_TEACH, TAUGHT),
                *((said(s.title), s.name) for s in samples.sample_sets() if s.teaches),
            ],
            value=TAUGHT,
            label=say.SOURCE_LABEL,
            elem_id="compare-source",
        )
        self.job = LongJob(
            say.COMPARE, go_id="compare-go", stop_id="compare-stop", status_id="compare-status"
        )
        self.methods = gr.CheckboxGroup(
            [
                (said(m.title), m.key)
                for m in COMPARISON_METHODS.values()
                if m.key != "hand-crafted"
            ],
            value=[key for key in _FIRST_METHODS if key != "hand-crafted"],
            label=say.METHODS_LABEL,
            elem_id="compare-methods",
        )
        self.templates = gr.Textbox(
            DEFAULT_TEMPLATE,
            lines=2,
            max_lines=MAX_TEMPLATES,
            max_length=3_000,
            label=say.TEMPLATES_LABEL,
            info=say.TEMPLATES_INFO,
            elem_id="compare-templates",
        )
        self.offer = gr.Dropdown(_offered(), value=None, label=say.OFFER_LABEL, info=say.OFFER_INFO)
        self.reuse = gr.Checkbox(True, label=say.REUSE_LABEL)
        with gr.Accordion(say.SETTINGS, open=False, elem_id="compare-settings"):
            self.shots = gr.Slider(1, MAX_SHOTS_PAGE, 16, step=1, label=say.SHOTS_LABEL)
            self.seed = gr.Number(1, label=say.SEED_LABEL, precision=0)
            self.preset = gr.Radio(
                list(zip(teach_strings.PRESETS, PRESETS, strict=True)),
                value="fast",
                label=say.PRESET_LABEL,
            )
            self.n_ctx = gr.Slider(1, MAX_N_CTX, 16, step=1, label=say.N_CTX_LABEL)
            self.steps = gr.Number(
                None, label=say.STEPS_LABEL, precision=0, placeholder=say.FROM_RECIPE
            )

    @property
    def inputs(self) -> list[Any]:
        """In the order of CompareSettings.parse."""
        return [
            self.source,
            self.methods,
            self.templates,
            self.reuse,
            self.shots,
            self.seed,
            self.preset,
            self.n_ctx,
            self.steps,
        ]

    def wire(self, shell: Shell, tab: gr.Tab) -> None:
        """Wire the box of templates, which follows the chosen set until it is written in."""

        def selected(session: Session, source: Any, lines: Any) -> Updates:
            updates = self.job.buttons(session)
            known = ("", DEFAULT_TEMPLATE, session.compare.words)
            untouched = str(lines or "").strip() in known and compared_of(session) is None
            words = session.template
            if source == TAUGHT and untouched and words and words != lines:
                session.compare.words = words
                updates[self.templates] = words
            return updates

        def choose_source(session: Session, source: str) -> Updates:
            if source == TAUGHT:
                return {self.templates: session.template}
            return {self.templates: samples.find_sample(str(source)).template}

        def add_template(session: Session, lines: str, chosen: str | None) -> Updates:
            there = [line for line in str(lines or "").splitlines() if line.strip()]
            if chosen and chosen not in there:
                there.append(chosen)
            return {self.templates: "\n".join(there), self.offer: None}

        box = self.templates
        shell.keep_typed(box)
        shell.on(self.source.input, choose_source, [self.source], [box], **QUIET)
        shell.on(self.offer.input, add_template, [box, self.offer], [box, self.offer], **QUIET)
        shell.on(tab.select, selected, [self.source, box], [*self.job.outputs, box], **QUIET)


class Outcome:
    """The right column: the verdict in words and the table of methods."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(2, say.RESULT_TITLE, say.RESULT_LEAD), padding=False)
        self.verdict = gr.HTML(
            compare_html.promise(),
            padding=False,
            elem_id="compare-verdict",
        )
        self.table = gr.HTML(padding=False, elem_id="compare-table")
        self.notes = gr.HTML(padding=False, elem_id="compare-notes")

    @property
    def outputs(self) -> list[Any]:
        return [self.verdict, self.table, self.notes]

    def view(self, compared: Compared | None) -> Updates:
        if compared is None:
            promise = compare_html.promise()
            return {self.verdict: promise, self.table: "", self.notes: ""}
        comparison = compared.comparison
        notes = page_html.notes(comparison.problems, [*compared.notes, *comparison.notes])
        ending = (
            f'<p class="cs-ending">{escape(said(compared.ending))}</p>' if compared.ending else ""
        )
        return {
            self.verdict: compare_html.scoreboard(comparison),
            self.table: page_html.hint(say.TABLE_LEAD) + compare_html.method_rows(comparison),
            self.notes: (ending if compared.ending else "") + notes,
        }


class Results:
    """Everything that shows a comparison: the outcome, and the panels that look closer."""

    def __init__(
        self, choice: Choice, outcome: Outcome, closer: gr.Column, panels: list[Panel]
    ) -> None:
        """`closer` holds the panels."""
        self.choice, self.outcome, self.closer, self.panels = choice, outcome, closer, panels

    @property
    def outputs(self) -> list[Any]:
        of_panels = [output for panel in self.panels for output in panel.outputs]
        return [*self.outcome.outputs, self.closer, *of_panels]

    def view(self, session: Session) -> Updates:
        compared = compared_of(session)
        updates = self.outcome.view(compared)
        updates[self.closer] = gr.update(visible=compared is not None)
        for panel in self.panels:
            try:
                updates |= panel.view(session, compared)
            except Exception as error:  # one panel that fails leaves the others theirs
                warned(error)
        return updates

    def wire(self, shell: Shell) -> None:
        choice = self.choice

        def job(session: Session, *values: Any) -> Iterator[Any]:
            return run_comparison(session, CompareSettings.parse(*values))

        def shown(session: Session, progress: Progress) -> Updates:
            return self.outcome.view(progress.so_far) if progress.so_far else {}

        def ended(session: Session, failed: bool) -> Updates:
            return self.view(session)

        def refresh(session: Session) -> Updates:
            return choice.job.buttons(session) | {choice.job.status: ""} | self.view(session)

        choice.job.wire(shell, job, choice.inputs, self.outputs, shown=shown, ended=ended)
        shell.refreshes(refresh, [*choice.job.outputs, *self.outputs])


def _offered() -> list[tuple[str, str]]:
    """(label, template): plain ones, then the paper's with the data set they were written for."""
    found = {template: template for template in PLAIN_TEMPLATES}
    for dataset, template in DATASET_TEMPLATES.items():
        found.setdefault(template, f"{template} ({dataset})")
    return [(label, template) for template, label in found.items()]
