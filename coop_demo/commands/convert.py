"""python -m coop_demo convert: the authors' checkpoints of CoOp and of the ranking-aware adapter.

A ranker's checkpoint becomes a ranker file and, beside it, a folder with its own backbone. A prompt
learner's checkpoint becomes a prompt file. Convert only files of people you trust.
"""

import argparse
from pathlib import Path

from coop_demo.commands.common import add_backbone_options, add_json_option, backbone_for, give
from coop_demo.errors import PromptError
from coop_demo.prompts.checkpoint import save_prompt
from coop_demo.prompts.learner import POSITIONS
from coop_demo.prompts.official import is_coop_state, prompt_from_coop
from coop_demo.ranking.checkpoint import RANKER, save_ranker
from coop_demo.ranking.official import ARCHITECTURE, convert, read_checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="the authors' file")
    parser.add_argument("--out", required=True, metavar="FILE", help="what is written")
    parser.add_argument(
        "--class-names", metavar="FILE", help="CoOp: one name per line, in the order of training"
    )
    parser.add_argument("--position", choices=POSITIONS, default="end", help="CoOp: (end)")
    parser.add_argument(
        "--architecture",
        default=ARCHITECTURE,
        metavar="NAME",
        help=f"ranker: open_clip's name of its towers, or a JSON file ({ARCHITECTURE})",
    )
    add_backbone_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    state = read_checkpoint(args.checkpoint)
    if is_coop_state(state):
        backbone = backbone_for(args.backbone, args.device)
        names = _class_names(args.class_names)
        prompt = prompt_from_coop(state, backbone, names, args.position)
        save_prompt(prompt, args.out)
        said = f"{len(names)} classes, {prompt.prompt_config.n_ctx} context vectors: {args.out}"
        result = {"kind": "prompt", "out": args.out, "backbone": backbone.name}
        return give({**result, "class_names": names}, args.json, said)
    RANKER.check_writable(args.out)
    out = Path(args.out)
    folder = out.with_name(f"{out.stem}-backbone")
    backbone, ranker = convert(state, folder, architecture=args.architecture, title=out.stem)
    save_ranker(ranker, out)
    said = (
        f"The ranker is {out}, and its own model {folder}: keep both where they are. Images are "
        "resized bilinearly, as in the authors' inference."
    )
    return give({"kind": "ranker", "out": str(out), "backbone": backbone.name}, args.json, said)


def _class_names(path: str | None) -> list[str]:
    if path is None:
        raise PromptError(
            "A checkpoint of CoOp does not hold its class names. Give a text file with one name "
            "per line, in the order of training, with --class-names."
        )
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f'The class names "{path}" cannot be read as text (UTF-8).') from error
    return [line.strip() for line in lines if line.strip()]
