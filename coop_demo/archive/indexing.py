"""A source -> an index: partitions encoded by an engine's workers, and written as they come.

    with open_engine("local") as engine:
        for event in make_index(source, index, open_backbone, engine):
            ...

A partition is the unit of everything: encoded by one worker, written whole, never done again once
it is written. The same command again does what is missing. Features do not depend on the engine:
every worker's tower has one thread, and batches are cut within a partition.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, takewhile

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image

from coop_demo.archive.index import Index, Known, Rows
from coop_demo.archive.sources import Entry, Source
from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import FeatureCache, encode_all
from coop_demo.comparison.cells import OpenBackbone
from coop_demo.data.images import load_picture
from coop_demo.data.near_copies import Look
from coop_demo.engines.engine import Stream
from coop_demo.errors import ArchiveError, PictureError
from coop_demo.wording import counted

PARTITION = 1_000  # pictures: half a minute of a core with mini; of a small CLIP 1 MB
LOST_IN_A_ROW = 20  # pictures that cannot be opened one after the other: the drive is gone


@dataclass(frozen=True)
class Partition:
    """Pictures that are to be encoded together, under the number they will be found by."""

    number: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, eq=False)
class Encoded:
    """A partition's rows, and sentences on pictures whose files could not be opened: they are not
    in it, and are tried again next time."""

    number: int
    rows: Rows
    lost: tuple[str, ...] = ()
    lost_at_the_end: int = 0  # in a row


@dataclass(frozen=True)
class IndexProgress:
    """A partition has been written. `total` is None where the source is not counted first."""

    done: int  # pictures, those of earlier runs not among them
    total: int | None
    seconds: float
    partition: int


@dataclass(frozen=True)
class IndexNote:
    """Something to be said while it goes on."""

    message: str


@dataclass(frozen=True)
class IndexResult:
    """What the run did, and what the index holds now."""

    n_new: int
    n_before: int
    n_unreadable: int  # of the new ones: in the index, with their sentence
    n_lost: int  # files that could not be opened: not in the index
    n_partitions: int
    damaged: tuple[int, ...]  # partitions of earlier runs that were done again
    seconds: float


IndexEvent = IndexProgress | IndexNote | IndexResult


class ArchivePicture:
    """A picture of a source, for the encoder; knows afterwards what became of its file."""

    content = None

    def __init__(self, source: Source, entry: Entry) -> None:
        self._source, self._entry = source, entry
        self.name = entry.path.rpartition("/")[2]
        self.n_bytes = entry.n_bytes
        self.lost = ""

    def load(self) -> Image.Image:
        """Decode it. PictureError when it cannot be opened (`lost` says so) or decoded."""
        try:
            data = self._source.read(self._entry.path)
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            self.lost = f'"{self._entry.path}" cannot be opened ({reason[:120]}).'
            raise PictureError(self.lost) from error
        self.n_bytes = max(len(data), self.n_bytes)
        return load_picture(data, name=self.name)


class PartitionEncoder:
    """Lives in a worker: holds the model, and turns partitions into rows."""

    def __init__(self, open_backbone: OpenBackbone, source: Source, identity: str) -> None:
        self._backbone = opened(open_backbone, identity)
        self._source = source

    def __call__(self, partition: Partition) -> Encoded:
        return encode_partition(self._backbone, self._source, partition)


def opened(open_backbone: OpenBackbone, identity: str) -> Backbone:
    """A worker's model, which must be the driver's. ArchiveError when it is another."""
    backbone = open_backbone()
    if backbone.identity != identity:
        raise ArchiveError(
            f"A worker has the model {backbone.identity}, not {identity}. Put the same weights "
            "on every computer."
        )
    return backbone


def encode_partition(backbone: Backbone, source: Source, partition: Partition) -> Encoded:
    """Rows of a partition's pictures, in their order."""
    pictures = [ArchivePicture(source, entry) for entry in partition.entries]
    on_cpu = backbone.device.type == "cpu"
    # a cache of its own: what a row holds must not depend on what was encoded before
    encoded = encode_all(
        backbone, pictures, cache=FeatureCache(64 * 2**20), workers=1 if on_cpu else None
    )
    problems = iter(encoded.problems)
    row_of = {index: row for row, index in enumerate(encoded.kept)}
    said = [None if i in row_of else next(problems) for i in range(len(pictures))]
    there = [i for i, picture in enumerate(pictures) if not picture.lost]
    features = np.zeros((len(there), backbone.embed_dim), np.float16)
    for at, i in enumerate(there):
        if i in row_of:
            features[at] = encoded.features[0, row_of[i]].numpy().astype(np.float16)
    contents: list[str | None] = []
    looks: list[Look | None] = []
    for i in there:
        row = row_of.get(i)
        contents.append(None if row is None else encoded.contents[row])
        looks.append(None if row is None else encoded.looks[row])
    rows = Rows(
        paths=tuple(partition.entries[i].path for i in there),
        labels=tuple(partition.entries[i].label for i in there),
        n_bytes=tuple(pictures[i].n_bytes for i in there),
        contents=tuple(contents),
        looks=tuple(looks),
        problems=tuple(said[i] for i in there),
        features=features,
    )
    return Encoded(partition.number, rows, *lost_of(pictures))


