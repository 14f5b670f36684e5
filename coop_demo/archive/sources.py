"""Where an archive's pictures lie: a folder with all below it, a list of them, or an address.

    source = open_source("/mnt/photographs")
    for entry in source.entries():
        data = source.read(entry.path)

A source is listed as it is walked and never held in memory. Its paths are whole: absolute, or
addresses (`s3://bucket/a.jpg`), so that an index may grow from several sources.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from coop_demo.data.images import is_picture_name
from coop_demo.errors import ArchiveError
from coop_demo.settings import LIMITS

PATH_COLUMNS = ("path", "image", "picture", "file", "filename", "url")
LABEL_COLUMNS = ("label", "class", "class_name", "category")


@dataclass(frozen=True)
class Entry:
    """One picture of a source."""

    path: str
    n_bytes: int = 0  # 0 where the source does not say
    label: str | None = None  # of a manifest that has labels


class Source(Protocol):
    """Lists pictures, and reads one."""

    @property
    def name(self) -> str:
        """As the person gave it."""
        ...

    def entries(self) -> Iterator[Entry]:
        """All pictures, always in the same order."""
        ...

    def read(self, path: str) -> bytes:
        """A file's bytes; OSError when it cannot be had."""
        ...

    def check(self) -> None:
        """Raise ArchiveError when the source as a whole is gone."""
        ...


def open_source(given: str) -> Source:
    """The source that a folder, a CSV or an address names.

    Raises:
        ArchiveError: there is no such thing, a list without a column of paths, or an address
            whose package is missing or that carries a password.
    """
    if "://" in given:
        return AddressSource(given)
    path = Path(given).expanduser()
    if path.is_dir():
        return FolderSource(given)
    if path.is_file():
        if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
            raise ArchiveError(
                f'"{given}" is a file. Give a folder, a CSV with a column "path", or an address '
                "such as s3://bucket/folder."
            )
        return ManifestSource(given)
    raise ArchiveError(f'There is no folder or list "{given}". Check the path.')


@dataclass(frozen=True)
class FolderSource:
    """A folder and all folders below it, in the order of their names; hidden ones are left out."""

    name: str

    @property
    def _root(self) -> Path:
        return Path(self.name).expanduser().absolute()

    def entries(self) -> Iterator[Entry]:
        waiting = [str(self._root)]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as found:
                    inside = sorted(found, key=lambda one: one.name)
            except OSError as error:
                if folder == str(self._root):
                    raise _gone(self.name, error) from error
                raise ArchiveError(
                    f'The folder "{folder}" cannot be listed ({error.strerror}). Is the drive '
                    "still there? Start again when it is; what is finished is kept."
                ) from error
            below = []
            for one in inside:
                if one.name.startswith("."):
                    continue
                if one.is_dir(follow_symlinks=False):
                    below.append(one.path)
                elif is_picture_name(one.name) and one.is_file():
                    size = 0
                    with contextlib.suppress(OSError):  # gone since: reading will say so
                        size = one.stat().st_size
                    yield Entry(one.path, size)
            waiting += reversed(below)

    def read(self, path: str) -> bytes:
        return _file_bytes(path)

    def check(self) -> None:
        try:
            with os.scandir(self._root) as found:
                if next(found, None) is not None:
                    return
        except OSError as error:
            raise _gone(self.name, error) from error
        raise ArchiveError(
            f'The folder "{self.name}" is empty now. Is the drive still there? Start again when '
            "it is; what is finished is kept."
        )


