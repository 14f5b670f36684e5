"""Tab "Teach": show pictures, train a prompt, try it."""

import gradio as gr

from coop_demo.languages import page as strings
from coop_demo.ui.context import Shell
from coop_demo.ui.teach.show import ShowColumn
from coop_demo.ui.teach.train import TrainColumn
from coop_demo.ui.teach.trying import TryColumn


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    with (
        gr.Tab(strings.TEACH_TAB, id="teach"),
        gr.Row(elem_classes="cs-columns", equal_height=False),
    ):
        with gr.Column(elem_classes="cs-column cs-show", min_width=320):
            show = ShowColumn()
        with gr.Column(elem_classes="cs-column cs-train", min_width=320):
            train = TrainColumn()
        with gr.Column(elem_classes="cs-column cs-try", min_width=320):
            attempt = TryColumn()
    show.wire(shell, train, attempt)
    train.wire(shell, show, attempt)
    attempt.wire(shell, train, show.summary)
