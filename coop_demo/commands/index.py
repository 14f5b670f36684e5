"""python -m coop_demo index: encode very many pictures once, into Parquet files.

Pictures come from a folder with all below it, a CSV with a column of paths, or an address such as
s3://bucket/folder (fsspec; credentials come from the environment). The same command again encodes
only what is missing: new pictures, and what a stopped run left undone. Without --images it tells
what is in an index. What works from an index without a picture: predict and evaluate (--index),
an order by opposite prompts or by cosine (rank --index), and copies (--copies). The ranker reads
pictures: rank --images … --top.
"""

import argparse
import csv
from pathlib import Path

from coop_demo.archive.copies import find_copies
from coop_demo.archive.index import Index, new_index, open_index
from coop_demo.archive.indexing import PARTITION, IndexNote, IndexResult, make_index
from coop_demo.archive.sources import open_source
from coop_demo.commands.common import (
    add_backbone_options,
    add_json_option,
    backbone_for,
    give,
    positive,
    say,
    with_progress,
)
from coop_demo.commands.engines import add_engine_options, opener, stream_of
from coop_demo.data.csv_tables import spreadsheet_safe
from coop_demo.errors import UserError
from coop_demo.wording import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images", metavar="DIR|CSV|URL", help="a folder, a list of paths, or an address"
    )
    parser.add_argument("--out", required=True, metavar="INDEX", help="the folder of the index")
    parser.add_argument(
        "--partition",
        type=positive,
        default=PARTITION,
        metavar="N",
        help=f"pictures in one file ({PARTITION}); a stopped run loses as many a worker at most",
    )
    parser.add_argument(
        "--unreadable",
        metavar="CSV",
        help="write the pictures that cannot be read, with the reason",
    )
    parser.add_argument(
        "--copies",
        metavar="CSV",
        help="write pairs of pictures that are the same or look the same, from their hashes",
    )
    add_engine_options(parser)
    add_backbone_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    said: dict = {"index": str(Path(args.out))}
    lines: list[str] = []
    if args.images:
        source = open_source(args.images)
        backbone = backbone_for(args.backbone, args.device)
        index = new_index(args.out, backbone)
        with stream_of(args, backbone) as engine:
            events = make_index(
                source,
                index,
                opener(args, backbone),
                engine,
                partition=args.partition,
                count_first="://" not in args.images,
            )
            result: IndexResult = with_progress(_spoken(events))
        said |= {
            "new": result.n_new,
            "before": result.n_before,
            "unreadable": result.n_unreadable,
            "not_opened": result.n_lost,
            "partitions_written": result.n_partitions,
            "partitions_made_again": list(result.damaged),
            "seconds": round(result.seconds, 3),
        }
        lines.append(
            f"{counted(result.n_new, 'picture')} indexed in {result.seconds:.1f} s"
            f" ({result.n_before:,} were there)"
        )
        if result.n_lost:
            lines.append(
                f"{counted(result.n_lost, 'file')} could not be opened; start again to retry"
            )
    else:
        index = open_index(args.out, args.backbone)
    about, unreadable = describe(index)
    said |= about
    lines.append(
        f"{about['pictures']:,} pictures of {index.about.backbone}, "
        f"{about['unreadable_pictures']:,} of them unreadable, "
        f"{about['bytes'] / 2**20:.1f} MB in {about['partitions']} files"
    )
    if args.unreadable:
        _write_csv(args.unreadable, ("path", "problem"), unreadable)
    if args.copies:
        found = [
            (one.first, one.second, "same" if one.distance is None else one.distance)
            for one in find_copies(index)
        ]
        _write_csv(args.copies, ("first", "second", "bits_apart"), found)
        same = sum(row[2] == "same" for row in found)
        said["copies"], said["near_copies"] = same, len(found) - same
        lines.append(f"{same} exact copies, {len(found) - same} pairs that look the same")
    give(said, args.json, "\n".join(lines))


def describe(index: Index) -> tuple[dict, list[tuple[str, str]]]:
    """Figures of an index, and its pictures that cannot be read."""
    n, unreadable = 0, []
    for rows in index.partitions(features=False):
        n += len(rows)
        unreadable += [
            (path, problem)
            for path, problem in zip(rows.paths, rows.problems, strict=True)
            if problem is not None
        ]
    numbers = index.numbers()
    return {
        "backbone": index.about.backbone,
        "pictures": n,
        "unreadable_pictures": len(unreadable),
        "partitions": len(numbers),
        "bytes": sum(index.path_of(number).stat().st_size for number in numbers),
    }, unreadable


def _spoken(events):
    for event in events:
        if isinstance(event, IndexNote):
            say(event.message)
        else:
            yield event


def _write_csv(path: str, header: tuple[str, ...], rows: list[tuple]) -> None:
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows([spreadsheet_safe(cell) for cell in row] for row in rows)
    except OSError as error:
        raise UserError(
            f'"{path}" cannot be written ({error.strerror}). Choose another place.'
        ) from error