@dataclass(frozen=True)
class ManifestSource:
    """A CSV with a column of paths or addresses, and perhaps one of labels.

    Paths start from the list's own folder. A picture that is named twice is taken once.
    """

    name: str
    _addresses: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def entries(self) -> Iterator[Entry]:
        list_file = Path(self.name).expanduser().absolute()
        seen: set[bytes] = set()  # 16 bytes a picture
        try:
            with list_file.open(encoding="utf-8-sig", newline="") as file:
                tabs = list_file.suffix.lower() == ".tsv"
                rows = csv.reader(file, delimiter="\t" if tabs else ",")
                header = [cell.strip().lower() for cell in next(rows, [])]
                at = next((header.index(c) for c in PATH_COLUMNS if c in header), None)
                if at is None:
                    raise ArchiveError(
                        f'"{self.name}" has no column of paths. Name one of its columns "path".'
                    )
                label = next((header.index(c) for c in LABEL_COLUMNS if c in header), None)
                for row in rows:
                    if len(row) <= at or not row[at].strip():
                        continue
                    path = row[at].strip()
                    if "://" not in path:
                        path = os.path.normpath(list_file.parent / path)
                    key = path_digest(path)
                    if key in seen:
                        continue
                    seen.add(key)
                    named = row[label].strip() if label is not None and len(row) > label else ""
                    yield Entry(path, 0, named or None)
        except UnicodeDecodeError as error:
            raise ArchiveError(
                f'"{self.name}" is not UTF-8 text. Save it as "CSV UTF-8" and start again.'
            ) from error
        except csv.Error as error:
            raise ArchiveError(f'"{self.name}" is not a CSV ({error}). Save it again.') from error
        except OSError as error:
            raise _gone(self.name, error) from error

    def read(self, path: str) -> bytes:
        if "://" not in path:
            return _file_bytes(path)
        root = path.partition("://")[0]
        if root not in self._addresses:
            self._addresses[root] = AddressSource(path)
        return self._addresses[root].read(path)

    def check(self) -> None:
        if not Path(self.name).expanduser().is_file():
            raise ArchiveError(f'The list "{self.name}" is not there any more. Check the drive.')


class AddressSource:
    """A folder at an address that fsspec knows: s3://, gs://, http(s)://, memory:// and others.

    Credentials come from the environment, as the address's own package reads them.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        host = name.partition("://")[2].partition("/")[0]
        if "@" in host:
            raise ArchiveError(
                "The address carries a name or a password, which would be written into the "
                "index. Leave it out and set it in the environment."
            )
        self._files: Any = None
        self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "_files": None}  # a worker makes its own connection

    def entries(self) -> Iterator[Entry]:
        files, root = self._open()
        try:
            for folder, folders, inside in files.walk(root, detail=True, on_error="raise"):
                folders_here = sorted(folders)
                if isinstance(folders, dict):  # walked on in this order
                    ordered = {name: folders[name] for name in folders_here if name[:1] != "."}
                    folders.clear()
                    folders.update(ordered)
                for name in sorted(inside):
                    if is_picture_name(name):
                        about = inside[name]
                        path = files.unstrip_protocol(f"{folder.rstrip('/')}/{name}")
                        yield Entry(path, int(about.get("size") or 0))
        except (OSError, ValueError) as error:
            raise _gone(self.name, error) from error

    def read(self, path: str) -> bytes:
        files, _ = self._open()
        try:
            with files.open(path, "rb") as file:
                return file.read(LIMITS.max_file_bytes + 1)
        except OSError:
            raise
        except Exception as error:  # of every package's own kind
            raise OSError(f"{type(error).__name__}: {error}") from error

    def check(self) -> None:
        files, root = self._open()
        try:
            files.info(root)
        except Exception as error:
            raise _gone(self.name, error) from error

    def _open(self) -> tuple[Any, str]:
        if self._files is None:
            try:
                import fsspec
            except ImportError as error:
                raise ArchiveError(
                    "Addresses need the package fsspec, which is not installed. Install it with "
                    '`pip install "coop-demo[scale]"`.'
                ) from error
            try:
                self._files = fsspec.core.url_to_fs(self.name)
            except ImportError as error:
                raise ArchiveError(f'"{self.name}" needs another package: {error}.') from error
            except ValueError as error:
                raise ArchiveError(
                    f'"{self.name}" is no address that can be read ({error}). Give a folder, a '
                    "CSV, or an address such as s3://bucket/folder."
                ) from error
        return self._files


def path_digest(path: str) -> bytes:
    """16 bytes that stand for a path among very many."""
    return hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _file_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(LIMITS.max_file_bytes + 1)


def _gone(name: str, error: Exception) -> ArchiveError:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return ArchiveError(
        f'"{name}" cannot be read ({reason}). Is the drive or the connection still there? Start '
        "again when it is; what is finished is kept."
    )
