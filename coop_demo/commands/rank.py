"""python -m coop_demo rank: order pictures by an instruction.

Pictures come from a folder, or from a labels.csv (image,value,prompt[,split,category]). With
labels, the order is measured against them. --top N is for very many pictures: a folder with all
below it, a CSV of paths or an address, in one pass and in memory that does not grow; only the
first N are kept, and pairs are compared among them. --index asks an index instead, by opposite
prompts or by cosine: the ranker needs the pictures.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from coop_demo.backbones.backbone import Backbone
from coop_demo.commands.common import (
    add_backbone_options,
    add_json_option,
    backbone_for,
    give,
    positive,
    say,
    with_progress,
)
from coop_demo.commands.engines import add_engine_options
from coop_demo.commands.rank_top import run_top
from coop_demo.data.dataset import Picture
from coop_demo.data.images import list_pictures
from coop_demo.errors import RankingError
from coop_demo.ranking.checkpoint import load_ranker, ranker_model, shipped_ranker_path
from coop_demo.ranking.instructions import (
    AntonymPair,
    check_instruction,
    instruction_key,
)
from coop_demo.ranking.labels import RankingTable, read_labels_csv
from coop_demo.ranking.metrics import ranking_metrics
from coop_demo.ranking.order import (
    ANTONYMS,
    COSINE,
    RANKER,
    RANKING_METHODS,
    Floats,
    ScoredImages,
    judge,
    orders_of,
    score_images,
)
from coop_demo.ranking.ranker import Ranker
from coop_demo.ranking.reading import antonyms_for, reading_sentence
from coop_demo.ranking.trust import trust_sentence
from coop_demo.settings import environment_backbone

METHOD_OF = {"adapter": RANKER, "antonyms": ANTONYMS, "cosine": COSINE}  # as the option says it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "--images",
        metavar="DIR|CSV",
        help="a folder of pictures, or a labels.csv; with --top also a list of paths or an address",
    )
    given.add_argument(
        "--index", metavar="INDEX", help="made by index; for --method antonyms and cosine"
    )
    parser.add_argument(
        "--top", type=positive, metavar="N", help="keep the first N of very many pictures"
    )
    parser.add_argument(
        "--out", metavar="FILE", help="with --top or --index: the order, .parquet or .csv"
    )
    parser.add_argument(
        "--instruction",
        metavar="TEXT",
        help='what to rank by, for example "Rank the brightness." (default: the one that '
        "labels.csv gives, when it gives one only)",
    )
    parser.add_argument(
        "--labels",
        metavar="CSV",
        help="image,value,prompt[,split]: measures the order; pictures start from --images when "
        "that is a folder",
    )
    parser.add_argument("--split", help="only the rows of this split, such as test")
    parser.add_argument("--method", choices=METHOD_OF, default="adapter", help="(adapter)")
    parser.add_argument(
        "--ranker", metavar="FILE", help="saved by train-ranker (default: the one that ships)"
    )
    parser.add_argument(
        "--antonyms",
        nargs=2,
        metavar=("HIGH", "LOW"),
        help="two opposite prompts for --method antonyms (default: proposed from the instruction)",
    )
    parser.add_argument(
        "--rivals",
        action="store_true",
        help="with labels: measure cosine and antonym pair too, and judge the ranker beside them",
    )
    add_engine_options(parser)
    add_backbone_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    if args.ranker and args.method != "adapter":
        raise RankingError(f"--ranker is for --method adapter, not {args.method}. Leave one out.")
    if args.antonyms and args.method != "antonyms" and not args.rivals:
        raise RankingError(f"--antonyms is for --method antonyms, not {args.method}.")
    if args.rivals and args.method != "adapter":
        raise RankingError("--rivals judges the ranker: leave --method out.")
    if args.top or args.index:
        ranker, backbone = None, None
        if args.method == "adapter" and not args.index:
            ranker, backbone, _ = ranker_for(args.ranker, args.backbone, args.device)
        run_top(args, METHOD_OF[args.method], ranker, backbone)
        return
    if args.out:
        raise RankingError("--out goes with --top or --index. Use --json to write a whole order.")
    chosen = choose_pictures(args.images, args.labels, args.split, args.instruction)
    instruction = check_instruction(chosen.instruction)

    ranker, ranker_file = None, None
    if args.method == "adapter" or args.rivals:
        ranker, backbone, ranker_file = ranker_for(args.ranker, args.backbone, args.device)
    else:
        backbone = backbone_for(args.backbone, args.device)
    instruction = check_instruction(instruction, backbone)
    method = METHOD_OF[args.method]
    pair = AntonymPair(*args.antonyms) if args.antonyms else antonyms_for(instruction)
    began = time.perf_counter()
    scored: ScoredImages = with_progress(
        score_images(
            backbone,
            chosen.pictures,
            [instruction],
            [pair],
            ranker,
            methods=RANKING_METHODS if args.rivals else (method,),
        )
    )
    seconds = time.perf_counter() - began

    def values(pictures: Sequence[Picture], _: str) -> Floats:
        if chosen.values is None:
            return np.full(len(pictures), np.nan)
        given = (chosen.values[at] for at in scored.kept)
        return np.array([np.nan if value is None else value for value in given], dtype=float)

    (order,), said = orders_of(
        scored,
        chosen.pictures,
        values,
        backbone=backbone.name,
        ranker=ranker,
        seconds=seconds,
    )
    scores = order.scores[method]
    ranked = [(order.pictures[i].name, float(scores[i])) for i in order.ranking(method)]
    notes = [*chosen.notes, *said]
    if (scores == scores[0]).all():
        notes.append("All pictures got the same score, so this order says nothing: are they equal?")
    result: dict = {
        "instruction": instruction,
        "asked": order.asked,
        "least_first": order.reading is not None and order.reading.is_turned,
        "method": args.method,
        "backbone": backbone.name,
        "backbone_identity": backbone.identity,
        "ranker": str(ranker_file) if ranker_file is not None else None,
        "antonyms": [pair.high, pair.low] if ANTONYMS in order.scores else None,
        "learned_instruction": ranker.learned(order.asked) is not None if ranker else None,
        "trust": None
        if order.trust is None
        else asdict(order.trust) | {"level": order.trust.level},
        "n_pictures": len(ranked),
        "order": [{"image": image, "score": score} for image, score in ranked],
        "srcc": None,
        "plcc": None,
        "kendall": None,
        "pair_accuracy": None,
        "seconds": round(seconds, 3),
        "n_encoded": scored.n_encoded,
        "problems": [*chosen.problems, *scored.problems],
        "notes": notes,
    }
    if chosen.values is not None:
        known = order.values[order.labelled]
        if len(known) >= 2 and len(set(known.tolist())) == 1:
            raise RankingError(
                f"All {len(known)} labelled pictures have the value {known[0]:g}, so there "
                "is no order to measure against. Give pictures different values."
            )
        result |= ranking_metrics(scores[order.labelled], known).to_mapping()
        result["n_labelled"] = result.pop("n")
        if args.rivals:
            judgement = judge(order)
            result["rivals"] = {name: one.to_mapping() for name, one in order.metrics().items()}
            result["judgement"] = None if judgement is None else asdict(judgement)
        if len(known) < 2 <= np.isfinite(values(order.pictures, instruction)).sum():
            notes.append("So nothing is left to measure the order on. Give other pictures.")
    for sentence in (*result["problems"], *result["notes"]):
        say(sentence)
    if order.reading is not None and order.reading.differs:
        say(reading_sentence(order.reading))
    if order.trust is not None and method == RANKER:
        say(trust_sentence(order.trust))
    give(result, args.json, summary(result))


@dataclass(frozen=True)
class Chosen:
    """The pictures to order, their values where labels are known, and what to say about them."""

    pictures: Sequence[Picture]
    values: Sequence[float | None] | None  # one a picture; None without labels
    instruction: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def choose_pictures(
    images: str, labels: str | None, split: str | None, instruction: str | None
) -> Chosen:
    """What the options name, before anything is decoded.

    Raises:
        RankingError: no such folder or table, no instruction, a split or instruction that the
            table does not have, labels for other pictures.
        PictureError: the folder cannot be read.
    """
    folder = Path(images)
    if folder.is_dir():
        pictures = [Picture(path.name, path) for path in list_pictures(folder)]
        if labels is None:
            if split:
                raise RankingError("--split needs a labels.csv. Give one with --labels.")
            if instruction is None:
                raise RankingError(_NO_INSTRUCTION)
            if not pictures:
                raise RankingError(f'There are no pictures in "{images}". Choose another folder.')
            return Chosen(pictures, None, instruction)
        table = _of_instruction(
            read_labels_csv(labels, images=folder, default_prompt=instruction, check=False),
            split,
            instruction,
        )
        return _labelled(table, pictures, instruction, chosen_by_split=split is not None)
    if not folder.is_file():
        raise RankingError(f'There is no folder or table "{images}". Check the path.')
    if labels is not None and Path(labels).resolve() != folder.resolve():
        raise RankingError(
            "--images is a table already. Give the pictures' folder there, or leave --labels out."
        )
    table = read_labels_csv(folder, default_prompt=instruction, check=False)
    table = _of_instruction(table, split, instruction)
    return _labelled(table, (), instruction, chosen_by_split=True)


_NO_INSTRUCTION = (
    'The instruction is missing. Give --instruction, for example "Rank the brightness.".'
)


def _of_instruction(
    table: RankingTable, split: str | None, instruction: str | None
) -> RankingTable:
    """The rows of the split and of the instruction. A table that knows several instructions is
    narrowed to the one asked for; of one that knows a single other one, the values are used under
    the wording asked for."""
    if split is not None:
        table = table.select(split=split)
    prompts = table.prompts
    if (known := _same(instruction, prompts)) is not None:
        return table.select(prompt=known)
    if len(prompts) > 1:
        if instruction is not None:
            return table.select(prompt=instruction)  # raises, and lists what there is
        shown = ", ".join(f'"{prompt}"' for prompt in prompts[:10])
        raise RankingError(
            f'"{table.name}" has {len(prompts)} instructions: {shown}. Choose one with '
            "--instruction."
        )
    return table


def _same(instruction: str | None, prompts: Sequence[str]) -> str | None:
    """The one of a table's instructions that is this one, whatever its case and spaces."""
    wanted = None if instruction is None else instruction_key(instruction)
    return next((known for known in prompts if instruction_key(known) == wanted), None)


