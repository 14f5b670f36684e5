"""python -m coop_demo explain: where the model looked, and whether that can be believed."""

import argparse
import time
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.commands import explain_order
from coop_demo.commands.common import add_backbone_options, add_json_option, backbone_for, give, say
from coop_demo.commands.evaluate import backbone_name
from coop_demo.data.images import load_picture
from coop_demo.errors import HeatmapError, UserError
from coop_demo.heatmaps.attribution import MAP_METHODS, Explanation, difference, explain, view_box
from coop_demo.heatmaps.faithfulness import Claim, Faithfulness, assess_together
from coop_demo.heatmaps.render import draw, write_png
from coop_demo.prompts.checkpoint import load_prompt
from coop_demo.prompts.templates import class_weights
from coop_demo.wording import unread_words

LEARNED, HAND_CRAFTED, DIFFERENCE, TEXT = "learned", "hand-crafted", "difference", "text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image", required=True, metavar="FILE", help="the picture")
    parser.add_argument("--text", metavar="TEXT", help='what to look for, as "a photo of a zebra."')
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="TEXT",
        help="with --text: a text to tell it from; may be given several times",
    )
    parser.add_argument("--prompt", metavar="FILE", help="instead of --text: saved by train")
    parser.add_argument(
        "--instruction", metavar="TEXT", help="instead of --text: what the ranker ranked it by"
    )
    parser.add_argument(
        "--versus", metavar="FILE", help="with --instruction: why is --image ahead of this picture"
    )
    parser.add_argument(
        "--ranker", metavar="FILE", help="with --instruction: saved by train-ranker"
    )
    parser.add_argument(
        "--word", metavar="WORD", help="with --instruction: draw where this word is read"
    )
    parser.add_argument("--class", dest="class_name", metavar="NAME", help="with --prompt: of it")
    parser.add_argument(
        "--template", help="with --prompt: hand-crafted prompt (default: its training's rival)"
    )
    parser.add_argument(
        "--show",
        choices=(LEARNED, HAND_CRAFTED, DIFFERENCE, *explain_order.SHOWN),
        help="which map to draw; with --prompt: learned (the default), hand-crafted, difference; "
        "with --instruction: score, and with --versus pull (the default then) or attention",
    )
    parser.add_argument(
        "--method",
        default="auto",
        metavar="NAME",
        help=f"auto or one of {', '.join(MAP_METHODS)} (default: what suits the model)",
    )
    parser.add_argument("--out", metavar="FILE.png", help="write the picture with its map there")
    parser.add_argument(
        "--opacity", type=float, default=0.7, help="of the strongest places, 0 to 1 (default 0.7)"
    )
    parser.add_argument(
        "--cells", action="store_true", help="draw the map's true resolution, cell by cell"
    )
    add_backbone_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    _check(args)
    if args.instruction:
        explain_order.run(args)
        return
    notes: list[str] = []
    image = load_picture(args.image, notes=notes)
    for sentence in notes:
        say(sentence)
    if args.prompt:
        backbone = backbone_for(args.backbone or backbone_name(args.prompt), args.device)
        prompt = load_prompt(args.prompt, backbone)
        index = _find_class(args.class_name, prompt.class_names)
        template = args.template or prompt.train_config.template
        words = class_weights(backbone, prompt.class_names, [template])
        asked = {LEARNED: prompt.class_weights, HAND_CRAFTED: words}
        what: dict[str, Any] = {"class": prompt.class_names[index], "template": template}
    else:
        backbone = backbone_for(args.backbone, args.device)
        index = 0
        asked = {TEXT: backbone.text_features([args.text, *args.against])}
        what = {"text": args.text, "against": args.against}
        if unread := backbone.unread_words([args.text, *args.against]):
            say(unread_words(unread))

    maps = {name: _map(backbone, image, v, index, args.method) for name, v in asked.items()}
    if args.out:
        _write(args, backbone, image, {name: claim.explanation for name, claim in maps.items()})
    started = time.perf_counter()
    checks = assess_together(backbone, image, list(maps.values()))
    check_seconds = time.perf_counter() - started
    found = {
        name: (claim.explanation, check)
        for (name, claim), check in zip(maps.items(), checks, strict=True)
    }
    box = view_box(backbone, image.size)
    any_map = next(iter(found.values()))[0]
    lines = []
    for name, (one, check) in found.items():
        lines.append(
            f"{name} ({one.method}, {_peak_words(one, box)}): {check.sentence} Deletion area "
            f"{check.deletion.area:.3f} (random {check.random_deletion.area:.3f}, meaningless text "
            f"{check.shuffled_deletion.area:.3f}), insertion area {check.insertion.area:.3f} "
            f"(random {check.random_insertion.area:.3f}, meaningless text "
            f"{check.shuffled_insertion.area:.3f})."
        )
    for warning in dict.fromkeys(line for check in checks for line in check.warnings):
        say(warning)
    give(
        {
            "image": args.image,
            "size": list(image.size),
            "backbone": backbone.name,
            **what,
            "method": any_map.method,
            "target": any_map.target,
            "grid": list(any_map.grid.shape),
            "out": args.out,
            "check_seconds": check_seconds,
            "maps": {
                name.replace("-", "_"): _as_numbers(one, check, box)
                for name, (one, check) in found.items()
            },
        },
        args.json,
        "\n".join(lines),
    )


