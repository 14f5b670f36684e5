"""CoOp Studio's page: options, `build_demo()`, `launch()`."""

import contextlib
import os

import coop_demo  # noqa: F401  # decides how threads wait, which torch reads when it loads

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  # on ZeroGPU it must come before torch; it does nothing elsewhere

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import argparse
import importlib.util
import sys
from pathlib import Path

import gradio as gr
import segno

from coop_demo.errors import UserError
from coop_demo.languages import classroom as classroom_strings
from coop_demo.runtime import give_back_memory_when_idle, keep_freed_memory
from coop_demo.settings import environment_backbone
from coop_demo.ui.classroom.state import Classroom, address_in_the_network
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
    parser.add_argument(
        "--auth",
        metavar="FILE",
        help="who may see the page: one name:password a line; without it, whoever reaches it",
    )
    parser.add_argument(
        "--classroom",
        action="store_true",
        help="listen to the whole network, print the address as a QR code, and add a tab Class",
    )
    parser.add_argument(
        "--mcp",
        action="store_true",
        help='offer the endpoints as tools to language models, too (pip install "gradio[mcp]")',
    )
    return parser.parse_args(arguments)


def class_list(path: str) -> list[tuple[str, str]]:
    """Names and passwords of a file with one `name:password` a line; `#` begins a remark.

    Raises:
        UserError: it cannot be read, or a line is of another form; passwords are never repeated.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'The class list "{path}" cannot be read. Give a text file.') from error
    people: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        name, colon, password = (part.strip() for part in line.partition(":"))
        if not (name and colon and password):
            raise UserError(
                f'Line {number} of "{path}" is not of the form name:password. Correct it.'
            )
        if name in people:
            raise UserError(f'"{name}" is in "{path}" twice, again in line {number}. Keep one.')
        people[name] = password
    if not people:
        raise UserError(f'Nobody is in "{path}". Write one name:password a line.')
    return list(people.items())


def build_demo(backbone: str = "", *, classroom: Classroom | None = None) -> gr.Blocks:
    """The page, not launched yet. Raises UserError when there is no such model."""
    return build_page(backbone, classroom=classroom)


def launch(
    demo: gr.Blocks,
    *,
    host: str | None = None,
    port: int | None = None,
    people: list[tuple[str, str]] | None = None,
    mcp: bool = False,
    classroom: Classroom | None = None,
) -> None:
    """Serve the page until it is interrupted.

    Args:
        people: names and passwords of those who may see it; everybody when None.
        mcp: the endpoints are tools for language models, too.
        classroom: listens to the whole network, and prints where the class finds the page.

    Raises:
        UserError: MCP is asked for and its package is not installed.
    """
    if mcp and importlib.util.find_spec("mcp") is None:
        raise UserError('--mcp needs a package that is not here: pip install "gradio[mcp]"')
    if classroom is not None:
        host = host or "0.0.0.0"
    demo.launch(
        server_name=host,
        server_port=port,
        auth=people,
        mcp_server=mcp,
        prevent_thread_lock=True,
        **launch_options(),
    )
    if classroom is not None:
        classroom.address = address_in_the_network(demo.server_port)
        segno.make(classroom.address).terminal(compact=True)
        print(classroom_strings.terminal(classroom.address, classroom.code), flush=True)
    demo.block_thread()  # until it is interrupted


def main() -> int:
    chosen = options()
    keep_freed_memory()
    give_back_memory_when_idle()
    try:
        people = class_list(chosen.auth) if chosen.auth else None
        classroom = Classroom() if chosen.classroom else None
        demo = build_demo(chosen.backbone, classroom=classroom)
        launch(
            demo,
            host=chosen.host,
            port=chosen.port,
            people=people,
            mcp=chosen.mcp,
            classroom=classroom,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
