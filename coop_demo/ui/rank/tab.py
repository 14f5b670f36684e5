"""Tab "Rank": order a pile of pictures by an instruction, and teach a ranker one's own order."""

import gradio as gr

from coop_demo.languages import page as strings
from coop_demo.ui.context import Shell
from coop_demo.ui.rank.choose import ChooseColumn
from coop_demo.ui.rank.numbers import Numbers
from coop_demo.ui.rank.order import OrderColumn
from coop_demo.ui.rank.teach import TeachOrder


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    with gr.Tab(strings.RANK_TAB, id="rank"):
        with gr.Row(elem_classes="cs-columns cs-rank-columns", equal_height=False):
            with gr.Column(elem_classes="cs-column cs-rank-choose", min_width=320, scale=4):
                choose = ChooseColumn()
            with gr.Column(elem_classes="cs-column cs-rank-order", min_width=320, scale=9):
                order = OrderColumn()
        with gr.Column(elem_classes="cs-column cs-rank-teach"):
            TeachOrder.head()
            with gr.Row(equal_height=False, elem_classes="cs-rank-plots"):
                with gr.Column(min_width=320, scale=5):
                    numbers = Numbers()
                with gr.Column(min_width=320, scale=4):
                    teach = TeachOrder()
    choose.wire(shell, order, numbers)
    order.wire(shell, choose)
    numbers.wire(shell, choose)
    teach.wire(shell, choose, numbers)