def lost_of(pictures: Sequence[ArchivePicture]) -> tuple[tuple[str, ...], int]:
    """Sentences on those that could not be opened, and how many of these stand in a row at the
    end."""
    lost = tuple(picture.lost for picture in pictures if picture.lost)
    return lost, sum(1 for _ in takewhile(lambda picture: picture.lost, reversed(pictures)))


def make_index(
    source: Source,
    index: Index,
    open_backbone: OpenBackbone,
    engine: Stream,
    *,
    partition: int = PARTITION,
    count_first: bool = True,
) -> Iterator[IndexEvent]:
    """Encode what the index does not have yet; the last event is the IndexResult.

    Args:
        open_backbone: opens the index's backbone in a worker.
        partition: pictures in one file.
        count_first: list the source once more before, so that the progress knows its end.

    Raises:
        ArchiveError: source or index cannot be used, or were lost on the way; somebody else is
            writing this index. EngineError: workers keep dying. Partitions before are kept.
    """
    if partition < 1:
        raise ArchiveError(f"A partition of {partition} pictures cannot be. Give 1 or more.")
    lock = FileLock(str(index.folder / ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ArchiveError(
            f'Another command is writing the index "{index.folder}". Wait until it has ended.'
        ) from error
    try:
        yield from _make(source, index, open_backbone, engine, partition, count_first)
    finally:
        lock.release()


def _make(
    source: Source,
    index: Index,
    open_backbone: OpenBackbone,
    engine: Stream,
    size: int,
    count_first: bool,
) -> Iterator[IndexEvent]:
    began = time.perf_counter()
    index.remove_half_written()
    known, damaged = index.check()
    if damaged:
        named = ", ".join(index.path_of(number).name for number in damaged[:3])
        yield IndexNote(
            f"{counted(len(damaged), 'partition')} could not be read ({named}): set aside and "
            "made again."
        )
    notes: list[str] = []
    total = None
    if count_first:
        total = sum(entry.path not in known for entry in source.entries())
    n_before, done, n_unreadable, n_lost, n_partitions = len(known), 0, 0, 0, 0
    plan = partitions(source, known, index.numbers(), size, notes)
    for encoded in engine.stream(
        PartitionEncoder, (open_backbone, source, index.about.backbone), plan
    ):
        if encoded.lost:
            source.check()
            if encoded.lost_at_the_end >= LOST_IN_A_ROW or not len(encoded.rows):
                raise ArchiveError(
                    f"{counted(len(encoded.lost), 'picture')} in a row could not be opened, such "
                    f"as {encoded.lost[-1]} Is the drive still there? Start again when it is; "
                    "what is finished is kept."
                )
            for sentence in encoded.lost[:3]:
                yield IndexNote(sentence)
        for sentence in notes:
            yield IndexNote(sentence)
        notes.clear()
        index.write(encoded.number, encoded.rows)
        n_partitions += 1
        n_lost += len(encoded.lost)
        done += len(encoded.rows)
        n_unreadable += sum(said is not None for said in encoded.rows.problems)
        yield IndexProgress(done, total, time.perf_counter() - began, encoded.number)
    for sentence in notes:
        yield IndexNote(sentence)
    yield IndexResult(
        done,
        n_before,
        n_unreadable,
        n_lost,
        n_partitions,
        tuple(damaged),
        time.perf_counter() - began,
    )


def partitions(
    source: Source, known: Known, taken: list[int], size: int, notes: list[str]
) -> Iterator[Partition]:
    """What is missing, cut into partitions under the lowest free numbers.

    A run that was stopped left gaps where its partitions were not written; the same pictures, in
    the same order, fill them again.
    """
    used = set(taken)
    free = (number for number in count() if number not in used)
    waiting: list[Entry] = []
    for entry in source.entries():
        if entry.path in known:
            continue
        try:
            entry.path.encode("utf-8")
        except UnicodeEncodeError:
            notes.append(
                f"The file name {entry.path[-80:]!a} is not UTF-8 and cannot be kept. Rename it."
            )
            continue
        waiting.append(entry)
        if len(waiting) == size:
            yield Partition(next(free), tuple(waiting))
            waiting = []
    if waiting:
        yield Partition(next(free), tuple(waiting))
