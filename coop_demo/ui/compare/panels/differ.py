"""Where do two methods part?"""

from typing import Any

import gradio as gr

from coop_demo.comparison.confusion import disagreements
from coop_demo.languages import compare as say
from coop_demo.languages import said
from coop_demo.ui import html as page_html
from coop_demo.ui.compare import html as compare_html
from coop_demo.ui.compare.kept import need_compared
from coop_demo.ui.compare.panels.parts import (
    LOOK,
    NO_CHOICE,
    compare_first,
    lead,
    method_box,
    opens_look,
)
from coop_demo.ui.compare.state import Compared
from coop_demo.ui.context import Shell
from coop_demo.ui.forms import whole
from coop_demo.ui.plot_clicks import picture_cards
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class DifferPanel:
    """Pictures on which two methods part, both ways."""

    def __init__(self) -> None:
        with gr.Tab(say.DIFFER_TAB, id="differ"):
            lead(say.DIFFER_LEAD)
            with gr.Row(elem_classes="cs-options"):
                self.first = method_box("differ-first", say.FIRST_LABEL)
                self.second = method_box("differ-second", say.SECOND_LABEL)
            self.which = gr.Radio([], label=say.WHICH_LABEL, elem_id="differ-which")
            self.cards = picture_cards("differ-cards", compare_first())
        self.outputs: list[Any] = [self.first, self.second, self.which, self.cards]

    def view(self, session: Session, compared: Compared | None) -> Updates:
        if compared is None:
            return {
                self.first: NO_CHOICE,
                self.second: NO_CHOICE,
                self.which: NO_CHOICE,
                self.cards: compare_first(),
            }
        methods = compared.methods()
        first = compared.best_learned() or methods[-1][1]
        return {
            self.first: gr.update(choices=methods, value=first),
            self.second: gr.update(choices=methods, value="hand-crafted"),
            **self._shown(session, compared, first, "hand-crafted", 0),
        }

    def _shown(
        self, session: Session, compared: Compared, first: Any, second: Any, which: Any
    ) -> Updates:
        """Updates for which and cards."""
        if first == second:
            return {self.which: NO_CHOICE, self.cards: page_html.hint(say.SAME_METHOD)}
        comparison = compared.comparison
        a, b = comparison.result(str(first)), comparison.result(str(second))
        parted = disagreements(a.logits, b.logits, comparison.labels)
        groups = (parted.only_first_right, parted.only_second_right, parted.both_wrong)
        which = whole(0 if which is None else which, say.WHICH_LABEL, 0, 2)
        choices = [
            (say.only(said(a.title), len(groups[0])), 0),
            (say.only(said(b.title), len(groups[1])), 1),
            (say.neither(len(groups[2])), 2),
        ]
        methods = [a.method, b.method]
        return {
            self.which: gr.update(choices=choices, value=which),
            self.cards: compare_html.cards(session, comparison, groups[which], methods),
        }

    def wire(self, shell: Shell) -> None:
        def choose(session: Session, first: Any, second: Any, which: Any) -> Updates:
            return self._shown(session, need_compared(session), first, second, which)

        shell.on(
            [self.first.input, self.second.input, self.which.input],
            choose,
            [self.first, self.second, self.which],
            [self.which, self.cards],
            **LOOK,
        )
        opens_look(shell, self.cards)