def _labelled(
    table: RankingTable,
    pictures: Sequence[Picture],
    instruction: str | None,
    *,
    chosen_by_split: bool,
) -> Chosen:
    """The table's pictures with their values, or the folder's where labels only add to them."""
    values: dict[Path, float] = {}
    for row in table.rows:
        path = Path(row.picture.source).resolve()  # type: ignore[arg-type]
        if values.setdefault(path, row.value) != row.value:
            raise RankingError(
                f'"{table.name}" gives the picture "{row.picture.name}" two values under the same '
                f"instruction, {values[path]:g} and {row.value:g}. Keep one of them."
            )
    notes: list[str] = []
    asked = instruction if instruction is not None else table.prompts[0]
    if _same(asked, table.prompts) is None:
        notes.append(f'The labels were given for "{table.prompts[0]}" and are used for "{asked}".')
    inside = [path for path in (_resolved(p) for p in pictures) if path in values]
    if chosen_by_split or not inside:
        own = {Path(row.picture.source).resolve(): row.picture for row in table.rows}  # type: ignore[arg-type]
        chosen: list[Picture] = list(own.values())
        found: list[float | None] = [values[path] for path in own]
    else:
        chosen = list(pictures)
        found = [values.get(_resolved(picture)) for picture in pictures]
        if missing := sum(value is None for value in found):
            notes.append(
                f"{missing} of {len(chosen)} pictures have no label; they are ordered all the same."
            )
    if sum(value is not None for value in found) < 2:
        raise RankingError(
            f'"{table.name}" has labels for fewer than 2 of the pictures. Label more, or leave '
            "the labels out."
        )
    return Chosen(chosen, found, asked, table.problems, tuple(notes))


