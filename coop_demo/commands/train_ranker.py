"""python -m coop_demo train-ranker: teach the ranker an order from labels.csv."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from coop_demo.backbones.backbone import PLAIN_FORM
from coop_demo.backbones.features import EncodedPictures, encode_pictures
from coop_demo.commands.common import (
    add_backbone_options,
    add_json_option,
    backbone_for,
    give,
    say,
    seed_number,
    with_progress,
)
from coop_demo.data.near_copies import near_shots
from coop_demo.errors import RankingError
from coop_demo.ranking.checkpoint import (
    RANKER,
    load_ranker,
    save_ranker,
    shipped_ranker_path,
)
from coop_demo.ranking.labels import RankingTable, check_apart, read_labels_csv
from coop_demo.ranking.losses import LossConfig
from coop_demo.ranking.ranker import RankerTrainConfig, tasks_from_table
from coop_demo.ranking.training import RankerEvent, train_ranker
from coop_demo.wording import counted

TRAIN_SPLIT = "train"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        required=True,
        metavar="CSV",
        help="image,value,prompt[,split,category,weight], or a folder with a labels.csv; the "
        "reference's tab-separated filepath,title,cname,value,sample_weights_by_class works too",
    )
    parser.add_argument("--images", metavar="DIR", help="where the pictures' paths start from")
    parser.add_argument("--instruction", metavar="TEXT", help="for rows without a prompt")
    parser.add_argument("--out", required=True, metavar="FILE", help="a .safetensors file")
    parser.add_argument(
        "--split",
        default=TRAIN_SPLIT,
        help=f"rows to learn from, if there are splits ({TRAIN_SPLIT})",
    )
    parser.add_argument(
        "--held-out", metavar="SPLIT", help="rows to be measured on (val, else test, if there)"
    )
    parser.add_argument(
        "--start",
        metavar="FILE",
        help="ranker to start from; none starts afresh (default: the one that ships for the model)",
    )
    parser.add_argument("--steps", type=int, help="(60 from a ranker, 1000 afresh)")
    parser.add_argument("--learning-rate", type=float, help="(2e-4 from a ranker, 5e-4 afresh)")
    parser.add_argument("--batch-size", type=int, help="pictures of one instruction (32)")
    parser.add_argument("--seed", type=seed_number, default=1)
    parser.add_argument("--no-pairs", action="store_true", help="without the rank-aware branch")
    parser.add_argument("--title", default="", help="a name for the ranker")
    add_backbone_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    path = Path(args.data)
    if path.is_dir():
        path = path / "labels.csv"
    table = read_labels_csv(path, images=args.images, default_prompt=args.instruction, check=False)
    learn, measure = parts(table, args.split, args.held_out)
    backbone = backbone_for(args.backbone, args.device)
    start = start_ranker(args.start, backbone.name)
    ranker = load_ranker(start, backbone) if start else None
    config = train_config(args, afresh=ranker is None)
    RANKER.check_writable(args.out)

    rows = [*learn.rows, *(measure.rows if measure else ())]
    pictures = {row.picture.name: row.picture for row in rows}
    form = ranker.config.form if ranker else PLAIN_FORM
    encoded: EncodedPictures = with_progress(
        encode_pictures(backbone, list(pictures.values()), tokens=True, form=form)
    )
    names = list(pictures)
    row_of = {names[index]: row for row, index in enumerate(encoded.kept)}
    content_of = dict(zip(row_of, encoded.contents, strict=True))
    look_of = dict(zip(row_of, encoded.looks, strict=True))
    learned = [name for name in dict.fromkeys(r.picture.name for r in learn.rows) if name in row_of]
    measure, copies = without_copies(learn, measure, content_of)
    if measure is not None:
        judged = [n for n in dict.fromkeys(r.picture.name for r in measure.rows) if n in row_of]
        shots = [look.text() for look in map(look_of.get, learned) if look is not None]
        copies = [*copies, *near_shots([look_of[name] for name in judged], shots, judged)]
    tasks, left_out = tasks_from_table(learn, row_of)
    if not tasks and left_out:
        raise RankingError(left_out[0])
    held_out = None
    if measure is not None:
        measured, unmeasured = tasks_from_table(measure, row_of, negatives=False)
        left_out += [f"Not measured: {sentence}" for sentence in unmeasured]
        held_out = (encoded.features, measured) if measured else None
    notes = [*table.notes, *copies, *left_out]

    last = _with_bar(
        train_ranker(
            backbone,
            encoded.features,
            tasks,
            held_out=held_out,
            start=ranker,
            config=config,
            title=args.title,
        ),
        config.steps,
    )
    for sentence in (*table.problems, *encoded.problems, *notes, last.message):
        if sentence:
            say(sentence)
    if last.ranker is None:
        raise RankingError(last.message)
    trained = last.ranker.having_learned_from(
        [content_of[name] for name in learned],
        [look_of[name] for name in learned],
        start=ranker,
    )
    save_ranker(trained, args.out)
    result = {
        "backbone": backbone.name,
        "backbone_identity": backbone.identity,
        "start": str(start) if start else None,
        "ranker": args.out,
        "n_pictures": len(encoded.kept),
        "instructions": [asdict(one) for one in last.ranker.instructions],
        "learned_now": [task.instruction for task in tasks],
        "steps": last.step,
        "seed": args.seed,
        "status": last.status,
        "loss": last.loss,
        "before": _figures(last.before),
        "held_out": _figures(last.held_out),
        "history": list(last.ranker.history),
        "seconds_encoding": round(encoded.seconds, 3),
        "seconds_training": round(last.seconds, 3),
        "problems": [*table.problems, *encoded.problems],
        "notes": notes,
    }
    give(result, args.json, summary(result))


def parts(
    table: RankingTable, split: str, held_out: str | None
) -> tuple[RankingTable, RankingTable | None]:
    """The rows to learn from and those to be measured on.

    Raises:
        RankingError: a split that the table does not have, or pictures that are in both.
    """
    if not any(table.splits):
        if held_out:
            raise RankingError(f'"{table.name}" has no column split. Add it or drop --held-out.')
        return table, None
    learn = table.select(split=split)
    wanted = held_out or next((s for s in ("val", "test") if s in table.splits and s != split), "")
    if not wanted:
        return learn, None
    measure = table.select(split=wanted)
    check_apart(learn, measure)
    return learn, measure


def without_copies(
    learn: RankingTable, measure: RankingTable | None, content_of: Mapping[str, str]
) -> tuple[RankingTable | None, list[str]]:
    """The rows to be measured on without images that are learned from under another name.

    Args:
        content_of: image name -> content hash, of the images that could be read.

    Raises:
        RankingError: nothing is left to be measured on.
    """
    if measure is None:
        return None, []
    learned = {content_of[row.picture.name] for row in learn.rows if row.picture.name in content_of}
    rows = tuple(r for r in measure.rows if content_of.get(r.picture.name) not in learned)
    n_copies = len({r.picture.name for r in measure.rows} - {r.picture.name for r in rows})
    if not n_copies:
        return measure, []
    if not rows:
        raise RankingError(
            "Every picture to judge by is a copy of one to learn from, so what is learned would be "
            "measured on itself. Put other pictures into the split to judge by."
        )
    verb = "is a copy" if n_copies == 1 else "are copies"
    return replace(measure, rows=rows), [
        f"{counted(n_copies, 'picture')} to judge by {verb} of pictures to learn from and left out."
    ]


def start_ranker(given: str | None, backbone_name: str) -> Path | None:
    """The ranker file to start from, None to start afresh."""
    if given is not None:
        return None if given.strip().lower() == "none" else Path(given)
    return shipped_ranker_path(backbone_name)


def train_config(args: argparse.Namespace, *, afresh: bool) -> RankerTrainConfig:
    chosen: dict[str, Any] = {
        name: value
        for name, value in (
            ("steps", args.steps),
            ("learning_rate", args.learning_rate),
            ("batch_size", args.batch_size),
            ("loss", LossConfig(rank_weight=0.0) if args.no_pairs else None),
        )
        if value is not None
    }
    chosen["seed"] = args.seed
    return RankerTrainConfig(**chosen) if afresh else RankerTrainConfig.teach(**chosen)


def _with_bar(events: Iterator[RankerEvent], steps: int) -> RankerEvent:
    last = None
    with tqdm(total=steps, desc="training", leave=False) as bar:
        for last in events:
            bar.update(last.step - bar.n)
            if last.step:
                bar.set_postfix(loss=f"{last.loss:.3f}")
    assert last is not None
    return last


def _figures(figures) -> dict | None:
    return None if figures is None else {name: one.to_mapping() for name, one in figures.items()}


def summary(result: dict) -> str:
    lines = [
        f"{result['n_pictures']} pictures, {len(result['learned_now'])} instructions, "
        f"{result['steps']} steps from {result['start'] or 'nothing'}",
        f"encoded in {result['seconds_encoding']:.1f} s, trained in "
        f"{result['seconds_training']:.1f} s",
    ]
    for name, now in (result["held_out"] or {}).items():
        then = (result["before"] or {}).get(name, {})
        lines.append(
            f"held out, {name} pair accuracy {_plain(then.get('pair_accuracy'))} before, "
            f"{_plain(now['pair_accuracy'])} after; SRCC {_plain(then.get('srcc'))} before, "
            f"{_plain(now['srcc'])} after ({now['n']} pictures)"
        )
    lines.append(f"saved to {result['ranker']}")
    return "\n".join(lines)


def _plain(figure: float | None) -> str:
    return "not defined" if figure is None else f"{figure:.3f}"
