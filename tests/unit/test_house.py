"""What a reader of the page's code can rely on: short functions, and updates by name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "coop_demo"
UI = sorted((PACKAGE / "ui").rglob("*.py"))
MOST_LINES = 80
TAB_FILES = {"tab.py", "actions.py", "state.py", "html.py", "strings.py"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", UI, ids=name_of)
def test_no_function_of_the_page_is_long(path):
    lines = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions(path)}
    assert {name: n for name, n in lines.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("path", UI, ids=name_of)
def test_updates_are_named_and_not_matched_by_position(path):
    """A view returns {component: update}; lists of Any are the components themselves."""
    by_position = [
        f.name
        for f in functions(path)
        if f.returns is not None
        and ast.unparse(f.returns) in ("list", "list[Any]", "Iterator[list[Any]]")
        and not any(ast.unparse(one) in ("property", "staticmethod") for one in f.decorator_list)
        and f.name != "_settings"
    ]
    assert by_position == []


@pytest.mark.parametrize("tab", ["teach", "compare", "rank", "explain"])
def test_every_tab_has_the_same_files(tab):
    assert {path.name for path in (PACKAGE / "ui" / tab).glob("*.py")} >= TAB_FILES
