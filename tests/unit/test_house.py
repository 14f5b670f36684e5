"""What a reader can rely on: short functions and updates by name in the page's code, and tests
where their module's name says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "coop_demo"
UNIT = Path(__file__).parent
UI = sorted((PACKAGE / "ui").rglob("*.py"))
MOST_LINES = 80
TAB_FILES = {"tab.py", "actions.py", "state.py", "html.py"}

#: tests of no single module of that name, and why
WITHOUT_A_MODULE = {
    "test_house.py": "the style of the code",
    "test_layers.py": "the order of the rooms",
    "test_package.py": "what pip installs",
    "backbones/test_timm_towers.py": "every timm tower of open_clip, on backbone.py",
    "commands/test_apart.py": "one promise of train, evaluate, compare and benchmark",
    "ranking/test_shipped_ranker.py": "a file in checkpoints/",
}

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


@pytest.mark.parametrize("tab", ["teach", "compare", "rank", "explain", "classroom", "archive"])
def test_every_tab_has_the_same_files(tab):
    assert {path.name for path in (PACKAGE / "ui" / tab).glob("*.py")} >= TAB_FILES


def test_every_test_file_is_named_for_its_module():
    """tests/unit/<folder>/test_<module>.py tests coop_demo/<folder>/<module>.py or a package."""
    unknown = set()
    for path in UNIT.rglob("test_*.py"):
        relative = path.relative_to(UNIT)
        module = PACKAGE / relative.parent / path.stem.removeprefix("test_")
        if not (module.with_suffix(".py").is_file() or (module / "__init__.py").is_file()):
            unknown.add(relative.as_posix())
    assert unknown == set(WITHOUT_A_MODULE)