def _check(args: argparse.Namespace) -> None:
    """Raises UserError when the options do not go together."""
    asked = (args.text and args.text.strip(), args.prompt, args.instruction)
    if sum(map(bool, asked)) != 1:
        raise UserError("Give one of --text, --prompt with --class, and --instruction.")
    if not args.instruction:
        if args.versus or args.ranker or args.word:
            raise UserError("--versus, --ranker and --word belong to --instruction.")
        if args.show in explain_order.SHOWN:
            raise UserError(f"--show {args.show} belongs to --instruction; leave it out.")
    elif args.class_name or args.template or args.against:
        raise UserError("--class, --template and --against do not go with --instruction.")
    if args.prompt and not args.class_name:
        raise UserError("Give --class as well: which class of the prompt to look for.")
    if args.text and (args.class_name or args.template or args.show):
        raise UserError("--class, --template and --show belong to --prompt; leave them out.")
    if args.prompt and args.against:
        raise UserError("--against belongs to --text; a prompt's rivals are its other classes.")
    if not 0 <= args.opacity <= 1:
        raise UserError(f"--opacity must lie from 0 to 1; it is {args.opacity:g}.")
    if args.out and Path(args.out).suffix.lower() != ".png":
        raise UserError(f'The map is a PNG: let the name "{args.out}" end in .png.')
    if args.method not in ("auto", *MAP_METHODS):
        raise HeatmapError(
            f'There is no method "{args.method}". Choose auto, {", ".join(MAP_METHODS)}.'
        )


def _find_class(name: str, class_names: tuple[str, ...]) -> int:
    wanted = name.strip().casefold()
    for index, known in enumerate(class_names):
        if known.casefold() == wanted:
            return index
    shown = ", ".join(class_names[:10]) + (" …" if len(class_names) > 10 else "")
    raise UserError(f'The prompt has no class "{name}". Choose one of {shown}.')


def _map(backbone: Backbone, image: Image.Image, vectors: Tensor, index: int, method: str) -> Claim:
    """One text's map among the others of its prompt."""
    text, rivals = vectors[index][None], vectors if len(vectors) > 1 else None
    return Claim(explain(backbone, image, text, method, against=rivals), text, 0, rivals)


def _write(
    args: argparse.Namespace,
    backbone: Backbone,
    image: Image.Image,
    maps: dict[str, Explanation],
) -> None:
    show = args.show or LEARNED
    two_sided = args.prompt is not None and show == DIFFERENCE
    if two_sided:
        shown, grid = difference(maps[LEARNED], maps[HAND_CRAFTED])[0], maps[LEARNED].grid
    else:
        chosen = maps[show] if args.prompt else maps[TEXT]
        shown, grid = chosen.maps[0], chosen.grid
    picture = draw(
        image,
        grid,
        shown,
        box=view_box(backbone, image.size),
        opacity=args.opacity,
        two_sided=two_sided,
        smooth=not args.cells,
    )
    write_png(picture, args.out)


def _peak(maps: Explanation, box: tuple[float, float, float, float]) -> tuple[int, int]:
    """The strongest place (x, y) in the decoded picture's own pixels."""
    y, x = maps.peaks()[0]
    height, width = maps.grid.view
    left, top, right, bottom = box
    return (
        int(left + (x + 0.5) / width * (right - left)),
        int(top + (y + 0.5) / height * (bottom - top)),
    )


def _peak_words(maps: Explanation, box: tuple[float, float, float, float]) -> str:
    if bool(maps.empty[0]):
        return "no peak"
    x, y = _peak(maps, box)
    return f"peak at {x}, {y}"


def _as_numbers(
    maps: Explanation, check: Faithfulness, box: tuple[float, float, float, float]
) -> dict[str, Any]:
    x, y = _peak(maps, box)
    return {
        "cosine": float(maps.scores[0]),
        "peak": None if bool(maps.empty[0]) else {"x": x, "y": y},
        **check.as_numbers(),
        "map_seconds": maps.seconds,
    }
