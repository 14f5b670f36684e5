"""python -m coop_demo COMMAND: the command line, the other face of the page.

Results go to standard output, progress and remarks to standard error. Exit status 0, or 2 with
one sentence when something the person gave cannot be used.
"""

import argparse
import importlib
import logging
import os
import sys

COMMANDS = (
    "train",
    "evaluate",
    "compare",
    "predict",
    "benchmark",
    "rank",
    "train-ranker",
    "explain",
    "models",
)


def build_parser() -> argparse.ArgumentParser:
    from coop_demo import __version__

    parser = argparse.ArgumentParser(prog="python -m coop_demo", description=__doc__)
    parser.add_argument("--version", action="version", version=f"CoOp Studio {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"coop_demo.commands.{name.replace('-', '_')}")
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: list[str] | None = None) -> int:
    from coop_demo.errors import UserError
    from coop_demo.runtime import keep_freed_memory

    logging.basicConfig(level=logging.ERROR)
    keep_freed_memory()
    args = build_parser().parse_args(arguments)
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
