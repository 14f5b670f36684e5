"""All sessions: found by their key, bounded in number, age and disk.

Where a folder is named for it, a session lies on disk as it is made (see `keeping/`): it comes
back after a restart, and leaves the memory when it was not used for a while.
"""

import contextlib
import logging
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from coop_demo.errors import UserError
from coop_demo.languages import keeping as say
from coop_demo.languages import page as strings
from coop_demo.settings import LIMITS
from coop_demo.ui.keeping.sections import Keeper, drop_strays, read_sections
from coop_demo.ui.keeping.shelf import OpenElsewhereError, Place, Shelf, folder_bytes
from coop_demo.ui.session import PICTURES, Session

STORAGE_KEY = "coop-studio"  # of the session's key in the browser

log = logging.getLogger(__name__)

MAX_SESSIONS = 200  # of a few hundred KB each: features are in the process-wide cache
MAX_IDLE_SECONDS = 12 * 3600  # a class comes back after lunch; nobody comes back after a night
MEMORY_IDLE_SECONDS = 3600  # from then on a session that is kept lies on disk only
MAKE_ROOM_SECONDS = 600  # unused so long, a session gives its place to somebody who is here
_KEY_BYTES = 24
_KEY = re.compile(r"[A-Za-z0-9_-]{32}")
_TOUCH_EVERY = 60.0  # seconds


@dataclass
class _Kept:
    """A session's place on the shelf, and what writes there."""

    place: Place
    keeper: Keeper
    touched: float = 0.0
    is_failing: bool = False


