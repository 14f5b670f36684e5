"""python -m coop_demo predict: what a saved prompt and the words say of pictures.

With --index the answers come from an index's features, and no picture is opened.
"""

import argparse

from coop_demo.archive.answers import answers
from coop_demo.archive.index import open_index
from coop_demo.archive.tables import check_table_name, table
from coop_demo.backbones.features import encode_pictures
from coop_demo.commands.common import (
    add_backbone_options,
    add_json_option,
    backbone_for,
    give,
    say,
    with_progress,
)
from coop_demo.commands.evaluate import backbone_name
from coop_demo.data.dataset import Picture
from coop_demo.data.images import picture_files
from coop_demo.errors import PictureError, UserError
from coop_demo.prompts.checkpoint import load_prompt
from coop_demo.prompts.familiar import UNLIKE
from coop_demo.prompts.templates import by_class, class_weights, probabilities


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompt", required=True, metavar="FILE", help="saved by train")
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="picture files or folders")
    parser.add_argument("--index", metavar="INDEX", help="made by index, in place of pictures")
    parser.add_argument(
        "--out", metavar="FILE", help="with --index: a table of all answers, .parquet or .csv"
    )
    parser.add_argument(
        "--template", help="hand-crafted prompt (default: the one it was trained against)"
    )
    add_backbone_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    if bool(args.index) == bool(args.pictures):
        raise UserError("Name pictures, or an index with --index: one of the two.")
    if bool(args.index) != bool(args.out):
        raise UserError("--index and --out belong together: where the answers are to be written.")
    if args.index:
        _of_index(args)
        return
    backbone = backbone_for(args.backbone or backbone_name(args.prompt), args.device)
    prompt = load_prompt(args.prompt, backbone)
    template = args.template or prompt.train_config.template
    words = class_weights(backbone, prompt.class_names, [template])
    paths = picture_files(args.pictures)
    if not paths:
        raise UserError("There are no pictures in the folder. Name picture files or folders.")

    results, lines = [], []
    encoded = with_progress(encode_pictures(backbone, [Picture(str(path), path) for path in paths]))
    for sentence in encoded.notes:
        say(sentence)
    problems = iter(encoded.problems)
    rows = {index: row for row, index in enumerate(encoded.kept)}
    for index, path in enumerate(paths):
        if index not in rows:
            problem = next(problems)
            results.append({"picture": str(path), "error": problem})
            say(problem)
            continue
        feature = encoded.features[0, rows[index]][None]
        learned, hand_crafted = (
            by_class(
                prompt.class_names,
                probabilities(feature, weights, backbone.logit_scale)[0].tolist(),
            )
            for weights in (prompt.class_weights, words)
        )
        familiar = prompt.familiar
        unlike = familiar.unlike(feature, prompt.class_weights)[0] if familiar else None
        best, best_words = next(iter(learned)), next(iter(hand_crafted))
        results.append(
            {
                "picture": str(path),
                "class": best,
                "probability": learned[best],
                "hand_crafted_class": best_words,
                "hand_crafted_probability": hand_crafted[best_words],
                "unlike": unlike,
                "learned": learned,
                "hand_crafted": hand_crafted,
            }
        )
        lines.append(
            f"{path}: {best} ({learned[best]:.0%}); by the words {best_words} "
            f"({hand_crafted[best_words]:.0%})" + (f". {UNLIKE}" if unlike else "")
        )
    if not rows:
        raise PictureError(encoded.problems[0])
    give(
        {
            "backbone": backbone.name,
            "template": template,
            "pictures": results,
            "notes": list(encoded.notes),
        },
        args.json,
        "\n".join(lines),
    )


_COLUMNS = {
    "picture": str,
    "class": str,
    "probability": float,
    "hand_crafted_class": str,
    "hand_crafted_probability": float,
    "unlike": bool,
    "problem": str,
}


def _of_index(args: argparse.Namespace) -> None:
    """A row for each picture of an index, a partition in memory at a time."""
    check_table_name(args.out)
    backbone = backbone_for(args.backbone or backbone_name(args.prompt), args.device)
    prompt = load_prompt(args.prompt, backbone)
    index = open_index(args.index, backbone.identity)
    template = args.template or prompt.train_config.template
    names = prompt.class_names
    about = {"prompt": str(args.prompt), "backbone": backbone.identity, "template": template}
    counts, n_problems, n_unlike = [0] * len(names), 0, 0
    with table(args.out, _COLUMNS, about) as out:
        for one in answers(index, backbone, prompt, template):
            rows = []
            for i, (path, problem) in enumerate(
                zip(one.rows.paths, one.rows.problems, strict=True)
            ):
                if problem is not None:
                    n_problems += 1
                    rows.append((path, None, None, None, None, None, problem))
                    continue
                counts[one.learned[i]] += 1
                n_unlike += bool(one.unlike[i])
                rows.append(
                    (
                        path,
                        names[one.learned[i]],
                        float(one.learned_probability[i]),
                        names[one.hand_crafted[i]],
                        float(one.hand_crafted_probability[i]),
                        one.unlike[i],
                        None,
                    )
                )
            out.add(rows)
    by_count = sorted(zip(names, counts, strict=True), key=lambda pair: -pair[1])
    said = {
        **about,
        "answers": str(args.out),
        "pictures": sum(counts),
        "unreadable": n_problems,
        "unlike": n_unlike if prompt.familiar else None,
        "classes": dict(by_count),
    }
    lines = [f"{sum(counts):,} pictures: {args.out}"]
    lines += [f"  {name}: {n:,}" for name, n in by_count]
    if n_unlike:
        lines.append(f"{n_unlike:,} may be none of these classes")
    if n_problems:
        lines.append(f"{n_problems:,} cannot be read; the table says why")
    give(said, args.json, "\n".join(lines))
