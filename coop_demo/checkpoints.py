"""Files that keep what was learned: safetensors with a JSON description, for prompts and rankers.

A file holds tensors and, in its metadata under the kind's own key, one JSON object with a format,
a version and what the kind adds. It is checked before any tensor is read, written whole or not at
all, and never unpickled.
"""

import contextlib
import errno
import json
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from coop_demo.errors import UserError
from coop_demo.letters import printable

_MOST_LETTERS = 1_000


@dataclass(frozen=True)
class CheckpointKind:
    """One kind of file, and how its errors speak.

    `noun` is the key in the metadata and the word in the sentences.
    """

    noun: str
    format: str
    version: int
    max_bytes: int
    error: type[UserError]

    def to_bytes(self, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> bytes:
        """The file's contents; `description` is plain values without NaN."""
        metadata = {"format": self.format, "version": self.version, **description}
        return safetensors.torch.save(
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            {self.noun: json.dumps(metadata, allow_nan=False)},
        )

    def write(self, contents: bytes, path: str | Path) -> Path:
        """Write a file in one move; the folder is made if it is not there.

        Where nothing can be put beside it (a single mounted file), it is written in place.

        Raises:
            UserError: the kind's own, when it cannot be written.
        """
        path = Path(path)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(contents)
            os.replace(unfinished, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            try:
                path.write_bytes(contents)
            except OSError:
                raise self._unwritable(path, error) from error
        return path

    def check_writable(self, path: str | Path) -> None:
        """Raise where `write` could not write; for before a long training."""
        path = Path(path)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            beside.write_bytes(b"")
            beside.unlink()
        except OSError as error:
            try:  # in place, then
                with open(path, "ab"):
                    pass
            except OSError:
                raise self._unwritable(path, error) from error

    def read(self, path: Path) -> tuple[dict[str, Any], list[str]]:
        """The description and the names of the tensors; no tensor is read.

        Raises:
            UserError: the kind's own: no such file, too large, of another kind or version.
        """
        if not path.is_file():
            raise self.error(f'There is no {self.noun} file "{path}". Check its name.')
        size = path.stat().st_size
        if not 0 < size <= self.max_bytes:
            raise self.error(
                f'"{path.name}" is {size:,} bytes; a saved {self.noun} has between 1 byte and '
                f"{self.max_bytes // 2**20} MB. Choose a file saved by this app."
            )
        try:
            with safe_open(str(path), "pt") as file:
                header = (file.metadata() or {}).get(self.noun, "")
                tensors = list(file.keys())
        except (SafetensorError, OSError) as error:
            raise self.error(
                f'"{path.name}" is not a {self.noun} saved by this app. Choose a .safetensors '
                f"file that was saved with Save {self.noun}."
            ) from error
        try:
            description = json.loads(header)
            is_ours = description["format"] == self.format and _is_sane(description)
        except (ValueError, RecursionError, KeyError, TypeError):
            is_ours = False
        if not is_ours:
            raise self.error(
                f'"{path.name}" is a safetensors file but not a {self.noun} saved by this app. '
                f"Choose a file that was saved with Save {self.noun}."
            )
        if description.get("version") != self.version:
            raise self.error(
                f'"{path.name}" was saved by another version of this app (format '
                f"{description.get('version')}, this one reads {self.version}). Train the "
                f"{self.noun} again."
            )
        return description, tensors

    def damaged(self, path: Path, why: str) -> UserError:
        """The error for a file whose parts do not belong together."""
        return self.error(
            f'"{path.name}" is damaged: {why.rstrip(".")}. Save the {self.noun} again and load '
            "that."
        )

    def _unwritable(self, path: Path, error: OSError) -> UserError:
        return self.error(
            f'The {self.noun} cannot be written to "{path}": {error.strerror}. Choose another '
            "place."
        )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file; SafetensorError or OSError when they cannot be read."""
    with safe_open(str(path), "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _is_sane(value: Any, depth: int = 64) -> bool:
    """Whether numbers are of a size, and lists of a depth, that anything of ours could have."""
    if isinstance(value, dict):
        return depth > 0 and all(_is_sane(one, depth - 1) for one in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_is_sane(one, depth - 1) for one in value)
    return not isinstance(value, int) or abs(value) < 2**53


def is_shown_name(text: str) -> bool:
    """Whether a name or title may stand on a page: of a sane length, and nothing in it unseen."""
    return len(text) <= _MOST_LETTERS and printable(text) == text


def is_history(entries: Any) -> bool:
    """Whether this is a list of measurements: objects of finite numbers, None where unknown."""
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and all(v is None or _is_finite(v) for v in entry.values())
        for entry in entries
    )


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False
