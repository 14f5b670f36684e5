"""An index: what is known of very many pictures, in Parquet files that are written whole or not.

    INDEX/
      mini-0123456789ab/            one folder for each backbone
        index.json                  which backbone, and what its features are
        part-000000.parquet         up to so many pictures each
        part-000001.parquet

A row is a picture: where it lies, its label where a list gave one, the size of its file, the hash
of its pixels, what it looks like (perceptual hash and 4 × 4 colours) and its pooled feature in
fp16; or, where it cannot be read, the sentence that says why. Any program that reads Parquet can
use it. Pages carry check sums, so damage is noticed and never taken for numbers.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coop_demo.archive.sources import path_digest
from coop_demo.backbones.backbone import Backbone
from coop_demo.data.near_copies import Look
from coop_demo.errors import ArchiveError

FORMAT = 1
ABOUT = "index.json"
MISSING = (
    "An index needs the package pyarrow, which is not installed. Install it with "
    '`pip install "coop-demo[scale]"` or `pip install pyarrow`.'
)
_PART = re.compile(r"part-(\d{6,})\.parquet")
_KEY = b"coop_demo"  # of the metadata in each file

Half = NDArray[np.float16]


@dataclass(frozen=True)
class About:
    """Which features an index holds."""

    backbone: str  # identity: name and weights hash
    width: int
    view: str = "centre crop"  # what of a picture is encoded, as for classification
    format: int = FORMAT


@dataclass(frozen=True, eq=False)
class Rows:
    """Pictures of one partition.

    Shape: `features` (N, d) fp16 unit vectors, rows of zeros where `problems` has a sentence.
    """

    paths: tuple[str, ...]
    labels: tuple[str | None, ...]
    n_bytes: tuple[int, ...]
    contents: tuple[str | None, ...]  # content hash
    looks: tuple[Look | None, ...]
    problems: tuple[str | None, ...]
    features: Half

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def readable(self) -> NDArray[np.intp]:
        """Rows that have a feature."""
        return np.array([i for i, said in enumerate(self.problems) if said is None], dtype=np.intp)


class Index:
    """The pictures of one backbone below a folder; opened with `open_index` or `new_index`."""

    def __init__(self, folder: Path, about: About) -> None:
        self.folder, self.about = folder, about

    # ---- reading

    def numbers(self) -> list[int]:
        """Numbers of the partitions that are there, ascending."""
        try:
            names = os.listdir(self.folder)
        except OSError as error:
            raise _unreadable(self.folder, error) from error
        found = (_PART.fullmatch(name) for name in names)
        return sorted(int(match.group(1)) for match in found if match)

    def path_of(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.parquet"

    def read(self, number: int, *, features: bool = True) -> Rows:
        """One partition, checked.

        Args:
            features: False leaves them out (width 0), which is many times quicker.

        Raises:
            ArchiveError: it is damaged or of another model.
        """
        table = self._table(number, None if features else _ALL_BUT_FEATURES)
        n = table.num_rows
        columns = {name: table.column(name) for name in table.column_names}
        looks = [
            None if bits is None else Look(bits, colours)
            for bits, colours in zip(
                columns["phash"].to_pylist(), columns["colours"].to_pylist(), strict=True
            )
        ]
        values = np.zeros((n, 0), np.float16)
        if features:
            flat = columns["features"].combine_chunks().values
            values = flat.to_numpy(zero_copy_only=False).reshape(n, self.about.width)
            values = np.nan_to_num(values)  # rows without a feature
        return Rows(
            tuple(columns["path"].to_pylist()),
            tuple(columns["label"].to_pylist()),
            tuple(columns["bytes"].to_pylist()),
            tuple(columns["content"].to_pylist()),
            tuple(looks),
            tuple(columns["problem"].to_pylist()),
            values.astype(np.float16, copy=False),
        )

    def partitions(self, *, features: bool = True) -> Iterator[Rows]:
        """All partitions, one in memory at a time."""
        for number in self.numbers():
            yield self.read(number, features=features)

    def __len__(self) -> int:
        """Pictures in it, readable or not."""
        total = 0
        for number in self.numbers():
            with _said(self.path_of(number)):
                total += parquet().read_metadata(self.path_of(number)).num_rows
        return total

    def _table(self, number: int, columns: Sequence[str] | None = None) -> Any:
        path = self.path_of(number)
        with _said(path):
            file = parquet().ParquetFile(path, page_checksum_verification=True)
            try:
                table = file.read(columns=columns)
            finally:
                file.close()
        known = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
        if known.get("backbone") != self.about.backbone or known.get("width") != self.about.width:
            raise ArchiveError(
                f'"{path}" holds features of {known.get("backbone", "another program")}, and the '
                f"index is of {self.about.backbone}. Remove that file and index again."
            )
        return table

    # ---- writing

    def check(self) -> tuple[Known, list[int]]:
        """Read everything, set aside what is damaged: the paths that are there, and the damaged
        partitions' numbers, which are free again."""
        known, damaged = Known(), []
        for number in self.numbers():
            try:
                known.add(self._table(number).column("path").to_pylist())
            except ArchiveError:
                damaged.append(number)
                path = self.path_of(number)
                with _written(self.folder):
                    os.replace(path, path.with_suffix(".damaged"))
        known.settle()
        return known, damaged

    def write(self, number: int, rows: Rows) -> None:
        """A partition, whole or not at all, on the disk when this returns.

        Raises:
            ArchiveError: it cannot be written; nothing of it is left.
        """
        path = self.path_of(number)
        fresh = path.with_name(f".{path.stem}.{os.getpid()}.new")
        table = arrow().table(self._columns(rows), schema=self._schema())
        with _written(self.folder):
            try:
                with fresh.open("wb") as file:
                    parquet().write_table(
                        table, file, compression="zstd", write_page_checksum=True, version="2.6"
                    )
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(fresh, path)
                _settle_folder(self.folder)
            finally:
                with contextlib.suppress(OSError):
                    fresh.unlink(missing_ok=True)

    def remove_half_written(self) -> None:
        """Files that a killed run left; nobody else may be writing."""
        for path in self.folder.glob(".part-*.new"):
            with contextlib.suppress(OSError):
                path.unlink()

    def _schema(self) -> Any:
        return arrow().schema(
            [
                arrow().field("path", arrow().string(), nullable=False),
                arrow().field("label", arrow().string()),
                arrow().field("bytes", arrow().int64(), nullable=False),
                arrow().field("content", arrow().string()),
                arrow().field("phash", arrow().uint64()),
                arrow().field("colours", arrow().binary(48)),
                arrow().field("problem", arrow().string()),
                arrow().field("features", arrow().list_(arrow().float16(), self.about.width)),
            ],
            metadata={_KEY: json.dumps(asdict(self.about)).encode()},
        )

    def _columns(self, rows: Rows) -> dict[str, Any]:
        flat = arrow().array(np.ascontiguousarray(rows.features).reshape(-1))
        missing = arrow().array([said is not None for said in rows.problems], arrow().bool_())
        features = arrow().FixedSizeListArray.from_arrays(flat, self.about.width, mask=missing)
        return {
            "path": rows.paths,
            "label": rows.labels,
            "bytes": rows.n_bytes,
            "content": rows.contents,
            "phash": [None if look is None else look.bits for look in rows.looks],
            "colours": [None if look is None else look.colours for look in rows.looks],
            "problem": rows.problems,
            "features": features,
        }


