"""Made-up sets for the tests of Compare: coloured pictures on disk, read like anybody's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from images import Colour, coloured, write_image

from coop_demo.data.dataset import Dataset
from coop_demo.data.folders import read_folder

COLOURS = {
    "red": (200, 40, 40),
    "green": (40, 200, 40),
    "blue": (40, 40, 200),
    "yellow": (200, 200, 40),
}


def write_picture(path: Path, colour: Colour, seed: int) -> None:
    write_image(coloured(colour, seed, size=(40, 36), grain=60), path)


def write_set(
    folder: Path,
    *,
    names: Sequence[str] = tuple(COLOURS),
    train: int = 5,
    test: int = 4,
    seed: int = 0,
) -> Path:
    """A set in our own layout; without a test part when `test` is 0."""
    for at, name in enumerate(names):
        colour = COLOURS.get(name, (90, 90, 90))
        parts = {"train": train, "test": test} if test else {"": train}
        for part, n in parts.items():
            for i in range(n):
                number = seed + 1000 * at + 100 * bool(part == "test") + i
                write_picture(folder / part / name / f"{i}.png", colour, number)
    return folder


def made_set(folder: Path, **options) -> Dataset:
    return read_folder(write_set(folder, **options))


def write_coop_set(root: Path, names: Sequence[str] = ("red", "green", "blue")) -> Path:
    """Made-up EuroSAT in CoOp's own layout: 2750/<class>/*.png and split_zhou_EuroSAT.json."""
    folder = root / "eurosat"
    split = {"train": [], "val": [], "test": []}
    for label, name in enumerate(names):
        for part, n in (("train", 4), ("val", 1), ("test", 3)):
            for i in range(n):
                relative = f"{name}/{part}_{i}.png"
                write_picture(
                    folder / "2750" / relative,
                    COLOURS[name],
                    5000 + 100 * label + 10 * len(part) + i,
                )
                split[part].append([relative, label, name])
    (folder / "split_zhou_EuroSAT.json").write_text(json.dumps(split), encoding="utf-8")
    return root
