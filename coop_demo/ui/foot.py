"""The foot of the page: how long things are kept, the project file, and Forget everything."""

from pathlib import Path
from typing import Any

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.languages import keeping as say
from coop_demo.languages import page as strings
from coop_demo.ui import html as page_html
from coop_demo.ui.context import QUIET, Refresh, Shell
from coop_demo.ui.events import warned
from coop_demo.ui.keeping.project import open_project, save_project
from coop_demo.ui.session import Session
from coop_demo.ui.store import STORAGE_KEY
from coop_demo.ui.uploads import forget_uploads
from coop_demo.ui.windows import Updates

_PROJECT = "coop-studio-project.zip"
# the browser's key goes too, and the page begins anew
_BEGIN_ANEW = f"() => {{ localStorage.removeItem('{STORAGE_KEY}'); location.reload(); }}"


def build(shell: Shell) -> None:
    """Build the foot and wire it."""
    Foot(is_kept=shell.store.shelf is not None).wire(shell)


class Foot:
    """One calm row under everything else."""

    def __init__(self, *, is_kept: bool) -> None:
        with gr.Column(elem_classes="cs-foot", elem_id="foot"):
            gr.HTML(page_html.hint(say.KEPT if is_kept else say.NOT_KEPT), padding=False)
            with gr.Row(elem_classes="cs-foot-row"):
                self.save = _small(say.SAVE, "project-save")
                self.download = gr.DownloadButton(
                    say.SAVE, visible=False, size="sm", min_width=140, elem_id="project-download"
                )
                self.open = gr.UploadButton(
                    say.OPEN,
                    file_types=[".zip"],
                    size="sm",
                    min_width=140,
                    elem_id="project-open",
                )
                self.forget = _small(say.FORGET, "forget")
            self.note = gr.HTML(padding=False, elem_id="project-note")
            with gr.Row(visible=False, elem_classes="cs-undo", elem_id="forget-sure") as self.sure:
                gr.HTML(page_html.hint(say.FORGET_SURE), padding=False)
                self.yes = _small(say.FORGET_YES, "forget-yes", variant="stop")
                self.no = _small(say.FORGET_NO, "forget-no")
        gr.HTML(page_html.footer(strings.FOOTER))

    def view(self, session: Session) -> Updates:
        return {
            self.download: gr.update(visible=False),
            self.note: "",
            self.sure: gr.update(visible=False),
        }

    def wire(self, shell: Shell) -> None:
        self._wire_project(shell)
        self._wire_forgetting(shell)
        shell.on_open.append(Refresh(self.view, [self.download, self.note, self.sure]))

    def _wire_project(self, shell: Shell) -> None:
        shown: dict[str, Any] = {"show_progress_on": [self.note]}

        def save(session: Session) -> Updates:
            path = save_project(session, session.folder / _PROJECT)
            label = say.download(path.stat().st_size)
            return {
                self.download: gr.update(value=str(path), label=label, visible=True),
                self.note: "",
            }

        def open_file(session: Session, path: str | None) -> Updates:
            if not path:
                return {}
            try:
                open_project(session, Path(path))
            except UserError as error:
                return {self.note: page_html.notes([warned(error)])}
            return {self.note: page_html.hint(say.opened(Path(path).name))}

        shell.on(self.save.click, save, [], [self.download, self.note], **shown)
        opened = shell.on(self.open.upload, open_file, [self.open], [self.note], **shown)
        shell.everything_events.append(opened)

    def _wire_forgetting(self, shell: Shell) -> None:
        def ask(session: Session) -> Updates:
            return {self.sure: gr.update(visible=True)}

        def keep(session: Session) -> Updates:
            return {self.sure: gr.update(visible=False)}

        def forget(session: Session) -> Updates:
            shell.store.forget(session)
            forget_uploads(session)
            return {shell.key: None}

        shell.on(self.forget.click, ask, [], [self.sure], **QUIET)
        shell.on(self.no.click, keep, [], [self.sure], **QUIET)
        gone = shell.on(self.yes.click, forget, [], [shell.key], **QUIET)
        gone.success(None, None, None, js=_BEGIN_ANEW, api_visibility="private")


def _small(label: str, elem_id: str, **more: Any) -> gr.Button:
    return gr.Button(label, size="sm", min_width=140, elem_id=elem_id, **more)
