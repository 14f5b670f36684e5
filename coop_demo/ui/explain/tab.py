"""Tab "Look": where did it look, and can the picture be believed?"""

import gradio as gr

from coop_demo.languages import page as strings
from coop_demo.ui.context import Shell
from coop_demo.ui.explain.check import Check
from coop_demo.ui.explain.looking import Looking
from coop_demo.ui.explain.maps import Maps
from coop_demo.ui.explain.question import Question
from coop_demo.ui.explain.ranked import Ranked


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    with (
        gr.Tab(strings.LOOK_TAB, id="look") as tab,
        gr.Row(elem_classes="cs-columns cs-look", equal_height=False),
    ):
        with gr.Column(elem_classes="cs-column", min_width=300, scale=2):
            question = Question()
        with gr.Column(elem_classes="cs-column cs-look-answer", min_width=320, scale=5):
            with gr.Column() as plain:
                maps = Maps()
                check = Check()
            with gr.Column(visible=False, elem_id="look-ranked") as of_order:
                ranked = Ranked()
    question.wire(shell)
    maps.wire(shell)
    ranked.wire(shell)
    Looking(question, maps, check, ranked, plain, of_order).wire(shell, tab)
