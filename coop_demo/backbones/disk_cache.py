"""Features kept between runs, in one SQLite file: yesterday's pictures are not encoded today.

What is in it was made from pictures and can be made again, so nothing here ever raises: a file
that is locked, damaged, full or not allowed is passed over, and a damaged entry is as good as
none. Names of pictures are not kept, and keys are hashes: nobody can list what was encoded.

SQLite's write-ahead log lets several processes read while one writes, and takes a half-written
entry back when its process was killed. It needs a folder on this computer's own disk: for a home
on a network drive set COOP_DEMO_CACHE to another.
"""

import contextlib
import hashlib
import math
import os
import sqlite3
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from coop_demo.settings import CACHE_BYTES, cache_folder

T = TypeVar("T")

FILE_NAME = "features.sqlite"

_TABLES = """
CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, used INTEGER, value BLOB);
CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used);
CREATE TABLE IF NOT EXISTS files (key BLOB PRIMARY KEY, used INTEGER, content TEXT);
"""
_BUSY_SECONDS = 2.0  # for another process's write, which takes a fraction of that
_FLUSH_BYTES = 8 * 2**20  # written at once; a kill loses so much and no more
_TOUCH_SECONDS = 3600  # the time of use is this exact, so that reading seldom writes
_ROOM_LEFT = 0.9  # of the bound, once something had to leave: not a little with every write
_FAILURES = 5  # in a row, before the file is left alone: each may cost `_BUSY_SECONDS`
_DTYPES = {b"f": torch.float32, b"h": torch.float16}
_ROW_BYTES = 60  # of an entry beside its value, about


@dataclass(frozen=True)
class CacheSize:
    """What lies in a cache: features and looks, files known by their bytes, and bytes used."""

    n_features: int
    n_files: int
    n_bytes: int


