"""Tables of a benchmark's results: mean and deviation over seeds, Markdown, runs lost."""

import statistics
from collections.abc import Sequence

from coop_demo.comparison.methods import COMPARISON_METHODS
from coop_demo.comparison.results_csv import Cell
from coop_demo.wording import table_head, table_row


def summary(cells: Sequence[Cell]) -> list[dict]:
    """Mean and standard deviation over seeds, one record a data set, method and shot count.

    The deviation is that of the sample (n − 1); None for a single seed. Accuracies are
    fractions. Cells of several settings are kept apart by `settings_hash`.
    """
    groups: dict[tuple, list[Cell]] = {}
    for cell in cells:
        key = (cell.dataset, cell.method, cell.shots, cell.settings_hash)
        groups.setdefault(key, []).append(cell)
    return [
        {
            "dataset": dataset,
            "method": method,
            "shots": shots,
            "settings_hash": settings_hash,
            "mean": statistics.fmean(cell.accuracy for cell in group),
            "sd": statistics.stdev(cell.accuracy for cell in group) if len(group) > 1 else None,
            "n_seeds": len(group),
            "seconds": statistics.fmean(cell.seconds for cell in group),
        }
        for (dataset, method, shots, settings_hash), group in groups.items()
    ]


def markdown_table(cells: Sequence[Cell]) -> str:
    """The results as markdown: a table a data set, methods down, shots across, % mean ± sd.

    Methods that see no picture show their figure under every shot count. With two or more sets
    the last table is the mean over the sets, of cells that all sets have.
    """
    if not cells:
        return "No cell is finished yet."
    records = summary(cells)
    datasets = list(dict.fromkeys(r["dataset"] for r in records))
    methods = [key for key in COMPARISON_METHODS if any(r["method"] == key for r in records)]
    shots = sorted({r["shots"] for r in records if r["shots"]}) or [0]
    found = {(r["dataset"], r["method"], r["shots"]): r for r in records}

    def record(dataset: str, method: str, n: int) -> dict | None:
        return found.get((dataset, method, n if COMPARISON_METHODS[method].needs_pictures else 0))

    def shown(r: dict | None) -> str:
        if r is None:
            return "–"
        deviation = "" if r["sd"] is None else f" ± {100 * r['sd']:.1f}"
        return f"{100 * r['mean']:.1f}{deviation}"

    def mean_over_sets(method: str, n: int) -> str:
        rows = [record(dataset, method, n) for dataset in datasets]
        if any(r is None for r in rows):
            return "–"
        return f"{100 * statistics.fmean(r['mean'] for r in rows if r is not None):.1f}"

    titles = ["zero-shot" if n == 0 else f"{n} shot{'s' if n > 1 else ''}" for n in shots]

    def table(title: str, cell) -> list[str]:
        lines = [
            f"### {title}",
            "",
            *table_head(["Accuracy, %", *titles]),
        ]
        for method in methods:
            row = [cell(method, n) for n in shots]
            lines.append(table_row([COMPARISON_METHODS[method].title, *row]))
        return [*lines, ""]

    lines: list[str] = []
    for dataset in datasets:
        tests = {c.n_test for c in cells if c.dataset == dataset}
        title = f"{dataset.replace('|', '/')} ({', '.join(map(str, sorted(tests)))} test pictures)"
        lines += table(title, lambda m, n, d=dataset: shown(record(d, m, n)))
    if len(datasets) > 1:
        lines += table(f"Mean of {len(datasets)} sets", mean_over_sets)
    return "\n".join(lines).rstrip() + "\n"


def losses(cells: Sequence[Cell], method: str = "learned") -> list[str]:
    """How often a learned prompt loses to the hand-crafted one and to each rival, in sentences.

    Cells are paired by data set, shots and seed (a method without a seed with every seed).
    """
    by_key = {(c.dataset, c.method, c.shots, c.seed): c for c in cells}
    own = [c for c in cells if c.method == method]
    sentences = []
    for rival in COMPARISON_METHODS.values():
        if rival.key == method:
            continue
        pairs = []
        for cell in own:
            n = cell.shots if rival.needs_pictures else 0
            other = by_key.get((cell.dataset, rival.key, n, cell.seed))
            if other is None and not rival.needs_pictures:
                other = by_key.get((cell.dataset, rival.key, 0, 0))
            if other is not None:
                pairs.append((cell.correct, other.correct))
        if pairs:
            worse = sum(a < b for a, b in pairs)
            equal = sum(a == b for a, b in pairs)
            tied = f" and equals it in {equal}" if equal else ""
            sentences.append(
                f"{COMPARISON_METHODS[method].title} loses to {rival.title} in {worse} of "
                f"{len(pairs)} cells{tied}."
            )
    return sentences