class SessionStore:
    """All sessions.

    Args:
        home: where sessions are kept; None keeps them in memory, and their pictures in a folder
            that goes when the app ends.
    """

    def __init__(
        self,
        default_backbone: str,
        *,
        capacity: int = MAX_SESSIONS,
        max_idle_seconds: float = MAX_IDLE_SECONDS,
        memory_idle_seconds: float = MEMORY_IDLE_SECONDS,
        max_disk_bytes: int = LIMITS.max_all_sessions_bytes,
        home: Path | None = None,
    ) -> None:
        self.default_backbone = default_backbone
        self.capacity = capacity
        self.max_idle_seconds = max_idle_seconds
        self.memory_idle_seconds = memory_idle_seconds
        self.max_disk_bytes = max_disk_bytes
        self.shelf = _shelf(home)
        self._home = tempfile.TemporaryDirectory(prefix="coop-studio-")  # gone when the app ends
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.RLock()

    def open(self, key: object) -> Session:
        """The session of this key, or a new one when the key is unknown here.

        Raises:
            UserError: another app that shares the folder has it open.
        """
        with self._lock:
            session = self._find(key) or self._new()
            self._touch(session)
            self._forget_old(keep=session)
            return session

    def get(self, key: object) -> Session:
        """Raises UserError when the session is not (or no longer) here."""
        with self._lock:
            session = self._find(key)
            if session is None:
                raise UserError(strings.SESSION_GONE if key else strings.STILL_OPENING)
            self._touch(session)
            return session

    def keep(self, session: Session) -> str:
        """Write to disk what changed; a sentence when that fails from now on, else "".

        Nothing is lost then: the work goes on in memory.
        """
        kept = self._kept.get(session.key)
        if kept is None:
            return ""
        try:
            kept.keeper.write(session)
        except (OSError, UserError) as error:
            if kept.is_failing:
                return ""
            kept.is_failing = True
            log.warning("a session cannot be kept: %s", error)
            reason = getattr(error, "strerror", None) or str(error)
            return say.not_kept(reason)
        kept.is_failing = False
        return ""

    def forget(self, session: Session) -> None:
        """Delete everything of a session, in memory and on disk."""
        with self._lock:
            session.stop.set()  # what still runs ends, and finds no place to write to
            self._drop(session, forever=True)

    def has_room(self, size: int) -> bool:
        """Whether so many more bytes of pictures fit beside everybody's.

        Sessions that nobody used for a while make room, the longest unused first.
        """
        with self._lock:
            if self._bytes() + size <= self.max_disk_bytes:
                return True
            now = time.monotonic()
            for session in list(self._sessions.values()):
                resting = now - session.last_used > MAKE_ROOM_SECONDS and not session.training
                if resting and session.disk_bytes:
                    self._drop(session, forever=True)
                    if self._bytes() + size <= self.max_disk_bytes:
                        return True
            return False

    def _bytes(self) -> int:
        """Of everybody's pictures, in use and at rest."""
        in_use = sum(session.disk_bytes for session in self._sessions.values())
        if self.shelf is None:
            return in_use
        return in_use + self.shelf.bytes_beside({one.place.folder for one in self._kept.values()})

    def __len__(self) -> int:
        return len(self._sessions)

    def _find(self, key: object) -> Session | None:
        if not isinstance(key, str):
            return None
        return self._sessions.get(key) or self._from_disk(key)

    def _new(self) -> Session:
        key = secrets.token_urlsafe(_KEY_BYTES)
        session = Session(key, self._folder(), self.default_backbone, room=self.has_room)
        if self.shelf is not None:
            try:
                place = self.shelf.take(key)
            except OSError as error:
                log.warning("a session cannot be kept: %s", error)
            else:
                session.kept = place.folder
                self._kept[key] = _Kept(place, Keeper(place.folder))
        self._sessions[key] = session
        return session

    def _from_disk(self, key: str) -> Session | None:
        if self.shelf is None or not _KEY.fullmatch(key) or not self.shelf.has(key):
            return None
        try:
            place = self.shelf.take(key)
        except OpenElsewhereError:
            raise UserError(say.OPEN_ELSEWHERE) from None
        except OSError as error:
            log.warning("a kept session cannot be opened: %s", error)
            return None
        session = Session(
            key, self._folder(), self.default_backbone, kept=place.folder, room=self.has_room
        )
        found = read_sections(place.folder)
        found.put(session)
        session.problems = (*session.problems, *found.problems)
        for path in found.unreadable:  # another version of the app may yet read it
            with contextlib.suppress(OSError):
                path.replace(path.with_suffix(".unreadable"))
        drop_strays(session)
        session.disk_bytes = folder_bytes(place.folder / PICTURES)
        kept = _Kept(place, Keeper(place.folder))
        kept.keeper.know(session, found)
        self._kept[key] = kept
        self._sessions[key] = session
        return session

    def _folder(self) -> Path:
        folder = Path(self._home.name) / secrets.token_hex(8)  # not the key: it is secret
        folder.mkdir()
        return folder

    def _touch(self, session: Session) -> None:
        now = session.last_used = time.monotonic()
        self._sessions.move_to_end(session.key)
        kept = self._kept.get(session.key)
        if kept is not None and now - kept.touched > _TOUCH_EVERY:
            kept.touched = now
            with contextlib.suppress(OSError):
                kept.place.used()

    def _forget_old(self, *, keep: Session) -> None:
        now = time.monotonic()
        disk = sum(session.disk_bytes for session in self._sessions.values())
        for session in list(self._sessions.values()):  # the longest unused first
            unused = now - session.last_used
            too_much = disk > self.max_disk_bytes
            too_many = len(self._sessions) > self.capacity
            is_kept = session.key in self._kept
            resting = is_kept and (too_many or unused > self.memory_idle_seconds)
            old = too_much or unused > self.max_idle_seconds or (too_many and not is_kept)
            if session is keep or session.training or not (old or resting):
                continue
            disk -= session.disk_bytes
            self._drop(session, forever=old)
        if self.shelf is not None:
            self.shelf.tidy(max_idle_seconds=self.max_idle_seconds, max_bytes=self.max_disk_bytes)

    def _drop(self, session: Session, *, forever: bool) -> None:
        """Out of memory, and where it is forever, off the disk too."""
        if not forever:
            self.keep(session)
        self._sessions.pop(session.key, None)
        kept = self._kept.pop(session.key, None)
        if kept is not None and self.shelf is not None:
            if forever:
                self.shelf.delete(kept.place)
            else:
                kept.place.close()
        shutil.rmtree(session.folder, ignore_errors=True)


def _shelf(home: Path | None) -> Shelf | None:
    if home is None:
        return None
    try:
        return Shelf(home)
    except OSError as error:
        log.warning("nothing is kept between runs: %s: %s", home, error)
        return None
