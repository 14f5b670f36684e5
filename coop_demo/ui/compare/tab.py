"""Tab "Compare": is the learned prompt really better? What to compare, and the table of methods.

What looks closer at a comparison stands in `compare_panels.py`.
"""

import contextlib
from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from coop_demo import samples
from coop_demo.comparison.compare import DEFAULT_METHODS
from coop_demo.comparison.methods import METHODS
from coop_demo.errors import UserError
from coop_demo.prompts.learner import MAX_N_CTX
from coop_demo.prompts.templates import DATASET_TEMPLATES, DEFAULT_TEMPLATE, PLAIN_TEMPLATES
from coop_demo.ui import html as page_html
from coop_demo.ui.compare import html as compare_html
from coop_demo.ui.compare import strings as say
from coop_demo.ui.compare.actions import run_comparison
from coop_demo.ui.compare.panels import PANELS, Panel
from coop_demo.ui.compare.state import (
    TAUGHT,
    Compared,
    CompareSettings,
    Progress,
    compared_of,
    working,
)
from coop_demo.ui.context import TRAINING, TRAINING_LIMIT, Refresh, Shell
from coop_demo.ui.events import forgiving, sentence_for, warn
from coop_demo.ui.session import Session
from coop_demo.ui.teach import html as teach_html
from coop_demo.ui.teach import strings as teach_strings
from coop_demo.ui.teach.state import MAX_SHOTS_PAGE

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_FIRST_METHODS = (*DEFAULT_METHODS, "learned-csc")


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    with (
        gr.Tab("Compare", id="compare") as tab,
        gr.Row(elem_classes="cs-columns cs-compare", equal_height=False),
    ):
        with gr.Column(elem_classes="cs-column cs-choose", min_width=300, scale=2):
            choice = Choice()
        with gr.Column(elem_classes="cs-results", min_width=320, scale=5):
            with gr.Column(elem_classes="cs-column"):
                outcome = Outcome()
            with (
                gr.Column(elem_classes="cs-column cs-closer", visible=False) as closer,
                gr.Tabs(elem_classes="cs-tabs cs-panels"),
            ):
                panels = [panel() for panel in PANELS]
    _wire(shell, tab, choice, outcome, closer, panels)


class Choice:
    """The left column: pictures, methods, prompts, settings, Compare and Stop."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(1, say.SET_TITLE, say.SET_LEAD), padding=False)
        self.source = gr.Dropdown(
            [
                (say.FROM_TEACH, TAUGHT),
                *((s.title, s.name) for s in samples.sample_sets() if s.teaches),
            ],
            value=TAUGHT,
            label=say.SOURCE_LABEL,
            elem_id="compare-source",
        )
        with gr.Row(elem_classes="cs-go"):
            self.go = gr.Button(say.COMPARE, variant="primary", elem_id="compare-go", scale=3)
            self.stop = gr.Button(say.STOP, interactive=False, elem_id="compare-stop", scale=1)
        self.status = gr.HTML(padding=False, elem_id="compare-status")
        self.methods = gr.CheckboxGroup(
            [(m.title, m.key) for m in METHODS.values() if m.key != "hand-crafted"],
            value=[key for key in _FIRST_METHODS if key != "hand-crafted"],
            label=say.METHODS_LABEL,
            elem_id="compare-methods",
        )
        self.templates = gr.Textbox(
            DEFAULT_TEMPLATE,
            lines=2,
            max_lines=say.MAX_TEMPLATES,
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
                list(teach_strings.PRESETS), value="fast", label=say.PRESET_LABEL
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


class Outcome:
    """The right column: the verdict in words and the table of methods."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(2, say.RESULT_TITLE, say.RESULT_LEAD), padding=False)
        self.verdict = gr.HTML(padding=False, elem_id="compare-verdict")
        self.table = gr.HTML(padding=False, elem_id="compare-table")
        self.notes = gr.HTML(padding=False, elem_id="compare-notes")

    @property
    def outputs(self) -> list[Any]:
        return [self.verdict, self.table, self.notes]

    def view(self, compared: Compared | None) -> list[Any]:
        if compared is None:
            return [compare_html.promise(say.NOTHING_YET, say.PROMISES), "", ""]
        comparison = compared.comparison
        notes = page_html.notes(comparison.problems, [*compared.notes, *comparison.notes])
        ending = f'<p class="cs-ending">{escape(compared.ending)}</p>' if compared.ending else ""
        return [
            compare_html.scoreboard(comparison),
            page_html.hint(say.TABLE_LEAD) + compare_html.method_rows(comparison),
            ending + notes,
        ]


