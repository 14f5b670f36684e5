"""Features of a benchmark kept on disk, so that a resumed run encodes nothing twice."""

import sqlite3
from pathlib import Path

import torch
from torch import Tensor

from coop_demo.backbones.features import FeatureCache


class StoredFeatures(FeatureCache):
    """A feature cache that also lies on disk, in one SQLite file in a folder.

    What was put is safe after the next commit, every few hundred features; a kill loses those
    only. A file that is damaged or cannot be written is passed over: features can be computed
    again.
    """

    _COMMIT_EVERY = 256

    def __init__(self, folder: str | Path, max_bytes: int = 256 * 2**20) -> None:
        super().__init__(max_bytes)
        self._pending = 0
        self._database: sqlite3.Connection | None = None
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                folder / "features.sqlite", check_same_thread=False, timeout=10
            )
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS features (key TEXT PRIMARY KEY, value BLOB NOT NULL)"
            )
        except (OSError, sqlite3.Error):
            self._database = None

    def get(self, key: tuple) -> Tensor | None:
        value = super().get(key)
        if value is not None or self._database is None:
            return value
        try:
            query = "SELECT value FROM features WHERE key = ?"
            row = self._database.execute(query, (_text_key(key),)).fetchone()
        except sqlite3.Error:
            return None
        if row is None or len(row[0]) % 4:
            return None
        value = torch.frombuffer(bytearray(row[0]), dtype=torch.float32)
        super().put(key, value)
        return value

    def put(self, key: tuple, value: Tensor) -> None:
        super().put(key, value)
        # spatial tokens are large and no benchmark needs them
        if self._database is None or value.ndim != 1 or value.dtype != torch.float32:
            return
        try:
            self._database.execute(
                "INSERT OR IGNORE INTO features VALUES (?, ?)",
                (_text_key(key), value.contiguous().numpy().tobytes()),
            )
            self._pending += 1
            if self._pending >= self._COMMIT_EVERY:
                self._database.commit()
                self._pending = 0
        except sqlite3.Error:
            self.close()

    def close(self) -> None:
        """Write what is pending; the cache goes on in memory."""
        database, self._database = self._database, None
        if database is not None:
            try:
                database.commit()
                database.close()
            except sqlite3.Error:
                pass  # nothing is lost that cannot be computed again


def _text_key(key: tuple) -> str:
    return "|".join(str(part) for part in key)
