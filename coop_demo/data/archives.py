"""A zip from a stranger -> the files wanted from it, within bounds and never outside them.

Sizes in a zip's headers are claims, so they only serve to refuse early; what is unpacked is
counted as it comes. No path from the archive is ever used on disk.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coop_demo.errors import DatasetError
from coop_demo.settings import LIMITS

_CHUNK_BYTES = 2**20
_DIRECTORY_BYTES_PER_FILE = 1024  # a usual entry of the central directory takes some 100 bytes
_RATIO_MATTERS_ABOVE = 2**20  # a tiny file of zeros is no bomb, however well it packs
# What zipfile raises on damaged bytes, found by feeding it some: ValueError covers bad names too.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    OverflowError,
    RuntimeError,  # and NotImplementedError: flags and versions zipfile does not know
)
_AGAIN = "Zip the folder again and add that."


@dataclass(frozen=True)
class ArchiveContents:
    """What was taken from a zip."""

    files: tuple[tuple[tuple[str, ...], bytes | Path], ...]  # (path parts, content), sorted
    folders: tuple[tuple[str, ...], ...]  # path parts of folders the zip lists by themselves
    problems: tuple[str, ...]  # a sentence for each wanted file that could not be unpacked


def read_archive(
    path: str | Path, *, wanted: Callable[[str], bool], into: Path | None = None
) -> ArchiveContents:
    """Unpack the wanted files of a zip into memory, or as numbered files into a folder.

    Hidden files and macOS's `__MACOSX` folder are passed over. A damaged entry costs itself only.

    Args:
        path: the zip file.
        wanted: says by a file's name (no folders) whether to unpack it.
        into: an existing folder that takes the files under names of our own; None keeps bytes.

    Raises:
        DatasetError: not a zip, encrypted, packed by another method than deflate, with absolute
            paths, `..` or symbolic links in it, or beyond LIMITS.max_zip_files,
            LIMITS.max_zip_bytes or LIMITS.max_zip_ratio.
    """
    path = Path(path)
    label = f'"{path.name}"'
    try:
        with path.open("rb") as raw:
            return _read(raw, label, wanted, into)
    except _LongRead:
        raise _too_many(label, "far more") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DatasetError(
            f"{label} cannot be opened ({reason}). Check that the file is there and readable."
        ) from error


def _read(
    raw: io.BufferedReader, label: str, wanted: Callable[[str], bool], into: Path | None
) -> ArchiveContents:
    limit = max(_CHUNK_BYTES, LIMITS.max_zip_files * _DIRECTORY_BYTES_PER_FILE)
    try:
        archive = zipfile.ZipFile(_BoundedReader(raw, limit))  # type: ignore[arg-type]
    except _DAMAGE as error:
        raise DatasetError(f"{label} is not a zip archive that can be read. {_AGAIN}") from error

    with archive:
        infos = archive.infolist()
        _refuse_unsafe(infos, label)
        files: list[tuple[tuple[str, ...], bytes | Path]] = []
        folders: list[tuple[str, ...]] = []
        problems: list[str] = []
        total = 0
        for info in infos:
            parts = _parts(info)
            if not parts or any(part.startswith(".") or part == "__MACOSX" for part in parts):
                continue
            if info.is_dir():
                folders.append(parts)
                continue
            if not wanted(parts[-1]):
                continue
            try:
                data = _unpack(archive, info, LIMITS.max_zip_bytes - total, label)
            except _DAMAGE:
                problems.append(f'"{"/".join(parts)}" is damaged inside {label}; it was left out.')
                continue
            total += len(data)
            if len(data) > LIMITS.max_file_bytes:
                problems.append(
                    f'"{"/".join(parts)}" is larger than {LIMITS.max_file_bytes / 2**20:.0f} MB; '
                    f"it was left out."
                )
                continue
            files.append((parts, data if into is None else _store(data, parts, into, len(files))))
    return ArchiveContents(
        tuple(sorted(files, key=lambda file: file[0])), tuple(sorted(folders)), tuple(problems)
    )


def _refuse_unsafe(infos: list[zipfile.ZipInfo], label: str) -> None:
    """Refuse the whole archive by its headers, before a byte is unpacked."""
    if len(infos) > LIMITS.max_zip_files:
        raise _too_many(label, f"{len(infos):,}")
    for info in infos:
        shown = f'"{info.filename[:200]}"'
        name = info.filename.replace("\\", "/")
        if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
            raise DatasetError(
                f"{label} holds the path {shown}, which points outside the archive. Remove that "
                f"file, zip the folder again and add that."
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DatasetError(
                f"{label} holds the symbolic link {shown}. Replace it by the file itself, zip the "
                f"folder again and add that."
            )
        if info.flag_bits & 0x1:
            raise DatasetError(f"{label} is protected by a password. Zip it without one.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # zipfile unpacks other methods without a bound on the memory they take.
            raise DatasetError(
                f"{label} is packed by a method other than deflate. Zip the folder again with the "
                f"usual settings and add that."
            )
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > _RATIO_MATTERS_ABOVE and ratio > LIMITS.max_zip_ratio:
            raise DatasetError(
                f"{label}: {shown} unpacks to {ratio:,.0f} times its size, as a zip bomb does; at "
                f"most {LIMITS.max_zip_ratio} times is taken. Remove it, zip the folder again and "
                f"add that."
            )
    if sum(info.file_size for info in infos) > LIMITS.max_zip_bytes:
        raise _too_large(label)


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, room: int, label: str) -> bytes:
    """Read one entry, at most one byte more than a picture may have; refuse at `room` bytes."""
    chunks: list[bytes] = []
    n_bytes = 0
    with archive.open(info) as stream:
        while n_bytes <= LIMITS.max_file_bytes:
            chunk = stream.read(min(_CHUNK_BYTES, LIMITS.max_file_bytes + 1 - n_bytes))
            if not chunk:
                break
            n_bytes += len(chunk)
            if n_bytes > room:
                raise _too_large(label)
            chunks.append(chunk)
    return b"".join(chunks)


def _store(data: bytes, parts: tuple[str, ...], into: Path, index: int) -> Path:
    suffix = PurePosixPath(parts[-1]).suffix.lower()
    # A suffix cannot hold a slash, but anything odd in it is not wanted on disk either.
    target = into / f"{index:05d}{suffix if suffix[1:].isalnum() and len(suffix) < 8 else ''}"
    target.write_bytes(data)
    return target


def _parts(info: zipfile.ZipInfo) -> tuple[str, ...]:
    name = info.filename
    if not info.flag_bits & 0x800:
        # Without the UTF-8 flag zipfile reads names as cp437; macOS leaves out the flag.
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _too_many(label: str, count: str) -> DatasetError:
    return DatasetError(
        f"{label} holds {count} files; at most {LIMITS.max_zip_files:,} are taken. Put fewer "
        f"pictures into it."
    )


def _too_large(label: str) -> DatasetError:
    return DatasetError(
        f"{label} unpacks to more than {LIMITS.max_zip_bytes / 2**20:.0f} MB, the most that is "
        f"taken. Put fewer or smaller pictures into it."
    )


class _LongRead(Exception):
    """The archive asked for a read that only a huge table of contents needs."""


class _BoundedReader:
    """A file for zipfile that refuses long reads.

    zipfile reads the whole table of contents at once and builds an object for each entry before
    anyone can count them; two million empty entries fit into 100 MB.
    """

    def __init__(self, stream: io.BufferedReader, limit: int) -> None:
        self._stream = stream
        self._limit = limit

    def read(self, size: int = -1) -> bytes:
        longest = self._limit + 1
        data = self._stream.read(longest if size < 0 else min(size, longest))
        if len(data) > self._limit:
            raise _LongRead
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True
