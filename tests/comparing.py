"""Made-up data for comparisons: sets of coloured images on disk, logits, results and verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from images import Colour, coloured, write_image

from coop_demo.comparison.results_csv import Cell
from coop_demo.comparison.verdict import Verdict, compare
from coop_demo.data.dataset import Dataset
from coop_demo.data.folders import read_folder
from coop_demo.prompts.learner import PromptConfig

FAST = {"shots": 3, "steps": 4, "prompt_config": PromptConfig(n_ctx=4)}

TEMPLATE = "a photo of a {}."

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


def last(events: Iterable[Any]) -> Any:
    """The event that holds the result."""
    *_, result = events
    return result


def made_logits(
    K: int = 200, C: int = 5, seed: int = 0, sharp: float = 3.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (K, C) of a model that is right more often than not, and labels (K,)."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(C, (K,), generator=g)
    logits = sharp * (torch.randn(K, C, generator=g) + 0.8 * F.one_hot(labels, C))
    return logits, labels


def a_cell(**changes: Any) -> Cell:
    """One finished cell of the grid."""
    cell = Cell(
        "s", "learned", 4, 1, 0.5, 0.3, 0.7, 5, 10, 8, 2, 1.0, 0.5, '{"a": 1}', "tiny@0", "h"
    )
    return replace(cell, **changes)


def verdict(learned_right: int, words_right: int, n: int) -> Verdict:
    """A learned prompt against a hand-crafted one on the same n images: the first so many are right
    in each, so the disagreements are all on one side."""
    labels = torch.zeros(n, dtype=torch.long)
    learned = (torch.arange(n) >= learned_right).long()
    words = (torch.arange(n) >= words_right).long()
    return compare(learned, words, labels, TEMPLATE)
