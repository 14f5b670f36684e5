"""Files that are packed when a person asks for them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.languages import look as say
from coop_demo.ui.context import LOOKING, Shell
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates

# A download button needs its file before it is clicked, and packing all maps at every look would
# cost more than the maps: the button on the page packs, and then clicks the hidden one.
_SAVE_FILE = """
() => new Promise((done) => setTimeout(() => {
  document.querySelector('#%s')?.click();
  done();
}, 100))
"""


class PackedFile:
    """A button that packs a file and saves it."""

    def __init__(self, label: str, name: str) -> None:
        self.save = gr.Button(label, size="sm", elem_id=f"{name}-save")
        self._file_id = f"{name}-zip"
        self.file = gr.DownloadButton(label, elem_id=self._file_id, elem_classes="cs-unseen")

    def wire(
        self, shell: Shell, file_name: str, pack: Callable[..., bytes | None], inputs: Sequence[Any]
    ) -> None:
        """`pack(session, *values)` gives the file's content, or None while there is nothing."""

        def save(session: Session, *values: Any) -> Updates:
            content = pack(session, *values)
            if content is None:
                raise UserError(say.NO_MAPS)
            path: Path = session.folder / file_name
            path.write_bytes(content)
            return {self.file: gr.update(value=str(path))}

        saved = shell.on(self.save.click, save, inputs, [self.file], concurrency_id=LOOKING)
        saved.success(None, None, None, js=_SAVE_FILE % self._file_id)