_ALL_BUT_FEATURES = ("path", "label", "bytes", "content", "phash", "colours", "problem")


class Known:
    """Paths that an index has, in 16 bytes each."""

    def __init__(self) -> None:
        self._parts: list[NDArray[Any]] = []
        self._high = np.empty(0, np.uint64)
        self._low = np.empty(0, np.uint64)

    def add(self, paths: Iterable[str]) -> None:
        digests = b"".join(map(path_digest, paths))
        self._parts.append(np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64))

    def settle(self) -> None:
        """Make what was added findable."""
        all_of_them = np.concatenate(self._parts) if self._parts else np.empty((0, 2), np.uint64)
        self._parts = []
        order = np.lexsort((all_of_them[:, 1], all_of_them[:, 0]))
        self._high = np.ascontiguousarray(all_of_them[order, 0])
        self._low = np.ascontiguousarray(all_of_them[order, 1])

    def __len__(self) -> int:
        return len(self._high)

    def __contains__(self, path: str) -> bool:
        high, low = np.frombuffer(path_digest(path), ">u8").astype(np.uint64)
        at = int(np.searchsorted(self._high, high))
        while at < len(self._high) and self._high[at] == high:
            if self._low[at] == low:
                return True
            at += 1
        return False


def new_index(folder: str | Path, backbone: Backbone) -> Index:
    """The index of a backbone below `folder`, made where it is not there yet.

    Raises:
        ArchiveError: the folder cannot be used, or holds an index of another version.
    """
    parquet()
    name, _, weights = backbone.identity.rpartition("@")
    slug = re.sub(r"[^A-Za-z0-9.-]+", "_", name)[:80]
    place = Path(folder).expanduser() / f"{slug}-{weights[:12]}"
    about = About(backbone.identity, backbone.embed_dim)
    if (place / ABOUT).is_file():
        found = _about(place)
        if found != about:
            raise ArchiveError(
                f'"{place}" holds {found.view} features of {found.backbone}, not those of '
                f"{about.backbone} as this version makes them. Choose another --out."
            )
        return Index(place, about)
    with _written(place):
        place.mkdir(parents=True, exist_ok=True)
        fresh = place / f".{ABOUT}.{os.getpid()}.new"
        fresh.write_text(json.dumps(asdict(about), indent=2) + "\n", encoding="utf-8")
        os.replace(fresh, place / ABOUT)
    return Index(place, about)


