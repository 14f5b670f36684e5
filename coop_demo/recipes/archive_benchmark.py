"""What an index costs: pictures a second beside the encoder alone, memory, and rank --top's time.

    python -m coop_demo.recipes.archive_benchmark --pictures 5000 50000 --engines local ray

Pictures are rendered into a folder that is removed afterwards. Memory is that of this process and
all its children, Ray's own among them, sampled twice a second; a page that processes share counts
once.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.transform import PreprocessCfg
from PIL import Image

from coop_demo.archive.index import new_index
from coop_demo.archive.indexing import (
    IndexProgress,
    IndexResult,
    Partition,
    PartitionEncoder,
    make_index,
)
from coop_demo.archive.orders import How, TopResult, top_of_source
from coop_demo.archive.sources import FolderSource
from coop_demo.backbones.backbone import Backbone
from coop_demo.engines.choosing import ENGINES, open_engine
from coop_demo.ranking.checkpoint import load_ranker, shipped_ranker_path
from coop_demo.ranking.instructions import propose_antonyms
from coop_demo.ranking.order import RANKER
from coop_demo.runtime import keep_freed_memory, shared_backbone

SIZE = (320, 240)
A_FOLDER = 1_000  # pictures

Opener = Callable[[], Backbone]


def render(folder: Path, n: int) -> None:
    """n different JPEGs: coarse colours with some grain, about 12 kB each."""
    for number in range(n):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)
        place = folder / f"{number // A_FOLDER:04d}"
        place.mkdir(parents=True, exist_ok=True)
        image.save(place / f"{number:06d}.jpg", quality=85)


@contextlib.contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Megabytes of this process and its children at their most, in the list after the `with`."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            peak[0] = max(peak[0], sum(map(_megabytes, _family(os.getpid()))))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _family(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, ValueError, IndexError):
            stat = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            parents[int(name)] = int(stat[1])
    found, more = {root}, True
    while more:
        grown = {pid for pid, parent in parents.items() if parent in found} - found
        found |= grown
        more = bool(grown)
    return found


def _megabytes(pid: int) -> float:
    """Memory of a process alone (proportional set size), pages it shares in part."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, nargs="+", default=[1_000, 5_000])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["local"])
    parser.add_argument("--model", choices=OPENERS, default="mini", help="small: random weights")
    parser.add_argument("--partition", type=int, default=500)
    parser.add_argument("--rank", type=int, nargs="*", default=[], help="pictures for rank --top")
    parser.add_argument("--alone", type=int, default=0, help="pictures for the encoder alone")
    parser.add_argument("--folder", help="keep the pictures here, for another run")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = Path(args.folder) if args.folder else scratch / "pictures"
        most = max([*args.pictures, *args.rank, args.alone])
        if not folder.is_dir():
            began = time.perf_counter()
            render(folder, most)
            print(f"{most} pictures rendered in {time.perf_counter() - began:.0f} s", flush=True)
        for engine in args.engines:
            if args.alone:
                _alone(folder, args.alone, engine, args.partition, OPENERS[args.model])
            for n in args.pictures:
                _index(folder, n, engine, args.partition, scratch, OPENERS[args.model])
            for n in args.rank:
                _rank(folder, n, engine)


class Part(FolderSource):
    """The first so many pictures of a folder."""

    def __init__(self, name: str, n: int) -> None:
        super().__init__(name)
        object.__setattr__(self, "n", n)

    def entries(self):
        for _, entry in zip(range(self.n), super().entries(), strict=False):  # type: ignore[attr-defined]
            yield entry


def open_mini() -> Backbone:
    """The built-in model, as the commands open it in a worker."""
    keep_freed_memory()
    return shared_backbone("mini", "cpu")


@functools.cache
def open_small() -> Backbone:
    """A small tower of random weights: what memory does must not depend on the tower."""
    keep_freed_memory()
    state = torch.get_rng_state()
    torch.manual_seed(0)
    model = open_clip.CLIP(
        embed_dim=64,
        vision_cfg={  # type: ignore[arg-type]
            "image_size": 64,
            "layers": 2,
            "width": 64,
            "head_width": 16,
            "patch_size": 16,
        },
        text_cfg={"width": 64, "heads": 2, "layers": 2},  # type: ignore[arg-type]
    )
    torch.set_rng_state(state)
    tokenizer = open_clip.tokenizer.SimpleTokenizer()
    return Backbone(model, name="small", preprocess=PreprocessCfg(size=64), tokenizer=tokenizer)


OPENERS = {"mini": open_mini, "small": open_small}


def _alone(folder: Path, n: int, name: str, size: int, opener: Opener) -> None:
    """The encoder in the same workers, with nothing written and nothing looked up."""
    entries = list(Part(str(folder), n).entries())
    parts = [Partition(i, tuple(entries[at : at + size])) for i, at in enumerate(range(0, n, size))]
    identity = opener().identity
    with open_engine(name) as engine:
        warm = [Partition(0, parts[0].entries[:16])] * engine.workers
        list(engine.stream(PartitionEncoder, (opener, FolderSource(str(folder)), identity), warm))
        began = time.perf_counter()
        for _ in engine.stream(
            PartitionEncoder, (opener, FolderSource(str(folder)), identity), parts
        ):
            pass
        seconds = time.perf_counter() - began
    print(f"encoder alone, {name}: {n} pictures, {n / seconds:.1f} pictures/s", flush=True)


def _index(folder: Path, n: int, name: str, size: int, scratch: Path, opener: Opener) -> None:
    index = new_index(scratch / f"index-{name}-{n}", opener())
    marks: list[tuple[int, float]] = []
    total = 0.0
    with peak_memory() as peak, open_engine(name) as engine:
        for event in make_index(Part(str(folder), n), index, opener, engine, partition=size):
            if isinstance(event, IndexResult):
                total = event.seconds
            elif isinstance(event, IndexProgress):
                marks.append((event.done, event.seconds))
    steady = (marks[-1][0] - marks[0][0]) / max(marks[-1][1] - marks[0][1], 1e-9)
    size_mb = sum(index.path_of(i).stat().st_size for i in index.numbers()) / 2**20
    print(
        f"index, {name}: {n} pictures in {total:.1f} s ({n / total:.1f} pictures/s, start and all; "
        f"{steady:.1f} once it runs), {peak[0]:.0f} MB at most, {size_mb:.1f} MB of index",
        flush=True,
    )


def _rank(folder: Path, n: int, name: str) -> None:
    backbone = open_mini()
    path = shipped_ranker_path("mini")
    assert path is not None, "the ranker of mini ships"
    instruction = "Rank the brightness."
    how = How(
        RANKER,
        instruction,
        propose_antonyms(instruction),
        backbone.identity,
        load_ranker(path, backbone),
    )
    seconds = 0.0
    with peak_memory() as peak, open_engine(name) as engine:
        for event in top_of_source(Part(str(folder), n), open_mini, how, engine, top=500):
            if isinstance(event, TopResult):
                seconds = event.seconds
    print(
        f"rank --top 500, {name}: {n} pictures in {seconds:.1f} s, {peak[0]:.0f} MB at most",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
