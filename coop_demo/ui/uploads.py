"""Gradio's own copies of what people gave the page, which are deleted when they say Forget.

Gradio clears them by itself only after a day.
"""

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from coop_demo.ui.session import Session


def uploads_in(values: Iterable[Any]) -> Iterator[Path]:
    """The files among a handler's inputs that lie in gradio's folder."""
    home = get_upload_folder()
    for value in values:
        if isinstance(value, list | tuple):
            yield from uploads_in(value)
        elif isinstance(value, str) and value.startswith(home):
            yield Path(value)


def forget_uploads(session: Session) -> None:
    """Delete gradio's copies of a person's files, and of the small pictures they were shown.

    Each lies in a folder of its own, called by a hash of its content.
    """
    home = Path(get_upload_folder())
    found = {path for path in session.uploads if path.parent.parent == home}
    if home.is_dir():
        shown = {f"{content}.jpg" for content in session.pictures}
        with contextlib.suppress(OSError):
            found |= {path for path in home.glob("*/*.jpg") if path.name in shown}
    for path in found:
        shutil.rmtree(path.parent, ignore_errors=True)
