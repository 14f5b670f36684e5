"""The house has one way down: a module imports only what stands below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "coop_demo"
MODULES = sorted(PACKAGE.rglob("*.py"))

# from the ground up; the rooms on one floor may use those below, and on their own floor only
# those named before them
FLOORS = (
    ("letters", "errors", "settings", "wording", "threads", "turns", "checkpoints", "engines"),
    ("data",),
    ("backbones",),
    ("prompts", "ranking"),
    ("heatmaps", "comparison", "archive"),
    ("languages",),
    ("charts", "samples", "runtime"),
    ("recipes",),
    ("ui", "commands", "library"),
    ("__main__",),
)
HEIGHT = {room: height for height, room in enumerate(r for floor in FLOORS for r in floor)}

# who may import what from outside
ONLY_IN = {
    "gradio": ("ui/",),
    "plotly": ("charts/",),
    "spaces": ("runtime.py",),
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_the_rooms_are_all_known():
    rooms = {room_of(path) for path in MODULES} - {"__init__"}
    assert rooms == set(HEIGHT)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_below(path):
    room = room_of(path)
    if room == "__init__":
        return
    used = {name.split(".")[1] for name in imported(path) if name.startswith("coop_demo.")}
    above = {other for other in used & set(HEIGHT) if HEIGHT[other] > HEIGHT[room]}
    assert not above


@pytest.mark.parametrize("package", ONLY_IN)
def test_outside_packages_stay_in_their_room(package):
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(name.split(".")[0] == package for name in imported(path))
    }
    assert [user for user in users if not user.startswith(ONLY_IN[package])] == []