def _wire(
    shell: Shell,
    tab: gr.Tab,
    choice: Choice,
    outcome: Outcome,
    closer: gr.Column,
    panels: list[Panel],
) -> None:
    store = shell.store
    buttons = [choice.go, choice.stop]
    panel_outputs = [output for panel in panels for output in panel.outputs]
    everything = [*buttons, choice.status, *outcome.outputs, closer, *panel_outputs]

    def panel_views(session: Session) -> list[Any]:
        compared = compared_of(session)
        updates: list[Any] = []
        for panel in panels:
            try:
                updates += panel.view(session, compared)
            except Exception as error:  # one panel that fails leaves the others theirs
                warn(sentence_for(error))
                updates += [gr.skip() for _ in panel.outputs]
        return updates

    def view(session: Session, status: str = "") -> list[Any]:
        running = session.training
        return [
            gr.update(interactive=not running),
            gr.update(interactive=running),
            status,
            *outcome.view(compared_of(session)),
            gr.update(visible=compared_of(session) is not None),
            *panel_views(session),
        ]

    keep_panels = [gr.skip() for _ in (closer, *panel_outputs)]
    keep_outcome = [gr.skip() for _ in outcome.outputs]

    @forgiving
    def run(key: str, *values: Any) -> Iterator[list[Any]]:
        session = store.get(key)
        settings = CompareSettings.parse(*values)
        problem = ""
        with working(session):
            yield [
                gr.update(interactive=False),
                gr.update(interactive=True),
                teach_html.progress(say.PREPARING, 0.0),
                *keep_outcome,
                *keep_panels,
            ]
            try:
                with contextlib.closing(run_comparison(session, settings)) as events:
                    for event in events:
                        if not isinstance(event, Progress):
                            continue
                        shown = (
                            outcome.view(event.so_far) if event.so_far is not None else keep_outcome
                        )
                        yield [
                            gr.skip(),
                            gr.skip(),
                            teach_html.progress(event.sentence, event.share),
                            *shown,
                            *keep_panels,
                        ]
            except UserError as error:
                problem = page_html.notes([str(error)])
            except Exception as error:
                problem = page_html.notes([sentence_for(error)])
        yield view(session, problem)

    @forgiving
    def stop(key: str) -> Any:
        session = store.get(key)
        if not session.training:
            raise UserError(say.NOTHING_TO_STOP)
        session.stop.set()
        # the status is the comparison's own: an answer from here could come after its last word
        return gr.update(interactive=False)

    def refresh(key: str) -> list[Any]:
        return view(store.get(key))

    @forgiving
    def selected(key: str, source: Any, lines: Any) -> list[Any]:
        session = store.get(key)
        running = session.training
        words = gr.skip()
        untouched = str(lines or "").strip() in ("", DEFAULT_TEMPLATE, session.compare.words)
        if source == TAUGHT and session.template and untouched and compared_of(session) is None:
            words = session.compare.words = (
                session.template
            )  # the box follows Teach until it is written in
        return [gr.update(interactive=not running), gr.update(interactive=running), words]

    @forgiving
    def choose_source(key: str, source: str) -> str:
        if source == TAUGHT:
            return store.get(key).template
        return samples.find_sample(str(source)).template

    @forgiving
    def add_template(lines: str, chosen: str | None) -> list[Any]:
        there = [line for line in str(lines or "").splitlines() if line.strip()]
        if chosen and chosen not in there:
            there.append(chosen)
        return ["\n".join(there), None]

    choice.go.click(
        run,
        [shell.key, *choice.inputs],
        everything,
        concurrency_id=TRAINING,
        concurrency_limit=TRAINING_LIMIT,
        show_progress="minimal",
        show_progress_on=[choice.status],
        api_visibility="private",
    )
    choice.stop.click(stop, shell.key, choice.stop, queue=False, **_QUIET)
    choice.source.input(choose_source, [shell.key, choice.source], choice.templates, **_QUIET)
    choice.offer.input(
        add_template, [choice.templates, choice.offer], [choice.templates, choice.offer], **_QUIET
    )
    tab.select(
        selected,
        [shell.key, choice.source, choice.templates],
        [*buttons, choice.templates],
        **_QUIET,
    )
    for panel in panels:
        panel.wire(shell)
    shell.on_open.append(Refresh(refresh, everything))
    shell.on_model.append(Refresh(refresh, everything))


def _offered() -> list[tuple[str, str]]:
    """(label, template): plain ones, then the paper's with the data set they were written for."""
    found = {template: template for template in PLAIN_TEMPLATES}
    for dataset, template in DATASET_TEMPLATES.items():
        found.setdefault(template, f"{template} ({dataset})")
    return [(label, template) for template, label in found.items()]