class DiskCache:
    """Tensors and contents of files by text keys, the least recently used leave first.

    Safe to use from several threads and by several processes. Nothing is opened, and no folder
    made, before the first use. What was put is written with the next `flush`.

    Args:
        folder: where its file lies.
        max_bytes: what may lie in it; None is no bound.
    """

    def __init__(self, folder: str | Path, max_bytes: int | None = CACHE_BYTES) -> None:
        self.path = Path(folder) / FILE_NAME
        self.max_bytes = max_bytes
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._database: sqlite3.Connection | None = None
        self._given_up = False
        self._failures = 0
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._new: dict[bytes, bytes] = {}
        self._new_bytes = 0
        self._new_files: dict[bytes, str] = {}
        self._used: dict[str, set[bytes]] = {"entries": set(), "files": set()}
        self._damaged: set[bytes] = set()

    # ---- features

    def get(self, key: str) -> Tensor | None:
        """What was put under a key, (…) of float32 or float16; None when it is not there."""
        name = _hash(key)

        def read(database: sqlite3.Connection) -> Tensor | None:
            packed = self._new.get(name) or self._row(database, "entries", "value", name)
            if packed is None:
                return None
            value = _unpacked(name, packed)
            if value is None:
                self._damaged.add(name)
            return value

        return self._try(read)

    def put(self, key: str, value: Tensor) -> None:
        """Keep a tensor of float32 or float16; of another kind nothing is kept."""
        name = _hash(key)
        packed = _packed(name, value)
        if packed is None or self._given_up:
            return
        with self._lock:
            if name not in self._new:
                self._new[name] = packed
                self._new_bytes += len(packed)
        if self._new_bytes >= _FLUSH_BYTES:
            self.flush()

    # ---- files

    def content_of(self, file: str) -> str | None:
        """The content hash of the picture in a file of this name, where it was decoded before."""
        name = _hash(file)

        def read(database: sqlite3.Connection) -> str | None:
            content = self._new_files.get(name) or self._row(database, "files", "content", name)
            return content if isinstance(content, str) else None

        return self._try(read)

    def put_content(self, file: str, content: str) -> None:
        """Remember which picture is in a file; `file` names its bytes and what decodes them."""
        if not self._given_up:
            with self._lock:
                self._new_files[_hash(file)] = content

    # ---- the whole

    def flush(self) -> None:
        """Write what was put, and when entries were used last."""
        if self._new or self._new_files or self._damaged or any(self._used.values()):
            self._try(self._write)

    def size(self) -> CacheSize | None:
        """What lies in it; None when it cannot be read. A cache that is not there is empty."""

        def read(database: sqlite3.Connection) -> CacheSize:
            n_features, n_files = (
                database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("entries", "files")
            )
            return CacheSize(n_features, n_files, _bytes_used(database))

        return self._try(read) if self.path.is_file() else CacheSize(0, 0, 0)

    def clear(self) -> bool:
        """Take everything out; a file that is no cache any more is deleted. Whether that worked."""

        def take_out(database: sqlite3.Connection) -> bool:
            database.execute("DELETE FROM entries")
            database.execute("DELETE FROM files")
            with contextlib.suppress(sqlite3.Error):  # another process reads: free pages stay
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return True

        if not self.path.is_file() or self._try(take_out):
            return True
        self.close()
        try:
            for ending in ("", "-wal", "-shm"):
                self.path.with_name(FILE_NAME + ending).unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Write what is left and let go of the file; the next use opens it again."""
        self.flush()
        with self._lock, contextlib.suppress(sqlite3.Error):
            database = self._database
            self._start()
            if database is not None:
                database.close()

    # ---- inside

    def _try(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """`work` on the open file, one thread at a time; None where the file cannot be used."""
        if self._pid != os.getpid():  # forked: neither lock nor connection may be shared
            _INHERITED.append(self._database)
            self._start()
        with self._lock:
            if self._given_up:
                return None
            try:
                if self._database is None:
                    self._database = self._opened()
                result = work(self._database)
            except (sqlite3.Error, OSError):
                self._failures += 1
                self._given_up = self._database is None or self._failures >= _FAILURES
                return None
            self._failures = 0
            return result

    def _write(self, database: sqlite3.Connection) -> None:
        now = int(time.time())
        new, files, used, damaged = self._new, self._new_files, self._used, self._damaged
        self._forget_pending()  # whatever comes of it: what cannot be written is not kept
        database.execute("BEGIN IMMEDIATE")
        try:
            database.executemany("DELETE FROM entries WHERE key = ?", [(one,) for one in damaged])
            database.executemany(
                "INSERT OR IGNORE INTO entries VALUES (?, ?, ?)",
                [(name, now, value) for name, value in new.items()],
            )
            database.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?)",
                [(name, now, content) for name, content in files.items()],
            )
            for table, names in used.items():
                update = f"UPDATE {table} SET used = ? WHERE key = ?"
                database.executemany(update, [(now, name) for name in names])
            self._make_room(database)
            database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = sqlite3.connect(
            self.path, check_same_thread=False, timeout=_BUSY_SECONDS, isolation_level=None
        )
        with contextlib.suppress(sqlite3.OperationalError):  # another process is just doing it
            database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_TABLES)
        return database

    def _row(
        self, database: sqlite3.Connection, table: str, column: str, name: bytes
    ) -> bytes | str | None:
        query = f"SELECT {column}, used FROM {table} WHERE key = ?"
        row = database.execute(query, (name,)).fetchone()
        if row is None:
            return None
        value, used = row
        if not isinstance(used, int) or used < time.time() - _TOUCH_SECONDS:
            self._used[table].add(name)
        return value

    def _make_room(self, database: sqlite3.Connection) -> None:
        if self.max_bytes is None or _bytes_used(database) <= self.max_bytes:
            return
        wanted = _bytes_used(database) - _ROOM_LEFT * self.max_bytes
        leaving = []
        rows = database.execute("SELECT rowid, length(value) FROM entries ORDER BY used, rowid")
        for row, length in rows:
            if wanted <= 0:
                break
            leaving.append((row,))
            wanted -= (length or 0) + _ROW_BYTES
        rows.close()  # a query that is still open would hold the transaction
        database.executemany("DELETE FROM entries WHERE rowid = ?", leaving)
        # files whose features have left, or leave soon
        database.execute(
            "DELETE FROM files WHERE used < coalesce((SELECT min(used) FROM entries), 1 << 62)"
        )


_INHERITED: list[sqlite3.Connection | None] = []  # a fork's, which must not even be closed


def user_cache() -> DiskCache | None:
    """The cache in the user's folder, or where COOP_DEMO_CACHE says; None where it is off."""
    folder = cache_folder()
    return None if folder is None else DiskCache(folder)


def _bytes_used(database: sqlite3.Connection) -> int:
    size, pages, free = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_size", "page_count", "freelist_count")
    )
    return size * (pages - free)


def _hash(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _packed(name: bytes, value: Tensor) -> bytes | None:
    """A tensor as bytes: check sum, kind of number, number of sides, sides, numbers."""
    kind = next((kind for kind, dtype in _DTYPES.items() if dtype == value.dtype), None)
    if kind is None or value.device.type != "cpu" or value.ndim > 8:
        return None
    sides = struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
    body = kind + sides + value.detach().contiguous().numpy().tobytes()
    return _check_sum(name, body) + body


def _unpacked(name: bytes, packed: bytes | str) -> Tensor | None:
    """The tensor of `_packed`; None when it is damaged or another key's."""
    if not isinstance(packed, bytes) or len(packed) < 10:
        return None
    body = packed[8:]
    if _check_sum(name, body) != packed[:8]:
        return None
    dtype, ndim = _DTYPES[body[:1]], body[1]
    shape = struct.unpack_from(f"<{ndim}I", body, 2)
    if math.prod(shape) == 0:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(body[2 + 4 * ndim :]), dtype=dtype).view(shape)


def _check_sum(name: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=8, key=name).digest()
