"""CoOp Studio's page: options, `build_demo()`, `launch()`."""

import contextlib
import os

import coop_demo  # noqa: F401  # decides how threads wait, which torch reads when it loads

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  # on ZeroGPU it must come before torch; it does nothing elsewhere

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import argparse
import sys

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.runtime import give_back_memory_when_idle, keep_freed_memory
from coop_demo.settings import environment_backbone
from coop_demo.ui.page import build_page
from coop_demo.ui.theme import launch_options


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="app.py", description=__doc__)
    parser.add_argument(
        "--backbone",
        default=environment_backbone(),
        help="model to start with (python -m coop_demo models lists them); default %(default)s",
    )
    parser.add_argument("--host", default=None, help="address to listen on; default this computer")
    parser.add_argument("--port", type=int, default=None, help="default: the first free from 7860")
    return parser.parse_args(arguments)


def build_demo(backbone: str = "") -> gr.Blocks:
    """The page, not launched yet. Raises UserError when there is no such model."""
    return build_page(backbone)


def launch(demo: gr.Blocks, *, host: str | None = None, port: int | None = None) -> None:
    """Serve the page until it is interrupted."""
    demo.launch(server_name=host, server_port=port, **launch_options())


def main() -> int:
    chosen = options()
    keep_freed_memory()
    give_back_memory_when_idle()
    try:
        demo = build_demo(chosen.backbone)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    launch(demo, host=chosen.host, port=chosen.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
