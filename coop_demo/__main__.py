"""python -m coop_demo COMMAND: the command line, the other face of the page.

Results go to standard output, progress and remarks to standard error. Exit status 0, or 2 with
one sentence when something the person gave cannot be used.
"""

import argparse
import importlib
import logging
import os
import sys
from pathlib import Path

from coop_demo import __version__
from coop_demo.errors import UserError

#: each command and its line in the help; `train-ranker` is the module commands/train_ranker.py
COMMANDS = {
    "train": "learn a prompt from a folder of pictures",
    "evaluate": "measure a saved prompt on a folder of pictures",
    "compare": "compare methods on a folder of pictures: table, curve, forgetting, second set, "
    "report",
    "predict": "say what is on pictures, with a saved prompt",
    "benchmark": "measure: the paper's protocol, training speed, ranking, where maps point",
    "index": "encode very many pictures once, to ask the index instead",
    "rank": "order pictures by an instruction",
    "train-ranker": "teach a ranker an order from labels.csv",
    "explain": "draw where the model looked, and check the map",
    "convert": "take the authors' checkpoints of CoOp and of the ranking-aware adapter",
    "models": "list the CLIP models, or fetch one",
    "cache": "show what is kept of pictures encoded before, or clear it",
}


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands, with the options of the chosen one.

    Args:
        chosen: the command to be run. Only its module is imported: with torch and all, that takes
            seconds, and the list of commands must not wait for it.
    """
    own_name = Path(sys.argv[0]).stem == "coop-demo"  # as installed by pip
    parser = argparse.ArgumentParser(
        prog="coop-demo" if own_name else "python -m coop_demo", description=__doc__
    )
    parser.add_argument("--version", action="version", version=f"CoOp Studio {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, line in COMMANDS.items():
        command = commands.add_parser(name, help=line)
        if name == chosen:
            module = importlib.import_module(f"coop_demo.commands.{name.replace('-', '_')}")
            command.description = module.__doc__
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.ERROR)
    # no option before the command takes a value, so the first word is the command
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    args = build_parser(chosen).parse_args(arguments)

    from coop_demo.runtime import keep_freed_memory  # here, for it imports torch

    keep_freed_memory()
    try:
        args.run(args)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # somebody closed our output, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