def open_index(folder: str | Path, backbone: str | None = None) -> Index:
    """The index below `folder`, of a backbone's identity where it has several.

    Raises:
        ArchiveError: there is none, none of this backbone, or several and no backbone is named.
    """
    parquet()
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise ArchiveError(f'There is no index "{folder}". Make one with `coop-demo index`.')
    try:
        places = [root] if (root / ABOUT).is_file() else sorted(root.iterdir())
    except OSError as error:
        raise _unreadable(root, error) from error
    found = [Index(place, _about(place)) for place in places if (place / ABOUT).is_file()]
    if not found:
        raise ArchiveError(
            f'"{folder}" is not an index. Give the folder that `coop-demo index --out` made.'
        )
    weights = None if backbone is None else backbone.rpartition("@")[2]
    fitting = [
        one for one in found if weights is None or one.about.backbone.rpartition("@")[2] == weights
    ]
    names = ", ".join(one.about.backbone for one in found)
    if not fitting:
        raise ArchiveError(
            f'"{folder}" has features of {names}, not of {backbone}. Index the pictures with '
            "that model, or choose one of these with --backbone."
        )
    if len(fitting) > 1:
        raise ArchiveError(f'"{folder}" has features of {names}. Choose one with --backbone.')
    return fitting[0]


def _about(place: Path) -> About:
    path = place / ABOUT
    try:
        about = About(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, TypeError) as error:
        raise ArchiveError(f'"{path}" is damaged. Index the pictures again elsewhere.') from error
    if about.format != FORMAT:
        raise ArchiveError(
            f'"{place}" was made by another version (format {about.format}, not {FORMAT}). Index '
            "the pictures again elsewhere."
        )
    return about


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """Whatever a damaged Parquet file makes pyarrow raise, as a sentence."""
    try:
        yield
    except (arrow().ArrowException, OSError, ValueError, KeyError) as error:
        raise ArchiveError(
            f'The partition "{path}" is damaged or cannot be read '
            f"({str(error).splitlines()[0][:120] if str(error) else type(error).__name__}). Run "
            "the same `index` command again: it is made anew, and the others are kept."
        ) from error


@contextlib.contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            f'The index "{folder}" cannot be written ({error.strerror or error}). What is '
            "finished is kept; make room, or mend the drive, and start the same command again."
        ) from error


def _settle_folder(folder: Path) -> None:
    """The new name of a file reaches the disk too; not on Windows, which has no such call."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _unreadable(path: Path, error: OSError) -> ArchiveError:
    return ArchiveError(f'"{path}" cannot be read ({error.strerror or error}). Check the path.')


def arrow() -> Any:
    """The package pyarrow. ArchiveError when it is not installed."""
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise ArchiveError(MISSING) from error


def parquet() -> Any:
    """pyarrow's module for Parquet. ArchiveError when it is not installed."""
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ArchiveError(MISSING) from error
