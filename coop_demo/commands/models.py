"""python -m coop_demo models: which CLIP models there are, and fetch one."""

import argparse
from dataclasses import asdict

from coop_demo.backbones import catalog
from coop_demo.commands.common import add_json_option, give, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fetch", metavar="NAME", help="bring a model to this computer (needs the network)"
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    if args.fetch:
        if catalog.is_local(args.fetch):
            say(f"{args.fetch} is on this computer already.")
        else:
            catalog.fetch(args.fetch)
            say(f"{args.fetch} is on this computer now.")
    models = catalog.list_models()
    lines = []
    for model in models:
        where = "here" if model.on_this_computer else f"{model.download_mb} MB to fetch"
        lines.append(f"{model.name:18} {where:16} {model.licence:12} {model.title}")
    lines.append("also: hf-hub:organisation/repository, local-dir:FOLDER (open_clip's own format)")
    give([asdict(model) for model in models], args.json, "\n".join(lines))
