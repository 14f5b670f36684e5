"""python -m coop_demo explain --instruction: what the ranker looked at in one picture or in two."""

import argparse
import time
from pathlib import Path
from typing import Any

from coop_demo.commands.common import give, say
from coop_demo.commands.rank import ranker_for
from coop_demo.data.images import load_picture
from coop_demo.errors import UserError
from coop_demo.heatmaps.ranker import Layer, OrderMaps, order_maps
from coop_demo.heatmaps.render import draw_layer, side_by_side, whole_box, write_png
from coop_demo.ranking.instructions import check_instruction
from coop_demo.ranking.reading import read_instruction
from coop_demo.wording import unread_words

SCORE, ATTENTION, PULL, WORD = "score", "attention", "pull", "word"
SHOWN = (SCORE, ATTENTION, PULL, WORD)


def run(args: argparse.Namespace) -> None:
    """Draw one kind of map and print all figures.

    Raises:
        UserError: options that do not go together, a picture, an instruction or a ranker that
            cannot be used, or a file that cannot be written.
    """
    show = args.show or (PULL if args.versus else SCORE)
    if args.word and args.show in (None, WORD):
        show = WORD
    _check(args, show)
    paths = [args.image, *([args.versus] if args.versus else [])]
    notes: list[str] = []
    images = [load_picture(path, notes=notes) for path in paths]
    for sentence in notes:
        say(sentence)
    instruction = check_instruction(args.instruction)
    ranker, backbone, ranker_file = ranker_for(args.ranker, args.backbone, args.device)
    reading = read_instruction(check_instruction(instruction, backbone), ranker)
    instruction = reading.asked  # maps of the order turned round would be these, turned round
    if reading.differs:
        say(f"The maps are for “{instruction}”")
    began = time.perf_counter()
    adapter = ranker.adapter(backbone.device, instruction)
    maps = order_maps(adapter, backbone, images, instruction)
    seconds = time.perf_counter() - began
    words = maps.words[0].words
    layer = _layer(maps, show, _number_of(args.word, words) if show == WORD else 0)
    if unread := backbone.unread_words([instruction]):
        say(unread_words(unread))
    if args.out:
        placed = [(image, whole_box(image.size)) for image in images]
        drawn = draw_layer(layer, maps.grid, placed, opacity=args.opacity, cells=args.cells)
        write_png(side_by_side(drawn), args.out)
    result: dict[str, Any] = {
        "instruction": instruction,
        "backbone": backbone.name,
        "ranker": str(ranker_file),
        "learned_instruction": ranker.learned(instruction) is not None,
        "grid": list(maps.grid.shape),
        "shown": f"{WORD} {args.word}" if show == WORD else show,
        "out": args.out,
        "pictures": [
            {
                "image": path,
                "size": list(image.size),
                "score": score.score,
                "words": [
                    {"word": word, "read": share}
                    for word, share in zip(words, own.shares, strict=True)
                ],
                "read_elsewhere": own.elsewhere,
            }
            for path, image, score, own in zip(paths, images, maps.scores, maps.words, strict=True)
        ],
        "pair": None,
        "seconds": seconds,
    }
    lines = [f"{one['image']}: score {one['score']:.3f}" for one in result["pictures"]]
    if maps.pair is not None:
        names = [Path(path).name for path in paths]
        names = [f"“{name}”" for name in (names if len(set(names)) == 2 else paths)]
        result["pair"] = {
            "first_ahead_probability": maps.pair.probability,
            "attention_share": [float(one.sum()) for one in maps.pair.attention],
            "sentence": maps.pair.sentence(*names),
        }
        lines.append(result["pair"]["sentence"])
    lines.append(
        "Read: "
        + ", ".join(
            f"{word} {' / '.join(f'{own.shares[at]:.1%}' for own in maps.words)}"
            for at, word in enumerate(words)
        )
    )
    give(result, args.json, "\n".join(lines))


def _check(args: argparse.Namespace, show: str) -> None:
    if show not in SHOWN:
        raise UserError(f"--show {show} belongs to --prompt; here it is one of {', '.join(SHOWN)}.")
    if show in (ATTENTION, PULL) and not args.versus:
        raise UserError(f"--show {show} compares two pictures: name the other with --versus.")
    if (show == WORD) != bool(args.word):
        raise UserError("--show word needs --word, and --word goes with no other --show.")
    if args.method != "auto":
        raise UserError("--method belongs to --text and --prompt; leave it out.")


def _number_of(wanted: str, words: tuple[str, ...]) -> int:
    plain = [word.strip(".,;:!?").casefold() for word in words]
    try:
        return plain.index(wanted.strip(" .,;:!?").casefold())
    except ValueError as error:
        raise UserError(
            f'The instruction has no word "{wanted}". Choose one of {", ".join(words)}.'
        ) from error


def _layer(maps: OrderMaps, show: str, word: int) -> Layer:
    layer = {
        SCORE: maps.score,
        ATTENTION: maps.attention,
        PULL: maps.pull,
        WORD: lambda: maps.word(word),
    }[show]()
    assert layer is not None, "checked: the pair's maps are asked for with two pictures only"
    return layer
