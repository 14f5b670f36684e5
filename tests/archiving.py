"""Made-up archives: folders of small pictures, an index of them, and work that kills its worker."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from images import noise, write_image
from tiny import tiny_backbone

from coop_demo.archive.index import Index, Rows, new_index
from coop_demo.archive.indexing import PartitionEncoder, make_index
from coop_demo.archive.sources import Source
from coop_demo.backbones.backbone import Backbone
from coop_demo.engines.engine import Stream

SIZE = 4  # pictures of a partition here


@contextlib.contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """So many threads of torch within a `with`."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def write_archive(folder: Path, n: int = 14, *, classes: tuple[str, ...] = ("red", "blue")) -> Path:
    """n pictures of noise in folders of classes, all different; a damaged one where n > 6."""
    for number in range(n):
        path = folder / classes[number % len(classes)] / f"{number:03d}.png"
        write_image(noise(number, size=(20, 16)), path)
    if n > 6:
        broken = folder / classes[0] / "006.png"
        broken.write_bytes(broken.read_bytes()[:60])
    return folder


@functools.cache
def open_tiny() -> Backbone:
    """The tiny backbone, made once a process: for workers."""
    return tiny_backbone()


def indexed(source: Source, folder: Path, engine: Stream, **options: Any) -> tuple[Index, list]:
    """The index of a source, and the events of making it."""
    index = new_index(folder, open_tiny())
    options = {"partition": SIZE, **options}
    return index, list(make_index(source, index, open_tiny, engine, **options))


def contents_of(index: Index) -> dict[str, bytes]:
    """Every file of an index that holds pictures."""
    return {index.path_of(n).name: index.path_of(n).read_bytes() for n in index.numbers()}


def made_rows(
    features: np.ndarray, *, names: Iterable[str] | None = None, labels: Iterable | None = None
) -> Rows:
    """Rows of an index with these features (N, d), without looks."""
    n = len(features)
    return Rows(
        tuple(names or (f"/pictures/{i}.png" for i in range(n))),
        tuple(labels or [None] * n),
        (10,) * n,
        tuple(f"{i:032x}" for i in range(n)),
        (None,) * n,
        (None,) * n,
        features.astype(np.float16),
    )


def once(flag: str) -> bool:
    """Whether this is the first call with a flag, over all processes."""
    try:
        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def doubled(value: int) -> int:
    return 2 * value


def doubled_after_a_death(value: int, flag: str) -> int:
    """Kills the worker it runs in, the first time."""
    if once(flag):
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * value


def dies(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def refuses(value: int) -> int:
    raise ValueError(f"not {value}")


class DyingEncoder:
    """Encodes partitions as an index does; the worker that first gets number 1 is killed."""

    def __init__(self, source: Source, identity: str, flag: str) -> None:
        self._encode = PartitionEncoder(open_tiny, source, identity)
        self._flag = flag

    def __call__(self, partition: Any) -> Any:
        if partition.number == 1 and once(self._flag):
            os.kill(os.getpid(), signal.SIGKILL)
        return self._encode(partition)


class KillingEngine:
    """An engine whose worker is killed while it encodes partition 1."""

    name = "local"

    def __init__(self, engine: Stream, flag: Path) -> None:
        self._engine, self._flag = engine, str(flag)
        self.workers = engine.workers

    def stream(self, make: Any, args: tuple, items: Iterable[Any]) -> Any:
        _, source, identity = args
        return self._engine.stream(DyingEncoder, (source, identity, self._flag), items)
