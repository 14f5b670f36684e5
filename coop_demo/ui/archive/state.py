"""What the tab Archive holds: the index, one for all, and the order a person asked for."""

import threading
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coop_demo.archive.answers import unit_features
from coop_demo.archive.index import Index, open_index
from coop_demo.errors import ArchiveError
from coop_demo.languages import archive as say
from coop_demo.settings import index_folder

MOST_PICTURES = 100_000  # of 1,024 numbers each: 200 MB, held once for everybody


@dataclass(frozen=True, eq=False)
class OpenIndex:
    """The readable pictures of an index. Shape: features (N, d) fp16 unit vectors."""

    backbone: str  # identity
    paths: tuple[str, ...]
    contents: tuple[str, ...]
    features: Tensor = field(repr=False)
    n_unreadable: int = 0


@dataclass(frozen=True, eq=False)
class Arranged:
    """An order of some of the pictures. Shape: positions and scores (M,), the first first."""

    index: OpenIndex
    by: str  # in words
    only: str  # the class they are called, "" for all
    positions: NDArray[np.intp]
    scores: NDArray[np.float64]
    called: tuple[str, ...] = ()  # each one's class, where there is a prompt


class _Shared:
    """The index that was opened last; read again when its files are others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stamp: tuple | None = None
        self._open: OpenIndex | None = None

    def get(self, identity: str) -> OpenIndex:
        folder = index_folder()
        if folder is None:
            raise ArchiveError(say.NO_INDEX)
        index = open_index(folder, identity)
        numbers = index.numbers()
        times = tuple(index.path_of(number).stat().st_mtime_ns for number in numbers)
        stamp = (str(index.folder), tuple(numbers), times)
        with self._lock:
            if self._open is None or self._stamp != stamp:
                self._open, self._stamp = _read(index), stamp
            return self._open


def _read(index: Index) -> OpenIndex:
    if len(index) > MOST_PICTURES:
        raise ArchiveError(say.too_many(len(index), MOST_PICTURES))
    paths: list[str] = []
    contents: list[str] = []
    features: list[Tensor] = []
    n_unreadable = 0
    for rows in index.partitions():
        at = rows.readable
        paths += [rows.paths[i] for i in at]
        contents += [rows.contents[i] or "" for i in at]
        features.append(unit_features(rows).half())
        n_unreadable += len(rows) - len(at)
    together = torch.cat(features) if features else torch.empty(0, index.about.width).half()
    return OpenIndex(index.about.backbone, tuple(paths), tuple(contents), together, n_unreadable)


SHARED = _Shared()
