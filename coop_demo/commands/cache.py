"""python -m coop_demo cache: what is kept of pictures that were encoded before, and clear it.

Features are kept in the user's cache folder, so that the same pictures are not encoded again
tomorrow. COOP_DEMO_CACHE names another folder, or says off.
"""

import argparse

from coop_demo.backbones.disk_cache import CacheSize, user_cache
from coop_demo.commands.common import add_json_option, give, say
from coop_demo.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clear", action="store_true", help="take everything out")
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    cache = user_cache()
    if cache is None:
        line = "The feature cache is off. COOP_DEMO_CACHE=FOLDER turns it on."
        give({"folder": None}, args.json, line)
        return
    if args.clear:
        if not cache.clear():
            raise UserError(f'"{cache.path}" cannot be cleared. End the app and delete the file.')
        say("Cleared.")
    size = cache.size()
    if size is None:
        raise UserError(
            f'"{cache.path}" cannot be read, so nothing is kept between runs. '
            "Clear it with --clear, or name another folder in COOP_DEMO_CACHE."
        )
    cache.close()
    give(
        {
            "folder": str(cache.path.parent),
            "bytes": size.n_bytes,
            "max_bytes": cache.max_bytes,
            "entries": size.n_features,
            "files": size.n_files,
        },
        args.json,
        "\n".join(_lines(size, cache.max_bytes, str(cache.path))),
    )


def _lines(size: CacheSize, max_bytes: int | None, place: str) -> list[str]:
    bound = "" if max_bytes is None else f" of at most {max_bytes / 1e6:,.0f} MB"
    return [
        f"size     {size.n_bytes / 1e6:,.1f} MB{bound}",
        f"entries  {size.n_features:,} (features, tokens and looks)",
        f"files    {size.n_files:,} known by their bytes",
        f"place    {place}",
    ]
