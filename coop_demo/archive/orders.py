"""Very many pictures and an instruction -> the first so many of their order, in one pass.

    for event in top_of_source(source, scorer, engine, top=500):
        ...

A worker encodes some pictures, scores them and forgets them; what is held is the top so far. From
an index an order is made by opposite prompts or by cosine: the ranker reads spatial tokens, which
an index does not keep.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from coop_demo.archive.answers import unit_features
from coop_demo.archive.index import Index, Known
from coop_demo.archive.indexing import (
    LOST_IN_A_ROW,
    ArchivePicture,
    IndexNote,
    Partition,
    lost_of,
    opened,
    partitions,
)
from coop_demo.archive.sources import Source
from coop_demo.backbones.backbone import PLAIN_FORM, Backbone
from coop_demo.backbones.features import WHOLE_VIEW, FeatureCache, encode_all
from coop_demo.comparison.cells import OpenBackbone
from coop_demo.engines.engine import Stream
from coop_demo.errors import ArchiveError
from coop_demo.ranking.baselines import antonym_scores, cosine_scores
from coop_demo.ranking.instructions import AntonymPair
from coop_demo.ranking.order import ANTONYMS, COSINE, RANKER
from coop_demo.ranking.ranker import Ranker
from coop_demo.ranking.reading import Reading, read_instruction
from coop_demo.wording import counted

SCORED_AT_ONCE = 128  # pictures whose tokens a worker holds: of a ViT-L/14 about 50 MB


@dataclass(frozen=True)
class How:
    """What an order is made by."""

    method: str  # of RANKING_METHODS
    instruction: str
    pair: AntonymPair
    identity: str  # of the backbone
    ranker: Ranker | None = field(default=None, repr=False)

    @property
    def reading(self) -> Reading:
        """How the instruction is understood."""
        return read_instruction(self.instruction, self.ranker)

    @property
    def way(self) -> float:
        """1, or −1 where the order is turned round."""
        return -1.0 if self.reading.is_turned else 1.0


@dataclass(frozen=True, eq=False)
class ScoredPart:
    """What a worker found. Shape: scores (N,), of the pictures that could be read."""

    number: int
    paths: tuple[str, ...]
    contents: tuple[str, ...]
    scores: NDArray[np.float64]
    problems: tuple[str, ...]  # of those that cannot be decoded
    lost: tuple[str, ...] = ()  # of those that cannot be opened
    lost_at_the_end: int = 0


@dataclass(frozen=True)
class Placed:
    """A picture at its place in the order."""

    place: int
    path: str
    score: float
    content: str | None


@dataclass(frozen=True)
class TopProgress:
    """Pictures scored so far; `total` is None where nobody counted them."""

    done: int
    total: int | None
    seconds: float


@dataclass(frozen=True, eq=False)
class TopResult:
    """The first of the order, best first, and what all scores are like."""

    top: tuple[Placed, ...]
    n_scored: int
    n_unreadable: int
    lowest: float | None
    highest: float | None
    mean: float | None
    seconds: float


class PartScorer:
    """Lives in a worker: holds model and ranker, and scores pictures."""

    def __init__(self, open_backbone: OpenBackbone, source: Source, how: How) -> None:
        self._backbone = opened(open_backbone, how.identity)
        self._source, self._how = source, how
        self._adapter = None
        if how.ranker is not None:
            self._adapter = how.ranker.adapter(self._backbone.device, how.reading.asked)

    def __call__(self, part: Partition) -> ScoredPart:
        how, backbone = self._how, self._backbone
        pictures = [ArchivePicture(self._source, entry) for entry in part.entries]
        by_ranker = how.method == RANKER
        form = how.ranker.config.form if how.ranker is not None and by_ranker else PLAIN_FORM
        encoded = encode_all(
            backbone,
            pictures,
            views=(WHOLE_VIEW,),
            tokens=by_ranker,
            form=form,
            cache=FeatureCache(2**20),  # nothing is asked for twice
            workers=1 if backbone.device.type == "cpu" else None,
        )
        scores = np.empty(0)
        if encoded.kept and by_ranker:
            assert self._adapter is not None, "the ranker's method comes with a ranker"
            with torch.no_grad():
                words = backbone.text_tokens([how.reading.asked])
                seen = encoded.features.to(backbone.device)
                scores = how.way * self._adapter.scores(seen, words).cpu().double().numpy()
        elif encoded.kept and how.method == ANTONYMS:
            scores = antonym_scores(backbone, encoded.features[0], how.pair).numpy()
        elif encoded.kept:
            cosine = cosine_scores(backbone, encoded.features[0], how.reading.asked)
            scores = how.way * cosine.numpy()
        lost, at_the_end = lost_of(pictures)
        return ScoredPart(
            part.number,
            tuple(part.entries[i].path for i in encoded.kept),
            encoded.contents,
            scores,
            tuple(said for said in encoded.problems if said not in lost),
            lost,
            at_the_end,
        )


def top_of_source(
    source: Source,
    open_backbone: OpenBackbone,
    how: How,
    engine: Stream,
    *,
    top: int,
    count_first: bool = True,
) -> Iterator[TopProgress | IndexNote | TopResult]:
    """Encode and score all pictures of a source; the last event is the TopResult.

    Memory does not grow with the number of pictures; their order decides between equal scores.

    Raises:
        ArchiveError: the source is lost on the way, or holds no picture that can be read.
    """
    total = sum(1 for _ in source.entries()) if count_first else None
    nothing = Known()
    nothing.settle()
    notes: list[str] = []
    parts = partitions(source, nothing, [], SCORED_AT_ONCE, notes)
    began = time.perf_counter()
    gathered = _Gathered(top)
    for part in engine.stream(PartScorer, (open_backbone, source, how), parts):
        if part.lost:
            source.check()
            if part.lost_at_the_end >= LOST_IN_A_ROW:
                raise ArchiveError(
                    f"{counted(part.lost_at_the_end, 'picture')} in a row could not be opened, "
                    f"such as {part.lost[-1]} Is the drive still there? Start again when it is."
                )
        for sentence in (*notes, *part.lost[:3], *part.problems[:3]):
            yield IndexNote(sentence)
        notes.clear()
        gathered.add(part)
        yield TopProgress(gathered.done, total, time.perf_counter() - began)
    yield gathered.result(time.perf_counter() - began)


def top_of_index(index: Index, backbone: Backbone, how: How, *, top: int) -> TopResult:
    """The first of an order by opposite prompts or by cosine, from pooled features alone.

    Raises:
        ArchiveError: the ranker is asked for, or a partition is damaged.
    """
    if how.method not in (ANTONYMS, COSINE):
        raise ArchiveError(
            "The ranker reads a picture's spatial tokens, and an index keeps pooled features "
            "only. Name the pictures with --images, or choose --method antonyms or cosine."
        )
    began = time.perf_counter()
    gathered = _Gathered(top)
    for number in index.numbers():
        rows = index.read(number)
        at = rows.readable
        features = unit_features(rows)
        if not len(at):
            scores = np.empty(0)
        elif how.method == ANTONYMS:
            scores = antonym_scores(backbone, features, how.pair).numpy()
        else:
            scores = how.way * cosine_scores(backbone, features, how.reading.asked).numpy()
        gathered.add(
            ScoredPart(
                number,
                tuple(rows.paths[i] for i in at),
                tuple(rows.contents[i] or "" for i in at),
                scores,
                tuple(said for said in rows.problems if said is not None),
            )
        )
    return gathered.result(time.perf_counter() - began)


class _Gathered:
    """The top of what has been scored so far."""

    def __init__(self, top: int) -> None:
        if top < 1:
            raise ArchiveError(f"The top {top} cannot be kept. Ask for 1 or more.")
        self._top, self.done = top, 0
        # the worst first; of equal scores the later one is the worse
        self._heap: list[tuple[float, int, int, str, str]] = []
        self._low, self._high, self._sum, self._unreadable = np.inf, -np.inf, 0.0, 0

    def add(self, part: ScoredPart) -> None:
        self._unreadable += len(part.problems) + len(part.lost)
        self.done += len(part.scores) + len(part.problems) + len(part.lost)
        if not len(part.scores):
            return
        self._low = min(self._low, float(part.scores.min()))
        self._high = max(self._high, float(part.scores.max()))
        self._sum += float(part.scores.sum())
        for at, (path, content, score) in enumerate(
            zip(part.paths, part.contents, part.scores.tolist(), strict=True)
        ):
            entry = (score, -part.number, -at, path, content)
            if len(self._heap) < self._top:
                heapq.heappush(self._heap, entry)
            elif entry > self._heap[0]:
                heapq.heapreplace(self._heap, entry)

    def result(self, seconds: float) -> TopResult:
        n = self.done - self._unreadable
        if not n:
            raise ArchiveError("There is no picture that can be read. Check the path.")
        return TopResult(
            tuple(
                Placed(place, path, score, content or None)
                for place, (score, _, _, path, content) in enumerate(
                    sorted(self._heap, reverse=True), start=1
                )
            ),
            n,
            self._unreadable,
            self._low,
            self._high,
            self._sum / n,
            seconds,
        )