def _resolved(picture: Picture) -> Path:
    return Path(picture.source).resolve()  # type: ignore[arg-type]


def ranker_for(
    file: str | None, backbone_name: str | None, device: str = ""
) -> tuple[Ranker, Backbone, Path]:
    """A saved ranker, or the one that ships, with its model and its file.

    Raises:
        RankingError: it cannot be used, was made for another model, or none ships.
        UserError: the model cannot be had.
    """
    path = Path(file) if file else shipped_ranker(backbone_name)
    if backbone_name is None and file:
        backbone_name = ranker_model(path)
    backbone = backbone_for(backbone_name, device)
    return load_ranker(path, backbone), backbone, path


def shipped_ranker(backbone_name: str | None) -> Path:
    """The ranker that ships for a backbone.

    Raises:
        RankingError: none does; the message says what to do instead.
    """
    name = backbone_name or environment_backbone()
    path = shipped_ranker_path(name)
    if path is None:
        raise RankingError(
            f"No ranker ships for the model {name[:80]}. Train one with train-ranker and name it "
            "with --ranker."
        )
    return path


def summary(result: dict) -> str:
    """The order, best first, and the figures where there are labels."""
    lines = [f"{result['n_pictures']} pictures by {result['method']}: {result['instruction']}"]
    for place, entry in enumerate(result["order"], start=1):
        lines.append(f"{place:4d}  {entry['score']:9.4f}  {entry['image']}")
    if result.get("n_labelled"):
        figures = ", ".join(
            f"{label} {result[key]:.3f}" if result[key] is not None else f"{label} not defined"
            for label, key in (
                ("SRCC", "srcc"),
                ("PLCC", "plcc"),
                ("Kendall's tau", "kendall"),
                ("pair accuracy", "pair_accuracy"),
            )
        )
        lines.append(f"{result['n_labelled']} labels: {figures}")
    for name, one in result.get("rivals", {}).items():
        if name != RANKER:
            value = "not defined" if one["srcc"] is None else f"{one['srcc']:.3f}"
            lines.append(f"  {name}: SRCC {value}")
    if found := result.get("judgement"):
        said = {"better": "beats", "worse": "loses to", "unsure": "cannot be told from"}
        lines.append(
            f"The ranker {said[found['kind']]} {found['rival']}: SRCC {found['ranker_srcc']:.3f} "
            f"against {found['rival_srcc']:.3f}, difference {found['low']:+.2f} to "
            f"{found['high']:+.2f} (95 %)"
        )
    lines.append(f"{result['seconds']:.1f} s")
    return "\n".join(lines)
