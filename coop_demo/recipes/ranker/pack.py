"""Packs what the ranker learns from for a machine without the picture sets and the cut-outs.

    python -m coop_demo.recipes.ranker.pack --data DIR_OF_PICTURE_SETS --out DIR

Pictures keep their names and tables but become WebP of a chosen quality, whatever their names end
in; pictures that only judge stay behind, so a packed folder trains a ranker and measures none.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from coop_demo.recipes.cutouts import Cutout
from coop_demo.recipes.ranker.pictures import (
    CLASS_SETS,
    LABELLED_SETS,
    backgrounds,
    files_of,
    kind_library,
    labelled_samples,
    licensed_only,
    photographs,
)

CUTOUT_SIDE = 160  # pixels; in a scene they are 115 at most
QUALITY: Mapping[str, int] = {"dice_count": 65, "counts_natural": 37}
OTHER_QUALITY = 33
DEGRADED = ("quality_synth",)  # how they are degraded is what is learned: kept, or nearly so
DEGRADED_QUALITY = 75


def pack_pictures(data: Path, out: Path, *, quality: int = OTHER_QUALITY) -> None:
    """Copy the pictures that are learned from, and every table, into a folder like `data`."""
    wanted: dict[Path, None] = {}
    learned = licensed_only(list(labelled_samples(data, augmented=False)), data)
    for sample in learned:
        if sample.part in ("train", "val"):
            wanted.update(dict.fromkeys(files_of(sample.draw)))
    for _, part, draw in (*photographs(data), *backgrounds(data)):
        if part in ("train", "val"):
            wanted.update(dict.fromkeys(files_of(draw)))
    for number, path in enumerate(wanted):
        if path.parts[-4:-3] == (CLASS_SETS[1],) and number % 2:
            continue  # half of them are enough to be changed
        name = path.relative_to(data)
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        degraded = name.parts[0] in DEGRADED
        chosen = DEGRADED_QUALITY if degraded else QUALITY.get(name.parts[0], quality)
        with Image.open(path) as image:
            image.convert("RGB").save(target, "WEBP", quality=chosen, method=6)
        if degraded and target.stat().st_size > path.stat().st_size:
            shutil.copyfile(path, target)
    for folder in (*LABELLED_SETS, "gallery", *CLASS_SETS):
        for table in sorted((data / folder).glob("*.csv")):
            (out / folder).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(table, out / folder / table.name)


def pack_library(out: Path) -> None:
    """Every cut-out as a small picture in a folder named for its kind."""
    for kind, cutouts in kind_library().items():
        (out / kind).mkdir(parents=True, exist_ok=True)
        for number, cutout in enumerate(cutouts):
            image = cutout.image.copy()
            image.thumbnail((CUTOUT_SIDE, CUTOUT_SIDE), Image.Resampling.LANCZOS)
            image.save(out / kind / f"{number:03}.webp", quality=80, alpha_quality=90, method=6)


def packed_library(folder: Path) -> dict[str, list[Cutout]]:
    """The cut-outs of `pack_library`, by kind."""
    library: dict[str, list[Cutout]] = {}
    for path in sorted(folder.glob("*/*.webp")):
        with Image.open(path) as image:
            cutout = Cutout(
                path.parent.name, "", "drawing", "packed", path.stem, image.convert("RGBA")
            )
        library.setdefault(path.parent.name, []).append(cutout)
    return library


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m coop_demo.recipes.ranker.pack")
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled picture sets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quality", type=int, default=OTHER_QUALITY)
    args = parser.parse_args(arguments)
    pack_pictures(args.data, args.out / "data", quality=args.quality)
    pack_library(args.out / "cutouts")
    total = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    print(f"{total / 2**20:.1f} MiB in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
