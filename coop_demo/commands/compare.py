"""python -m coop_demo compare: is the learned prompt really better? Everything the tab shows.

Methods side by side on the same shots and the same held-out pictures; on demand the shots curve,
what the prompt forgets, a second set, the words nearest to what was learned, and a report.
"""

import argparse
from dataclasses import asdict
from typing import Any

from coop_demo.charts import comparison as comparison_charts
from coop_demo.charts.report import Report, write_report
from coop_demo.commands.common import (
    add_backbone_options,
    add_data_options,
    add_json_option,
    backbone_for,
    data_of,
    give,
    say,
    seed_number,
    with_progress,
)
from coop_demo.comparison.base_to_new import BaseToNew, base_to_new
from coop_demo.comparison.calibration import Calibration, calibrate, reliability
from coop_demo.comparison.compare import DEFAULT_METHODS, Comparison, compare
from coop_demo.comparison.confusion import confusion_matrix, disagreements
from coop_demo.comparison.grid import PAPER_SHOTS, GridResult, shots_curve
from coop_demo.comparison.methods import COMPARISON_METHODS, KGCOOP_WEIGHT
from coop_demo.comparison.shift import Shift, shift
from coop_demo.data.folders import read_data
from coop_demo.languages import comparison as verdicts
from coop_demo.prompts.checkpoint import load_prompt
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.templates import DEFAULT_TEMPLATE
from coop_demo.prompts.words import nearest_words, words_accuracy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data_options(parser)
    parser.add_argument(
        "--methods",
        nargs="+",
        default=list(DEFAULT_METHODS),
        metavar="METHOD",
        help=f"of {', '.join(COMPARISON_METHODS)} (default: {' '.join(DEFAULT_METHODS)})",
    )
    parser.add_argument(
        "--template",
        nargs="+",
        default=[DEFAULT_TEMPLATE],
        metavar="TEXT",
        help="hand-crafted prompts; the first is the one to beat",
    )
    parser.add_argument(
        "--prompt", nargs="+", default=[], metavar="FILE", help="saved prompts, not trained again"
    )
    parser.add_argument("--shots", type=int, default=16, help="training pictures a class (16)")
    parser.add_argument(
        "--seed",
        type=seed_number,
        help="draws shots and held-out pictures (1, or the seed of a prompt given with --prompt)",
    )
    parser.add_argument("--preset", choices=("fast", "paper"), default="fast", help="as for train")
    parser.add_argument("--context-length", type=int, default=16, help="vectors, 1 to 32 (16)")
    parser.add_argument("--steps", type=int, help="instead of the preset's")
    parser.add_argument(
        "--curve",
        type=int,
        nargs="*",
        metavar="N",
        help="accuracy over these shot counts (1 2 4 8 16), as far as the pictures go",
    )
    parser.add_argument(
        "--seeds", type=seed_number, nargs="+", default=[1, 2, 3], help="of the curve"
    )
    parser.add_argument(
        "--forget",
        nargs="*",
        metavar="CLASS",
        help="learn without these classes (the second half) and apply the prompt to their names; "
        "names that are no classes of the set are more wrong answers to choose from",
    )
    parser.add_argument(
        "--kgcoop", type=float, default=KGCOOP_WEIGHT, metavar="LAMBDA", help="pull, for --forget"
    )
    parser.add_argument("--second", metavar="DIR", help="test there: same class names, other style")
    parser.add_argument("--words", action="store_true", help="read the context vectors as words")
    parser.add_argument(
        "--temperature", type=float, metavar="T", help="calibration error at this temperature too"
    )
    parser.add_argument(
        "--report", metavar="PATH", help="write report.html and CSV tables: a folder or a .zip"
    )
    parser.add_argument(
        "--pictures", action="store_true", help="show pictures in the report where methods differ"
    )
    add_backbone_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    backbone = backbone_for(args.backbone, args.device)
    dataset = data_of(args)
    prompts = [load_prompt(path, backbone) for path in args.prompt]
    # with the seed of its training a prompt is never judged on pictures it learned from
    seed = prompts[0].train_config.seed if prompts else 1
    seed = seed if args.seed is None else args.seed
    training: dict[str, Any] = {
        "preset": args.preset,
        "prompt_config": PromptConfig(n_ctx=args.context_length),
        "steps": args.steps,
    }
    comparison: Comparison = with_progress(
        compare(
            backbone,
            dataset,
            methods=args.methods,
            templates=args.template,
            prompts=prompts,
            shots=args.shots,
            seed=seed,
            **training,
        )
    )
    calibrations = {r.title: calibrate(r.logits, comparison.labels) for r in comparison.results}
    bounds = verdicts.at_bound_sentences(calibrations)
    for sentence in (
        *comparison.prepared.dataset.problems,
        *comparison.problems,
        *comparison.notes,
        *bounds,
    ):
        say(sentence)
    table = comparison_charts.methods_table(comparison)
    result: dict[str, Any] = {
        "settings": dict(comparison.settings),
        "class_names": list(comparison.class_names),
        "methods": table.to_dict("records"),
        "verdict": verdicts.comparison_sentence(comparison),
        "confusion": {
            found.method: confusion_matrix(
                found.predicted, comparison.labels, len(comparison.class_names)
            ).tolist()
            for found in comparison.results
        },
        "per_class": comparison_charts.per_class_table(
            comparison, [found.method for found in comparison.results]
        ).to_dict("records"),
        "calibration": _calibration(comparison, calibrations, args.temperature),
        "problems": list(comparison.problems),
        "notes": [*comparison.notes, *bounds],
    }
    lines = [_method_line(row) for row in table.to_dict("records")]
    if result["verdict"]:
        lines.append(result["verdict"])

    learned = next((r for r in comparison.results if r.classifier.prompt is not None), None)
    if learned is not None:
        parted = disagreements(
            learned.logits, comparison.result("hand-crafted").logits, comparison.labels
        )
        result["disagreements"] = {
            key: [comparison.pictures[at].picture.name for at in numbers]
            for key, numbers in asdict(parted).items()
        }
    words, lost = [], None
    if args.words:
        if learned is None or learned.classifier.prompt is None:
            say("No learned prompt was compared, so there are no words to read.")
        else:
            prompt = learned.classifier.prompt
            words = nearest_words(backbone, prompt)
            lost = words_accuracy(
                backbone,
                prompt,
                comparison.prepared.test_features,
                comparison.labels,
                hand_crafted=comparison.result("hand-crafted").classifier.weights,
            )
            result["words"] = [asdict(row) for row in words]
            result["words_accuracy"] = asdict(lost)
            for row in words[:32]:
                near = ", ".join(word.word for word in row.by_distance[:3])
                lines.append(
                    f"  vector {row.position}{f' of {row.class_name}' if row.class_name else ''}: "
                    f"{near} at {row.by_distance[0].value:.3f} (a random vector: "
                    f"{row.random_distance:.3f})"
                )
            table_of = comparison_charts.words_accuracy_table(lost).to_dict("records")
            lines += [f"  {row['prompt']}: {_percent(row['accuracy %'])}" for row in table_of]

    cells = ()
    if args.curve is not None:
        grid: GridResult = with_progress(
            shots_curve(
                backbone,
                dataset,
                shots=args.curve or PAPER_SHOTS,
                seeds=args.seeds,
                methods=["hand-crafted", *args.methods],
                template=args.template[0],
                held_out_seed=seed,
                **training,
            )
        )
        cells = grid.cells
        frame = comparison_charts.shots_frame(cells)
        result["curve"] = frame.to_dict("records")
        for problem in grid.problems:
            say(problem)
        for row in frame.to_dict("records"):
            spread = "" if row["sd"] != row["sd"] or row["sd"] is None else f" ± {row['sd']:.1f}"
            lines.append(f"  {row['method']}, {row['shots']} shots: {row['mean']:.1f} %{spread}")

    forgotten: BaseToNew | None = None
    if args.forget is not None:
        forgotten = with_progress(
            base_to_new(
                backbone,
                dataset,
                new_classes=args.forget or None,
                template=args.template[0],
                kgcoop_weight=args.kgcoop,
                shots=args.shots,
                seed=seed,
                **training,
            )
        )
        assert forgotten is not None
        if forgotten.remark:
            say(forgotten.remark)
        result["forgetting"] = {
            "learned_classes": list(forgotten.base_names),
            "new_classes": list(forgotten.new_names),
            "names_without_pictures": list(forgotten.without_pictures),
            "rows": comparison_charts.base_to_new_table(forgotten).to_dict("records"),
        }
        lines += [
            f"  {row.title}: learned classes {row.base}, new classes {row.new}, "
            f"among all names {row.together}"
            for row in forgotten.rows
        ]

    moved: Shift | None = None
    if args.second:
        moved = with_progress(shift(backbone, comparison, read_data(args.second)))
        assert moved is not None
        for note in moved.notes:
            say(note)
        result["second"] = {
            "rows": comparison_charts.shift_table(moved).to_dict("records"),
            "notes": list(moved.notes),
        }
        lines += [f"  {row.title}: here {row.here}, there {row.there}" for row in moved.rows]

    if args.report:
        report = Report(comparison, cells, forgotten, moved, words, lost)
        path = write_report(report, args.report, pictures=args.pictures)
        result["report"] = str(path)
        lines.append(f"Report: {path}")
    give(result, args.json, "\n".join(lines))


def _method_line(row: dict[str, Any]) -> str:
    against = ""
    if row["McNemar p"] == row["McNemar p"] and row["McNemar p"] is not None:
        against = (
            f"; against the words +{row['better on']:.0f} -{row['worse on']:.0f}, "
            f"p = {row['McNemar p']:.2g}"
        )
    return (
        f"{row['accuracy %']:5.1f} % ({row['from %']:.1f} to {row['to %']:.1f}) {row['method']}, "
        f"{row['seconds']:.2f} s{against}"
    )


def _calibration(
    comparison: Comparison, found: dict[str, Calibration], temperature: float | None
) -> list[dict[str, Any]]:
    rows = comparison_charts.calibration_table(found).to_dict("records")
    if temperature is not None:
        for row, result in zip(rows, comparison.results, strict=True):
            at = reliability(result.logits, comparison.labels, temperature=temperature)
            row[f"error at {temperature:g} %"] = None if at.ece is None else round(100 * at.ece, 2)
    return rows  # type: ignore[return-value]


def _percent(value: float | None) -> str:
    return "not measured" if value is None or value != value else f"{value:.1f} %"
