"""The part of `rank` for very many pictures: --top N, in one pass, or from an index."""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from coop_demo.archive.index import open_index
from coop_demo.archive.indexing import ArchivePicture, IndexNote
from coop_demo.archive.orders import How, TopResult, top_of_index, top_of_source
from coop_demo.archive.sources import Entry, Source, open_source
from coop_demo.archive.tables import check_table_name, table
from coop_demo.backbones.backbone import Backbone
from coop_demo.commands.common import backbone_for, give, say, with_progress
from coop_demo.commands.engines import opener, stream_of
from coop_demo.data.csv_tables import spreadsheet_safe
from coop_demo.data.dataset import Picture
from coop_demo.errors import PictureError, RankingError, UserError
from coop_demo.ranking.instructions import AntonymPair, check_instruction
from coop_demo.ranking.order import MAX_COMPARED, RANKER, ScoredImages, evenly, score_images
from coop_demo.ranking.ranker import Ranker
from coop_demo.ranking.reading import antonyms_for, reading_sentence
from coop_demo.ranking.trust import trust_sentence

TOP = 100  # places when --top is not given with --index
SHOWN = 10  # of them on standard output

_COLUMNS = {"place": int, "picture": str, "score": float, "content": str}

CENTRE_CROP = (
    "An index holds features of each picture's centre crop; rank --images looks at whole pictures. "
    "The two orders differ a little."
)


def run_top(
    args: argparse.Namespace, method: str, ranker: Ranker | None, backbone: Backbone | None
) -> None:
    """The first N of the order of a source or of an index, written to --out.

    Args:
        method: of RANKING_METHODS.
        ranker, backbone: of the ranker's method; the backbone is found here for the others.
    """
    for option, value in (("--labels", args.labels), ("--split", args.split)):
        if value:
            raise RankingError(f"{option} does not go with --top or --index: leave one out.")
    if args.rivals:
        raise RankingError("--rivals does not go with --top or --index: leave one out.")
    if not args.instruction:
        raise RankingError("The instruction is missing. Give --instruction.")
    if not args.out:
        raise RankingError("Say with --out where the order is to be written, .parquet or .csv.")
    check_table_name(args.out)
    backbone = backbone or backbone_for(args.backbone, args.device)
    instruction = check_instruction(args.instruction, backbone)
    pair = AntonymPair(*args.antonyms) if args.antonyms else antonyms_for(instruction)
    how = How(method, instruction, pair, backbone.identity, ranker if method == RANKER else None)
    top = args.top or TOP
    notes: list[str] = []
    source = None
    if args.index:
        result = top_of_index(open_index(args.index, backbone.identity), backbone, how, top=top)
        notes.append(CENTRE_CROP)
    else:
        source = open_source(args.images)
        with stream_of(args, backbone) as engine:
            events = top_of_source(
                source,
                opener(args, backbone),
                how,
                engine,
                top=top,
                count_first="://" not in args.images,
            )
            result = with_progress(_spoken(events))
    about = {
        "instruction": instruction,
        "method": args.method,
        "backbone": backbone.identity,
        "antonyms": None if method == RANKER else [pair.high, pair.low],
        "n_scored": result.n_scored,
        "n_unreadable": result.n_unreadable,
        "lowest": result.lowest,
        "highest": result.highest,
        "mean": result.mean,
    }
    with table(args.out, _COLUMNS, about) as out:
        out.add([(one.place, one.path, one.score, one.content) for one in result.top])
    pairs_file, trust = None, None
    if source is not None and ranker is not None:
        pairs_file, trust = _pairs(args, source, result, how, backbone)
    said = {
        **about,
        "ranker": args.ranker,
        "order": str(args.out),
        "pairs": pairs_file,
        "top": [asdict(one) for one in result.top],
        "seconds": round(result.seconds, 3),
        "notes": notes,
    }
    read = reading_sentence(how.reading)
    for sentence in (*notes, *([read] if read else []), *([trust] if trust else [])):
        say(sentence)
    unreadable = f", {result.n_unreadable:,} cannot be read" if result.n_unreadable else ""
    lines = [
        f"{result.n_scored:,} pictures scored in {result.seconds:.1f} s{unreadable}; the first "
        f"{len(result.top)}: {args.out}"
    ]
    lines += [f"{one.place:4d}  {one.score:9.4f}  {one.path}" for one in result.top[:SHOWN]]
    give(said, args.json, "\n".join(lines))


def _spoken(events: Iterator) -> Iterator:
    for event in events:
        if isinstance(event, IndexNote):
            say(event.message)
        else:
            yield event


def _pairs(
    args: argparse.Namespace, source: Source, result: TopResult, how: How, backbone: Backbone
) -> tuple[str | None, str | None]:
    """The pair matrix of some of the top, beside the order, and what the order is worth."""
    chosen = [result.top[i] for i in evenly(len(result.top), MAX_COMPARED)]
    pictures = []
    for one in chosen:
        try:
            image = ArchivePicture(source, Entry(one.path)).load()
        except PictureError as error:
            say(str(error))
        else:
            pictures.append(Picture(one.path, image))
    if len(pictures) < 2:
        return None, None
    scored: ScoredImages = with_progress(
        score_images(
            backbone, pictures, [how.instruction], [how.pair], how.ranker, methods=(RANKER,)
        )
    )
    (found,) = scored.found
    if found.pair_logits is None:
        return None, None
    path = Path(args.out).with_suffix(".pairs.csv")
    names = [pictures[scored.kept[i]].name for i in found.compared]
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["ahead of", *map(spreadsheet_safe, names)])
            for name, row in zip(names, found.pair_logits.tolist(), strict=True):
                writer.writerow([spreadsheet_safe(name), *(f"{value:.6g}" for value in row)])
    except OSError as error:
        raise UserError(
            f'"{path}" cannot be written ({error.strerror}). Choose another --out.'
        ) from error
    return str(path), None if found.trust is None else trust_sentence(found.trust)
