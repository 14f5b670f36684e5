"""The folder in which sessions outlive the app: one folder each, locked while it is in use.

A folder is called by a hash of the session's key, since names are seen by others and the key is
secret. Several apps may share the shelf: none opens or deletes what another has open.
"""

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

_LOCK, _USED = "lock", "used"  # files of a session's folder
_LOOK_EVERY = 60.0  # seconds between two looks at everything that is kept


class OpenElsewhereError(Exception):
    """Another app that shares the shelf has this session open."""


@dataclass
class Place:
    """A session's folder while it is this app's."""

    folder: Path
    lock: FileLock = field(repr=False)

    def used(self) -> None:
        """It was used just now; raises OSError."""
        (self.folder / _USED).touch()

    def close(self) -> None:
        self.lock.release()


class Shelf:
    """All sessions that are kept on this computer."""

    def __init__(self, home: Path) -> None:
        """Raises OSError: the folder cannot be made or written to."""
        self.home = home
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
        self._looked = -_LOOK_EVERY
        self._lock = threading.Lock()
        self._sizes: dict[Path, int] = {}  # of every session's folder, when they were looked at

    def folder_of(self, key: str) -> Path:
        return self.home / hashlib.sha256(key.encode()).hexdigest()[:40]

    def has(self, key: str) -> bool:
        return (self.folder_of(key) / _USED).is_file()

    def take(self, key: str) -> Place:
        """The folder of a session, made if it is not there.

        Raises:
            OpenElsewhereError: another app has it.
            OSError: it cannot be made.
        """
        folder = self.folder_of(key)
        folder.mkdir(exist_ok=True, mode=0o700)
        place = Place(folder, FileLock(folder / _LOCK))
        try:
            place.lock.acquire(blocking=False)
        except Timeout as error:
            raise OpenElsewhereError from error
        place.used()
        return place

    def delete(self, place: Place) -> None:
        """Everything of it, at once."""
        with contextlib.suppress(OSError):
            (place.folder / _USED).unlink()  # first: half a session is none
        place.close()
        shutil.rmtree(place.folder, ignore_errors=True)
        self._sizes.pop(place.folder, None)

    def bytes_beside(self, folders: Set[Path]) -> int:
        """Of all other folders, as far as they were looked at."""
        return sum(size for folder, size in self._sizes.copy().items() if folder not in folders)

    def tidy(self, *, max_idle_seconds: float, max_bytes: int) -> None:
        """Delete what was not used for so long, then the longest unused while all is too much.

        What this or another app has open stays. Looks only now and then.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._looked < _LOOK_EVERY:
                return
            self._looked = now
        kept = sorted(self._kept())
        self._sizes = {folder: size for _, size, folder in kept}
        total = sum(size for _, size, _ in kept)
        for used, size, folder in kept:
            if time.time() - used > max_idle_seconds or total > max_bytes:
                total -= size if self._delete_unused(folder) else 0

    def _kept(self) -> Iterator[tuple[float, int, Path]]:
        """When each was last used, its bytes, and its folder."""
        for folder in self.home.iterdir():
            if not folder.is_dir():
                continue
            with contextlib.suppress(OSError):
                mark = folder / _USED
                used = (mark if mark.is_file() else folder).stat().st_mtime
                yield used, folder_bytes(folder), folder

    def _delete_unused(self, folder: Path) -> bool:
        lock = FileLock(folder / _LOCK)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):
            return False
        self.delete(Place(folder, lock))
        return not folder.exists()


def folder_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total
