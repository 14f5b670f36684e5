"""Part of the tab Look: whether a map can be believed."""

from typing import Any

import gradio as gr

from coop_demo.languages import look as say
from coop_demo.ui import html as page_html
from coop_demo.ui.explain import actions
from coop_demo.ui.explain import html as explain_html
from coop_demo.ui.explain.state import Looked
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class Check:
    """Whether the map can be believed: sentences, warnings, curves, the meaningless text's map."""

    def __init__(self) -> None:
        with gr.Column(visible=False, elem_id="look-check") as self.all:
            gr.HTML(page_html.step_head(3, say.CHECK_TITLE, say.CHECK_LEAD), padding=False)
            self.sentences = gr.HTML(padding=False, elem_id="look-sentences")
            with gr.Row(
                equal_height=False, visible=False, elem_classes="cs-look-check"
            ) as self.figures:
                self.deletion = gr.HTML(padding=False, elem_id="look-deletion")
                self.insertion = gr.HTML(padding=False, elem_id="look-insertion")
                with gr.Column(min_width=150):
                    self.shuffled = gr.Image(
                        label=say.MEANINGLESS,
                        show_label=False,
                        interactive=False,
                        type="filepath",
                        buttons=["download", "fullscreen"],
                        elem_id="look-shuffled",
                    )
                    self.shuffled_hint = gr.HTML(padding=False)

    @property
    def outputs(self) -> list[Any]:
        return [
            self.all,
            self.sentences,
            self.figures,
            self.deletion,
            self.insertion,
            self.shuffled,
            self.shuffled_hint,
        ]

    def view(self, session: Session, looked: Looked | None, *, checking: bool = False) -> Updates:
        if looked is None or not looked.checks:
            return {
                self.all: gr.update(visible=checking),
                self.sentences: page_html.progress(say.CHECKING) if checking else "",
                self.figures: gr.update(visible=False),
                self.deletion: "",
                self.insertion: "",
                self.shuffled_hint: "",
            }
        warnings = list(dict.fromkeys(line for _, c in looked.checks for line in c.warnings))
        meaningless = actions.shuffled(looked)
        name = f"{looked.name}-{looked.wanted}"
        return {
            self.all: gr.update(visible=True),
            self.sentences: explain_html.verdicts(looked) + page_html.notes(warnings),
            self.figures: gr.update(visible=True),
            self.deletion: explain_html.curve_chart(looked, "deletion"),
            self.insertion: explain_html.curve_chart(looked, "insertion"),
            self.shuffled: meaningless
            and str(actions.saved_png(session, "meaningless", name, meaningless)),
            self.shuffled_hint: page_html.hint(
                say.shuffled_hint(looked.checks[-1][1].text_correlation)
            ),
        }
