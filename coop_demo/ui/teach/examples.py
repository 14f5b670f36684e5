"""Part of the column "Try": pictures at hand, so that nobody has to go and find one."""

from typing import Any

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.languages import teach as say
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import QUIET, Shell
from coop_demo.ui.session import Session
from coop_demo.ui.teach.actions import at_hand
from coop_demo.ui.windows import Updates


class Examples:
    """Held-out pictures of the set in use as small thumbnails, and one of another set."""

    def __init__(self) -> None:
        with gr.Row(elem_classes="cs-examples-head"):
            self.hint = gr.HTML(page_html.hint(say.TRY_EMPTY), padding=False)
            self.surprise = gr.Button(
                say.SURPRISE, size="sm", scale=0, min_width=110, elem_id="surprise"
            )
        self.gallery = widgets.pictures_to_click(
            say.EXAMPLES, columns=6, visible=False, elem_id="examples", elem_classes="cs-examples"
        )

    @property
    def outputs(self) -> list[Any]:
        return [self.hint, self.gallery]

    def view(self, session: Session) -> Updates:
        """What is at hand now; a click finds it again in `session.at_hand`."""
        session.at_hand = at_hand(session)
        trying = session.trying
        if trying is not None and not trying.elsewhere and trying not in session.at_hand:
            session.trying = None  # its set is gone
        thumbnails = [str(session.thumbnail(one.picture)) for one in session.at_hand]
        return {
            self.hint: page_html.hint(say.EXAMPLES_HINT if thumbnails else say.TRY_EMPTY),
            self.gallery: gr.update(value=thumbnails, visible=bool(thumbnails)),
        }

    def chosen(self, session: Session, index: object) -> None:
        """Make the clicked thumbnail the picture to try.

        Raises:
            UserError: it is not there any more.
        """
        if not isinstance(index, int) or not 0 <= index < len(session.at_hand):
            raise UserError(say.EXAMPLE_GONE)
        session.trying = session.at_hand[index]

    def wire(self, shell: Shell, *changed: Any) -> None:
        """Follow what was shown and what was learned: events after which the set may be another."""

        def again(session: Session) -> Updates:
            return self.view(session)

        shell.on(list(changed), again, [], self.outputs, trigger_mode="always_last", **QUIET)
        shell.refreshes(self.view, self.outputs)
