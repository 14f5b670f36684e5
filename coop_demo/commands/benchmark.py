"""python -m coop_demo benchmark: the figures this project claims, measured on this computer.

Without a kind it is the paper's protocol: every data set × method × shots × seed below --data, in
our layout or in CoOp's own. Finished cells are appended to --out at once, and the same command
again does only what is missing.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from coop_demo.backbones.backbone import random_backbone
from coop_demo.backbones.features import EncodeEvent
from coop_demo.charts.paper import paper_svg
from coop_demo.commands.common import (
    add_backbone_options,
    add_json_option,
    backbone_for,
    give,
    positive,
    say,
    seed_number,
    with_progress,
)
from coop_demo.commands.engines import add_engine_options, engine_of, opener
from coop_demo.commands.rank import ranker_for
from coop_demo.comparison.estimate import estimate_grid
from coop_demo.comparison.grid import (
    GRID_METHODS,
    PAPER_SEEDS,
    PAPER_SHOTS,
    GridEvent,
    GridProblem,
    GridProgress,
    GridResult,
    benchmark,
)
from coop_demo.comparison.methods import COMPARISON_METHODS
from coop_demo.comparison.paper_table import PAPER_DATASETS, beside_paper
from coop_demo.comparison.results_csv import open_results
from coop_demo.comparison.summary import losses, markdown_table, summary
from coop_demo.engines.local import cores
from coop_demo.errors import UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.ranking.labels import read_labels_csv
from coop_demo.ranking.metrics import mean_of_known, two_digits
from coop_demo.recipes.ranking_benchmark import benchmark_pairs, benchmark_piles, learning_curve
from coop_demo.recipes.text_tower_benchmark import time_text_tower
from coop_demo.runtime import pick_device
from coop_demo.wording import table_head

KINDS = ("protocol", "speed", "text-tower", "pairs", "piles", "labels", "localisation")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        nargs="?",
        choices=KINDS,
        default="protocol",
        help="protocol (the default): data sets × methods × shots × seeds; speed: a training "
        "step, ours beside the reference's, on this computer; text-tower: our tower "
        "against the reference's full-length loop; pairs: the ranking loss both ways; piles: "
        "seconds to order pictures, with and without the cache; labels: what a ranker learns from "
        "more and more labelled pictures; "
        "localisation: how often a map's peak lies on the object that was asked for",
    )
    grid = parser.add_argument_group("protocol")
    grid.add_argument("--data", metavar="ROOT", help="folder that holds the data sets")
    grid.add_argument(
        "--datasets",
        nargs="+",
        metavar="NAME",
        help="folders in it, or CoOp's sets; `paper` stands for the paper's eleven",
    )
    grid.add_argument("--shots", type=int, nargs="+", default=list(PAPER_SHOTS), metavar="N")
    grid.add_argument(
        "--seeds", type=seed_number, nargs="+", default=list(PAPER_SEEDS), metavar="N"
    )
    grid.add_argument(
        "--methods",
        nargs="+",
        default=list(GRID_METHODS),
        metavar="METHOD",
        help=f"of {', '.join(COMPARISON_METHODS)} (default: {' '.join(GRID_METHODS)})",
    )
    grid.add_argument("--out", metavar="FILE", help="CSV that finished cells are appended to")
    grid.add_argument(
        "--report",
        metavar="FILE.md",
        help="write the tables as Markdown, ours beside the paper's, and the plot as FILE.svg",
    )
    grid.add_argument(
        "--estimate", action="store_true", help="say what it would take, and do not begin"
    )
    grid.add_argument("--template", default="", help="prompt to beat (the paper's for its sets)")
    grid.add_argument("--preset", choices=("fast", "paper"), default="fast", help="as for train")
    grid.add_argument("--context-length", type=int, default=16, help="vectors, 1 to 32 (16)")
    grid.add_argument("--steps", type=int, help="instead of the preset's")
    grid.add_argument("--views", type=int, help="encoded views of each shot")
    timing = parser.add_argument_group("text-tower, pairs, piles, labels and localisation")
    timing.add_argument(
        "--classes",
        type=positive,
        nargs="+",
        default=[10, 100],
        help="text-tower: numbers of classes",
    )
    timing.add_argument(
        "--pictures",
        type=positive,
        nargs="+",
        metavar="N",
        help="pairs (16 64 256), piles (50 200 800) and labels (10 20 30 60 120): how many",
    )
    timing.add_argument(
        "--images", metavar="DIR|CSV", help="piles: a folder of pictures; labels: a labels.csv"
    )
    timing.add_argument("--prompt", metavar="TEXT", help="labels: the instruction of labels.csv")
    timing.add_argument(
        "--instruction", metavar="TEXT", help="labels: how the ranker is asked (as --prompt)"
    )
    timing.add_argument(
        "--split",
        nargs=2,
        default=["train", "val"],
        metavar=("LEARN", "JUDGE"),
        help="labels: the two parts of labels.csv (train val)",
    )
    timing.add_argument(
        "--ranker", metavar="FILE", help="piles and labels (default: the one that ships)"
    )
    timing.add_argument("--repeats", type=positive, default=5, help="text-tower and pairs")
    timing.add_argument("--quick", action="store_true", help="speed: two towers, few classes")
    timing.add_argument(
        "--seconds", type=positive, default=240, help="speed: nothing new begins after so long"
    )
    timing.add_argument("--scenes", type=positive, help="localisation: how many")
    timing.add_argument(
        "--architecture",
        metavar="NAME",
        help="text-tower: random weights of an open_clip architecture instead of a backbone",
    )
    add_engine_options(parser)
    add_backbone_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    kinds = {
        "protocol": _protocol,
        "speed": _speed,
        "text-tower": _text_tower,
        "pairs": _pairs,
        "piles": _piles,
        "labels": _labels,
        "localisation": _localisation,
    }
    kinds[args.kind](args)


def _protocol(args: argparse.Namespace) -> None:
    missing = [
        option
        for option, value in (
            ("--data", args.data),
            ("--datasets", args.datasets),
            ("--out", args.out),
        )
        if not value
    ]
    if missing:
        raise UserError(
            f"The protocol needs {' and '.join(missing)}: the folder of the data sets, their "
            "names, and a CSV for the results."
        )
    if args.report and Path(args.report).suffix.lower() != ".md":
        raise UserError(f'--report "{args.report}" must end in .md.')
    backbone = backbone_for(args.backbone, args.device)
    names = [
        one for name in args.datasets for one in (PAPER_DATASETS if name == "paper" else (name,))
    ]
    chosen = {
        "shots": args.shots,
        "seeds": args.seeds,
        "methods": args.methods,
        "preset": args.preset,
        "template": args.template,
        "prompt_config": PromptConfig(n_ctx=args.context_length),
        "steps": args.steps,
        "n_views": args.views,
    }
    if args.estimate or "paper" in args.datasets:
        there = open_results(args.out) if Path(args.out).is_file() else []
        workers = args.workers or (cores() if backbone.device.type == "cpu" else 1)
        said = estimate_grid(backbone, args.data, names, there=there, workers=workers, **chosen)
        if said is None:
            raise UserError(f'None of the sets is in "{args.data}". Check --data and --datasets.')
        say(str(said))
        if args.estimate:
            give({**asdict(said), "hours": said.hours}, args.json, "")
            return
    with engine_of(args, backbone) as engine:
        result = _with_cells(
            benchmark(
                backbone,
                args.data,
                names,
                out=args.out,
                engine=engine,
                open_backbone=opener(args, backbone),
                **chosen,
            )
        )
    said = {
        "backbone": backbone.identity,
        "results": str(Path(args.out)),
        "seconds": result.seconds,
        "summary": summary(result.cells),
        "losses": losses(result.cells),
        "problems": list(result.problems),
    }
    beside = beside_paper(result.cells)
    lines = [markdown_table(result.cells), beside, *losses(result.cells)]
    if args.report and result.cells:
        said["report"] = [str(path) for path in _write_report(Path(args.report), result)]
    give(said, args.json, "\n".join(filter(None, lines)))
    if not result.cells:
        raise UserError("No cell could be measured; the sentences above say why.")


def _write_report(path: Path, result: GridResult) -> tuple[Path, Path]:
    """Tables and plot, ready for a README."""
    picture = path.with_suffix(".svg")
    text = "\n".join(
        filter(
            None,
            (
                f"![Accuracy over shots]({picture.name})\n",
                markdown_table(result.cells),
                beside_paper(result.cells),
                "\n".join(f"- {one}" for one in losses(result.cells)),
            ),
        )
    )
    try:
        picture.write_text(paper_svg(result.cells), encoding="utf-8")
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f'The report "{path}" cannot be written ({error.strerror}). The results are in the '
            "CSV; choose another --report and start again."
        ) from error
    return path, picture


def _with_cells(events: Iterator[GridEvent]) -> GridResult:
    """One bar for the whole grid with the cell at hand; problems above it as they come."""
    with tqdm(total=0, unit="cell", file=sys.stderr) as bar:
        for event in events:
            if isinstance(event, GridResult):
                return event
            if isinstance(event, GridProblem):
                bar.write(event.message, file=sys.stderr)
            elif isinstance(event, EncodeEvent):
                bar.set_postfix_str(f"encoding {event.done} of {event.total}")
            elif isinstance(event, GridProgress):
                bar.total = event.total
                bar.update(event.done - bar.n)
                where = f"{event.dataset} {event.method}"
                where += f" {event.shots} shots seed {event.seed}" if event.shots else ""
                bar.set_postfix_str(where)
    raise AssertionError("a grid ends with its result")


def _speed(args: argparse.Namespace) -> None:
    from coop_demo.recipes.speed import markdown, measure_speed

    device = pick_device(args.device)
    timings = []
    for found in measure_speed(device, quick=args.quick, seconds=args.seconds):
        timings.append(found)
        say(str(found))
    rows = [{"kind": type(found).__name__, **asdict(found)} for found in timings]
    give({"device": device, "timings": rows}, args.json, markdown(timings))


def _text_tower(args: argparse.Namespace) -> None:
    if args.architecture:
        backbone = random_backbone(args.architecture)
    else:
        backbone = backbone_for(args.backbone, args.device)
    rows = []
    lines = table_head(["classes", "77 tokens", "cut after EOT", "shared prefix", "times faster"])
    for timing in time_text_tower(backbone, args.classes, repeats=args.repeats):
        ratio = timing.full_length / timing.shared_prefix
        rows.append({**asdict(timing), "times_faster": ratio})
        lines.append(
            f"| {timing.n_classes} | {timing.full_length:.3f} s | {timing.cut:.3f} s | "
            f"{timing.shared_prefix:.3f} s | {ratio:.1f} |"
        )
        say(lines[-1])
    give({"backbone": backbone.name, "timings": rows}, args.json, "\n".join(lines))


def _pairs(args: argparse.Namespace) -> None:
    rows = []
    lines = table_head(
        ["pictures", "every pair by itself", "once a picture", "times faster", "gradients apart"]
    )
    for found in benchmark_pairs(args.pictures or (16, 64, 256), repeats=args.repeats):
        rows.append(found.to_mapping())
        lines.append(
            f"| {found.n_pictures} | {found.literal_seconds:.3f} s | "
            f"{found.factorised_seconds:.3f} s | {found.speedup:.1f} | "
            f"{found.gradient_difference:.1e} |"
        )
        say(lines[-1])
    give({"pairs": rows}, args.json, "\n".join(lines))


def _piles(args: argparse.Namespace) -> None:
    ranker, backbone, _ = ranker_for(args.ranker, args.backbone, args.device)
    rows = []
    lines = table_head(["pictures", "encoding", "again, cached", "scoring", "memory, peak"])
    for found in benchmark_piles(
        backbone, ranker, _named(args.images), sizes=args.pictures or (50, 200, 800)
    ):
        rows.append(found.to_mapping())
        lines.append(
            f"| {found.n_pictures} | {found.encoding_seconds:.1f} s | {found.cached_seconds:.2f} s "
            f"| {found.scoring_seconds:.2f} s | {found.peak_megabytes:.0f} MB |"
        )
        say(lines[-1])
    give({"backbone": backbone.identity, "piles": rows}, args.json, "\n".join(lines))


def _labels(args: argparse.Namespace) -> None:
    ranker, backbone, _ = ranker_for(args.ranker, args.backbone, args.device)
    table = read_labels_csv(_named(args.images), check=False)
    prompt = args.prompt or table.prompts[0]
    learn, judge = (table.select(split=split, prompt=prompt) for split in args.split)
    points = []
    for point in learning_curve(
        backbone,
        ranker,
        learn,
        judge,
        args.instruction or prompt,
        sizes=args.pictures or (10, 20, 30, 60, 120),
        seeds=args.seeds,
    ):
        points.append(point)
        say(
            f"{point.n_labelled} labelled, seed {point.seed}: taught {two_digits(point.taught)}, "
            f"ridge {two_digits(point.ridge)}, {point.seconds:.1f} s"
        )
    lines = ["| labelled | ranker, untaught | taught | a new adapter | ridge |", "|---" * 5 + "|"]
    for n in dict.fromkeys(point.n_labelled for point in points):
        own = [point for point in points if point.n_labelled == n]
        means = (
            mean_of_known(getattr(point, name) for point in own)
            for name in ("before", "taught", "from_nothing", "ridge")
        )
        lines.append(f"| {n} | " + " | ".join(two_digits(mean) for mean in means) + " |")
    said = {
        "backbone": backbone.identity,
        "instruction": args.instruction or prompt,
        "n_judged": len(judge.rows),
        "points": [point.to_mapping() for point in points],
    }
    give(said, args.json, "\n".join(lines))


def _named(images: str | None) -> str:
    if not images:
        raise UserError("Name the pictures with --images: a folder, or for labels a labels.csv.")
    return images


def _localisation(args: argparse.Namespace) -> None:
    # imported here: the scenes need the stamps' package, the other kinds do not
    from coop_demo.recipes.localisation import SCENES, measure_localisation

    backbone = backbone_for(args.backbone, args.device)
    last = with_progress(measure_localisation(backbone, n_scenes=args.scenes or SCENES))
    rows = [row.to_mapping() for row in last.rows]
    lines = table_head(["method", "explains", "objects", "hits", "chance", "any object"])
    for row in rows:
        kept = "recognised alone, " if row["recognised_only"] else ""
        lines.append(
            f"| {row['method']} | {row['target']} | {kept}{row['objects']} | {row['percent']} % "
            f"({row['low']} to {row['high']}) of {row['n']} | {row['chance_percent']} % | "
            f"{row['any_object_percent']} % |"
        )
    give({"backbone": backbone.identity, "localisation": rows}, args.json, "\n".join(lines))
