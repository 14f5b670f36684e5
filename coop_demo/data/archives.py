"""A zip from a stranger -> the files wanted from it, within bounds and never outside them.

Sizes in a zip's headers are claims, so they only serve to refuse early; what is unpacked is
counted as it comes. No path from the archive is ever used on disk.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from coop_demo.data.code_pages import guessed_code_page
from coop_demo.data.file_kinds import known_kind
from coop_demo.errors import DatasetError
from coop_demo.letters import printable
from coop_demo.settings import LIMITS
from coop_demo.wording import listed

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
# What macOS, Synology, Windows, QNAP and ext4 put beside people's files, thumbnails among it.
_LITTER = frozenset(
    ("__macosx", "@eadir", "$recycle.bin", "system volume information", "#recycle", "lost+found")
)
_UNICODE_PATH = 0x7075  # extra field: version, checksum of the name in the header, UTF-8 name
_NAMES_SHOWN = 3  # of those that were guessed


def is_litter(name: str) -> bool:
    """Whether a file or folder is none of the person's: hidden, or a system's own."""
    return name.startswith(".") or name.lower() in _LITTER


@dataclass(frozen=True)
class ArchiveContents:
    """What was taken from a zip."""

    files: tuple[tuple[tuple[str, ...], bytes | Path], ...]  # (path parts, content), sorted
    folders: tuple[tuple[str, ...], ...]  # path parts of folders the zip lists by themselves
    problems: tuple[str, ...]  # a sentence for each wanted file that could not be unpacked
    notes: tuple[str, ...] = ()  # how names were read where the zip does not say it


def read_archive(
    path: str | Path,
    *,
    wanted: Callable[[str], bool],
    into: Path | None = None,
    zips_inside: bool = False,
) -> ArchiveContents:
    """Unpack the wanted files of a zip into memory, or as numbered files into a folder.

    Hidden files and macOS's `__MACOSX` folder are passed over. A damaged entry costs itself only.
    Names that are not in Unicode are read by the code page that fits them best, with a note.

    Args:
        path: the zip file.
        wanted: says by a file's name (no folders) whether to unpack it.
        into: an existing folder that takes the files under names of our own; None keeps bytes.
        zips_inside: a zip in the zip counts as a folder of its name, one level deep and within
            the same bounds, which hold for all of them together.

    Raises:
        DatasetError: not a zip, encrypted, packed by another method than deflate, with absolute
            paths, `..` or symbolic links in it, or beyond LIMITS.max_zip_files,
            LIMITS.max_zip_bytes or LIMITS.max_zip_ratio.
    """
    path = Path(path)
    label = f'"{printable(path.name)}"'
    try:
        with path.open("rb") as raw:
            unpacker = _Unpacker(label, wanted, into, zips_inside)
            unpacker.read(raw, label)
    except _LongRead:
        raise _too_many(label, "far more") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DatasetError(
            f"{label} cannot be opened ({reason}). Check that the file is there and readable."
        ) from error
    return ArchiveContents(
        tuple(sorted(unpacker.files, key=lambda file: file[0])),
        tuple(sorted(unpacker.folders)),
        tuple(unpacker.problems),
        tuple(unpacker.notes),
    )


class _Unpacker:
    """Takes files out of one zip, and out of the zips in it, within bounds for all together."""

    def __init__(
        self, label: str, wanted: Callable[[str], bool], into: Path | None, zips_inside: bool
    ) -> None:
        self.label, self.wanted, self.into, self.zips_inside = label, wanted, into, zips_inside
        self.files: list[tuple[tuple[str, ...], bytes | Path]] = []
        self.folders: list[tuple[str, ...]] = []
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._n_entries = self._n_bytes = 0

    def read(self, raw: BinaryIO, label: str, *, inside: tuple[str, ...] = ()) -> None:
        """Take the wanted files of a zip; `inside` is the folder it stands for in an outer one."""
        limit = max(_CHUNK_BYTES, LIMITS.max_zip_files * _DIRECTORY_BYTES_PER_FILE)
        try:
            archive = zipfile.ZipFile(_BoundedReader(raw, limit))  # type: ignore[arg-type]
        except _DAMAGE as error:
            raise DatasetError(_no_zip(raw, label)) from error
        with archive:
            infos = archive.infolist()
            self._n_entries += len(infos)
            if self._n_entries > LIMITS.max_zip_files:
                raise _too_many(self.label, f"{self._n_entries:,}")
            _refuse_unsafe(infos, label)
            if self._n_bytes + sum(info.file_size for info in infos) > LIMITS.max_zip_bytes:
                raise _too_large(self.label)
            names, note = _names(infos, label)
            names = [printable(name) for name in names]
            for name in names:  # another name may have been read than the header's
                _refuse_path_outside(name, label)
            self.notes += [note] if note else []
            for info, name in zip(infos, names, strict=True):
                parts = _parts(name)
                if not parts or any(map(is_litter, parts)):
                    continue
                # cat.zip with the one folder cat in it is the folder cat
                again = bool(inside) and len(parts) > 1 and parts[0] == inside[-1]
                parts = (*inside, *parts[again:])
                if info.is_dir():
                    self.folders.append(parts)
                elif self.wanted(parts[-1]):
                    data = self._unpack(archive, info, parts, label)
                    if data is not None:
                        self.files.append((parts, self._kept(data, parts)))
                elif self.zips_inside and not inside and parts[-1].lower().endswith(".zip"):
                    data = self._unpack(archive, info, parts, label)
                    if data is not None:
                        self._read_inner(data, parts)

    def _read_inner(self, data: bytes, parts: tuple[str, ...]) -> None:
        label = f'"{"/".join(parts)}" inside {self.label}'
        # Teachable Machine and others call the pictures of a class cat-samples.zip
        stem = re.sub(r"[-_ ]samples( \(\d+\))?$", "", PurePosixPath(parts[-1]).stem)
        try:
            self.read(io.BytesIO(data), label, inside=(*parts[:-1], stem))
        except _BeyondError:
            raise
        except DatasetError as error:  # it costs itself only
            self.problems.append(str(error))

    def _unpack(
        self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, parts: tuple[str, ...], label: str
    ) -> bytes | None:
        shown = f'"{"/".join(parts)}"'
        try:
            data = _unpack(archive, info, LIMITS.max_zip_bytes - self._n_bytes, self.label)
        except _DAMAGE:
            self.problems.append(f"{shown} is damaged inside {label}; it was left out.")
            return None
        self._n_bytes += len(data)
        if len(data) > LIMITS.max_file_bytes:
            self.problems.append(
                f"{shown} is larger than {LIMITS.max_file_bytes / 2**20:.0f} MB; it was left out."
            )
            return None
        return data

    def _kept(self, data: bytes, parts: tuple[str, ...]) -> bytes | Path:
        return data if self.into is None else _store(data, parts, self.into, len(self.files))


def _no_zip(raw: BinaryIO, label: str) -> str:
    raw.seek(0)
    head = raw.read(512)
    if not head:
        return f"{label} is empty (0 bytes). Copy or download it again."
    known = known_kind(head)
    if known is None:
        return f"{label} is not a zip archive that can be read. {_AGAIN}"
    kind, advice = known
    return f"{label} is {kind}. {advice}"


def _refuse_path_outside(name: str, label: str) -> None:
    plain = name.replace("\\", "/")
    if plain.startswith("/") or re.match("[A-Za-z]:/", plain) or ".." in plain.split("/"):
        raise DatasetError(
            f'{label} holds the path "{name[:200]}", which points outside the archive. Remove that '
            f"file, zip the folder again and add that."
        )


def _refuse_unsafe(infos: list[zipfile.ZipInfo], label: str) -> None:
    """Refuse the whole archive by its headers, before a byte is unpacked."""
    for info in infos:
        shown = f'"{info.filename[:200]}"'
        _refuse_path_outside(info.filename, label)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind == stat.S_IFLNK:
            raise DatasetError(
                f"{label} holds the symbolic link {shown}. Replace it by the file itself, zip the "
                f"folder again and add that."
            )
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DatasetError(
                f"{label} holds {shown}, which is no file but a device or the like. Remove it, zip "
                f"the folder again and add that."
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


def _names(infos: list[zipfile.ZipInfo], label: str) -> tuple[list[str], str]:
    """The entries' names, and a sentence where they were guessed.

    Names are UTF-8 where a flag says so, or where there is a Unicode Path field for that very
    name. Without the flag zipfile reads them as cp437, the zip format's own code page, which
    hardly any program keeps to: macOS writes UTF-8, Windows whatever the computer speaks.
    """
    names = [info.filename for info in infos]
    unsure: dict[int, bytes] = {}  # position -> the name's own bytes
    for position, info in enumerate(infos):
        if info.flag_bits & 0x800 or info.filename.isascii():
            continue
        try:
            raw = info.orig_filename.encode("cp437")
        except UnicodeError:  # a newer Python has read the Unicode Path field itself
            continue
        told = _unicode_path(info.extra, raw)
        if told is not None:
            names[position] = told
            continue
        try:
            names[position] = raw.decode("utf-8")
        except UnicodeError:
            unsure[position] = raw
    if not unsure:
        return names, ""
    guess = guessed_code_page(list(unsure.values()))
    codec, title = guess or ("cp437", "no known alphabet")
    for position, raw in unsure.items():
        names[position] = raw.decode(codec)
    shown = listed(
        list(
            dict.fromkeys(part for at in unsure for part in _parts(names[at]) if not part.isascii())
        ),
        _NAMES_SHOWN,
    )
    advice = "If they are wrong, zip the folder again with a program that writes Unicode names."
    return (
        names,
        f"{label} does not say how its names are written; read as {title}: {shown}. {advice}",
    )


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in the Unicode Path field, if there is one that belongs to the name `raw`."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        body = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == _UNICODE_PATH and len(body) == length > 5 and body[0] == 1:
            if int.from_bytes(body[1:5], "little") != zlib.crc32(raw):
                return None  # the entry was renamed by a program that does not know the field
            try:
                return body[5:].decode("utf-8")
            except UnicodeError:
                return None
    return None


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


class _BeyondError(DatasetError):
    """All zips together are beyond a bound."""


def _too_many(label: str, count: str) -> DatasetError:
    return _BeyondError(
        f"{label} holds {count} files; at most {LIMITS.max_zip_files:,} are taken. Put fewer "
        f"pictures into it."
    )


def _too_large(label: str) -> DatasetError:
    return _BeyondError(
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

    def __init__(self, stream: BinaryIO, limit: int) -> None:
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
