"""The CoOp paper's eleven sets: its figures beside ours, each difference marked.

Its figures are those of its Table for CLIP's ResNet-50 with 16 context vectors and the class at the
end (Zhou et al., IJCV 2022, arXiv 2109.01134), mean of three seeds, in %; taken from the authors'
numbers as the APE code lists them (github.com/yangyangyang127/APE).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from coop_demo.comparison.results_csv import Cell
from coop_demo.comparison.summary import summary
from coop_demo.wording import table_head, table_row

PAPER_BACKBONE = "RN50"
PAPER_TABLE_SHOTS = (1, 2, 4, 8, 16)

#: by the set's name: zero-shot CLIP with the paper's prompt, then CoOp at 1, 2, 4, 8 and 16 shots
PAPER_ACCURACY: dict[str, tuple[float, ...]] = {
    "imagenet": (60.31, 57.57, 57.86, 59.63, 61.57, 62.97),
    "caltech101": (83.94, 87.80, 87.87, 89.57, 90.10, 92.07),
    "dtd": (40.07, 44.10, 46.00, 53.53, 59.63, 63.70),
    "eurosat": (37.54, 51.30, 59.87, 70.30, 77.13, 83.27),
    "fgvc_aircraft": (17.10, 8.87, 18.63, 20.30, 27.33, 31.67),
    "food101": (77.32, 74.30, 71.77, 73.33, 71.93, 74.47),
    "oxford_flowers": (66.10, 69.07, 78.00, 85.80, 91.40, 94.73),
    "oxford_pets": (85.83, 85.87, 82.03, 87.03, 85.40, 86.30),
    "stanford_cars": (55.71, 56.23, 58.73, 62.90, 67.85, 73.33),
    "sun397": (58.53, 60.03, 60.00, 63.40, 65.73, 69.40),
    "ucf101": (61.33, 62.67, 63.60, 69.40, 72.50, 76.07),
}
PAPER_DATASETS = tuple(PAPER_ACCURACY)

NEAR = 2.0  # points within which a difference is not marked: about the spread of three seeds


def paper_figure(dataset: str, shots: int) -> float | None:
    """The paper's accuracy in %; 0 shots is zero-shot CLIP. None where it gives none."""
    row = PAPER_ACCURACY.get(dataset)
    if row is None or shots not in (0, *PAPER_TABLE_SHOTS):
        return None
    return row[(0, *PAPER_TABLE_SHOTS).index(shots)]


def beside_paper(cells: Sequence[Cell]) -> str:
    """A Markdown table of ours, the paper's and the difference, a row a set; empty without one of
    its sets.

    Each cell reads `ours (paper, difference)` in %; ▲ and ▼ mark differences above NEAR. The last
    row is the mean over the sets that have the cell in ours, of both.
    """
    ours: dict[tuple[str, int], float] = {}
    for record in summary([c for c in cells if c.method in ("hand-crafted", "learned")]):
        shots = record["shots"] if record["method"] == "learned" else 0
        if paper_figure(record["dataset"], shots) is not None:
            ours[record["dataset"], shots] = 100 * record["mean"]
    if not ours:
        return ""
    columns = sorted({shots for _, shots in ours})
    titles = ["zero-shot" if n == 0 else f"{n} shot{'s' if n > 1 else ''}" for n in columns]
    backbones = sorted({c.backbone.rpartition("@")[0] for c in cells})
    lines = [
        "### Beside the paper",
        "",
        f"Ours: {', '.join(backbones)}. The paper's: {PAPER_BACKBONE}, 16 vectors, three seeds. "
        f"▲ and ▼: more than {NEAR:g} points above and below it."
        + ("" if backbones == [PAPER_BACKBONE] else " The models differ, and so do the figures."),
        "",
        *table_head(["ours (paper, difference), %", *titles]),
    ]
    for dataset in PAPER_DATASETS:
        if any((dataset, n) in ours for n in columns):
            shown = [_pair(ours.get((dataset, n)), paper_figure(dataset, n)) for n in columns]
            lines.append(table_row([dataset, *shown]))
    means = []
    for n in columns:
        both = [(v, paper_figure(d, m) or 0.0) for (d, m), v in ours.items() if m == n]
        mean_ours = statistics.fmean(v for v, _ in both)
        means.append(_pair(mean_ours, statistics.fmean(p for _, p in both)) + f" of {len(both)}")
    lines.append(table_row(["mean", *means]))
    return "\n".join(lines) + "\n"


def _pair(ours: float | None, paper: float | None) -> str:
    if ours is None or paper is None:
        return "–"
    difference = ours - paper
    mark = " ▲" if difference > NEAR else " ▼" if difference < -NEAR else ""
    return f"{ours:.1f} ({paper:.1f}, {difference:+.1f}{mark})"
