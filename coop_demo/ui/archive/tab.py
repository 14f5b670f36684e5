"""Tab "Archive", which is there when the app's owner named an index by COOP_DEMO_INDEX."""

from typing import Any

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.languages import archive as say
from coop_demo.settings import LIMITS
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.archive import actions
from coop_demo.ui.archive import html as archive_html
from coop_demo.ui.context import LOOKS, QUIET, Shell
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates

FIRST_INSTRUCTION = "Rank the brightness."  # in English, which the models read


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    ArchiveTab().wire(shell)


class ArchiveTab:
    """On the left what to order by; on the right both ends of the order."""

    def __init__(self) -> None:
        with (
            gr.Tab(say.TITLE, id="archive") as self.tab,
            gr.Row(elem_classes="cs-columns cs-archive", equal_height=False),
        ):
            with gr.Column(elem_classes="cs-column", min_width=320, scale=4):
                self._left()
            with gr.Column(elem_classes="cs-column", min_width=320, scale=9):
                self.said = gr.HTML(page_html.hint(say.NOTHING_SHOWN), padding=False)
                gr.Markdown(f"### {say.FIRST_TITLE}")
                self.first = widgets.pictures_to_click(
                    say.FIRST_TITLE, columns=6, elem_id="archive-first"
                )
                gr.Markdown(f"### {say.LAST_TITLE}")
                self.last = widgets.pictures_to_click(
                    say.LAST_TITLE, columns=6, elem_id="archive-last"
                )
                self.csv = gr.DownloadButton(say.DOWNLOAD, size="sm", elem_id="archive-csv")

    def _left(self) -> None:
        gr.HTML(page_html.step_head(1, say.LEAD_TITLE, say.LEAD), padding=False)
        self.facts = gr.HTML(padding=False, elem_id="archive-facts")
        self.by = gr.Radio(
            [say.BY_WORDS, say.BY_CLASS],
            value=say.BY_WORDS,
            label=say.BY_LABEL,
            elem_id="archive-by",
        )
        self.instruction = gr.Textbox(
            FIRST_INSTRUCTION,
            label=say.INSTRUCTION_LABEL,
            info=say.INSTRUCTION_INFO,
            max_length=LIMITS.max_instruction,
            elem_id="archive-instruction",
        )
        self.class_name = gr.Dropdown(
            [], label=say.CLASS_LABEL, visible=False, elem_id="archive-class"
        )
        self.only = gr.Dropdown(
            [(say.EVERY, "")], value="", label=say.ONLY_LABEL, elem_id="archive-only"
        )
        self.show = gr.Button(say.SHOW, variant="primary", elem_id="archive-show")

    @property
    def outputs(self) -> list[Any]:
        return [self.facts, self.class_name, self.only]

    def view(self, session: Session) -> Updates:
        names = list(actions.class_names(session))
        try:
            facts = archive_html.facts(actions.opened(session))
        except UserError as error:
            facts = page_html.notes([str(error)])
        return {
            self.facts: facts,
            self.class_name: gr.update(choices=names, value=names[0] if names else None),
            self.only: gr.update(choices=[(say.EVERY, ""), *((n, n) for n in names)], value=""),
        }

    def wire(self, shell: Shell) -> None:
        def by_changed(_: Session, by: str) -> Updates:
            words = by == say.BY_WORDS
            return {
                self.instruction: gr.update(visible=words),
                self.class_name: gr.update(visible=not words),
            }

        def show(session: Session, by: str, instruction: str, name: str, only: str) -> Updates:
            if by == say.BY_WORDS:
                arranged = actions.by_words(session, str(instruction or ""), str(only or ""))
            else:
                arranged = actions.by_class(session, str(name or ""), str(only or ""))
            first, last = actions.ends(arranged)
            top, lost_top = actions.pictures(session, arranged, first)
            bottom, lost_bottom = actions.pictures(session, arranged, last)
            return {
                self.said: archive_html.said(arranged, lost_top + lost_bottom),
                self.first: gr.update(value=top),
                self.last: gr.update(value=bottom),
                self.csv: gr.update(value=str(actions.write_list(session, arranged))),
            }

        choices = [self.by, self.instruction, self.class_name, self.only]
        shell.on(
            self.by.change, by_changed, [self.by], [self.instruction, self.class_name], **QUIET
        )
        shown = [self.said, self.first, self.last, self.csv]
        shell.on(
            [self.show.click, self.instruction.submit],
            show,
            choices,
            shown,
            show_progress_on=[self.said],
            **LOOKS,
        )
        shell.on(self.tab.select, self.view, [], self.outputs, **QUIET)
        shell.refreshes(self.view, self.outputs)
