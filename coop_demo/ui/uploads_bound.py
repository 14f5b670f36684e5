"""A bound on all files that wait in gradio's upload folder, whoever sent them.

Gradio bounds one file. A program that sends file after file, and never says what for, would fill
the disk all the same.
"""

import contextlib
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse
from gradio.utils import get_upload_folder

from coop_demo.languages import ENGLISH, LANGUAGES, speaking
from coop_demo.languages import page as strings
from coop_demo.settings import LIMITS

_LOOK_EVERY = 5.0  # seconds between two looks at the folder; what came since is counted
MAY_GO_AFTER = 3600.0  # seconds: what a session wanted was copied long before

Scope = MutableMapping[str, Any]


class UploadsBound:
    """ASGI middleware: with too much in the folder, an upload is refused before it is read.

    Files older than an hour make room first.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._bytes, self._looked_at = 0, -_LOOK_EVERY

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        answer = self._app
        is_upload = scope["type"] == "http" and scope["method"] == "POST"
        is_upload = is_upload and scope["path"].endswith("/upload")
        # in a thread: it reads a folder, for which all pages would wait
        if is_upload and not await run_in_threadpool(self._takes, _length(scope)):
            answer = _refusal(scope)
        await answer(scope, receive, send)

    def _takes(self, size: int) -> bool:
        with self._lock:
            most = LIMITS.max_uploads_bytes
            if time.monotonic() - self._looked_at >= _LOOK_EVERY:
                self._bytes = make_room(Path(get_upload_folder()), most - size)
                self._looked_at = time.monotonic()
            if self._bytes + size > most:
                return False
            self._bytes += size
            return True


def make_room(folder: Path, most: int) -> int:
    """Delete the oldest uploads while there are more than `most` bytes; the bytes that are left.

    What came within the last hour stays.
    """
    found: list[tuple[float, int, Path]] = []
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():  # each upload lies in a folder of its own
            with contextlib.suppress(OSError):
                files = [path.stat() for path in entry.rglob("*") if path.is_file()]
                newest = max((one.st_mtime for one in files), default=0.0)
                found.append((newest, sum(one.st_size for one in files), entry))
    total = sum(size for _, size, _ in found)
    before = time.time() - MAY_GO_AFTER
    for newest, size, entry in sorted(found, key=lambda one: one[0]):
        if total <= most or newest > before:
            break
        shutil.rmtree(entry, ignore_errors=True)
        total -= size
    return total


def _refusal(scope: Scope) -> PlainTextResponse:
    """In the language of the page that sends."""
    page = dict(scope["headers"]).get(b"referer", b"").decode("latin-1")
    last = urlsplit(page).path.rstrip("/").rpartition("/")[2]
    with speaking(last if last in LANGUAGES else ENGLISH):
        return PlainTextResponse(strings.UPLOADS_FULL, status_code=507)


def _length(scope: Scope) -> int:
    """Bytes that are coming; a whole upload where the sender does not say."""
    said = dict(scope["headers"]).get(b"content-length", b"")
    return int(said) if said.isdigit() else int(LIMITS.max_upload[:-2]) * 10**6
