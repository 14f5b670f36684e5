"""Column of the tab Look: which picture, what to look for, by which method."""

from typing import Any

import gradio as gr

from coop_demo.languages import look as say
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import QUIET, Shell
from coop_demo.ui.explain import actions
from coop_demo.ui.explain.state import SCENES, Subject
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class Question:
    """Pictures to choose from, a place to drop one, what to look for, and Look."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(1, say.PICTURE_TITLE, say.PICTURE_LEAD), padding=False)
        self.source = gr.Dropdown(
            list(say.SOURCES.items()),
            value=SCENES,
            label=say.SOURCE_LABEL,
            elem_id="look-source",
        )
        self.gallery = widgets.pictures_to_click(
            say.SOURCE_LABEL,
            columns=4,
            elem_id="look-gallery",
            elem_classes="cs-gallery",
        )
        self.offered = gr.HTML(padding=False, elem_id="look-offered")
        self.picture = widgets.picture_box(
            say.DROP_LABEL, height=210, elem_id="look-picture", webcam=False
        )
        self.wanted = gr.Dropdown(
            [],
            value=None,
            allow_custom_value=True,
            label=say.WANTED_LABEL,
            info=say.WANTED_INFO,
            elem_id="look-wanted",
        )
        self.method = gr.Dropdown(
            [(say.SUITS, "auto")], value="auto", label=say.METHOD_LABEL, elem_id="look-method"
        )
        self.go = gr.Button(say.LOOK, variant="primary", elem_id="look-go")
        self.status = gr.HTML(padding=False, elem_id="look-status", min_height=30)
        self.draw_set = gr.Button(say.ZIP_SET, size="sm", elem_id="look-draw-set")
        self.set_zip = gr.DownloadButton(
            say.GET_ZIP_SET, size="sm", visible=False, elem_id="look-set-zip"
        )

    def offer(self, session: Session, source: str) -> Updates:
        """The pictures of a source in the gallery, and the line under it.

        Raises:
            UserError: there is nothing to choose from.
        """
        shown, n = actions.offer(session, source)
        thumbnails = [str(session.thumbnail(subject.picture)) for subject in shown]
        return {
            self.gallery: gr.update(value=thumbnails),
            self.offered: page_html.hint(say.offered(len(shown), n)),
        }

    def choices(self, subject: Subject, wanted: Any) -> Updates:
        """What can be looked for in a picture, and what is until a person says otherwise.

        `wanted` is what the field holds: it is left alone where it need not change.
        """
        names, first = list(subject.class_names), subject.first_wanted
        if not names and not wanted:
            return {}
        return {self.wanted: gr.update(choices=names, value=first or None)}

    def methods_view(self, session: Session) -> Updates:
        """The methods that fit the model in use."""
        return {self.method: gr.update(choices=actions.fitting_methods(session.backbone))}

    def wire(self, shell: Shell) -> None:
        def choose_source(session: Session, source: str) -> Updates:
            return self.offer(session, source)

        shell.keep_typed(self.wanted)
        shell.on(
            self.source.input,
            choose_source,
            [self.source],
            [self.gallery, self.offered],
            **QUIET,
        )
