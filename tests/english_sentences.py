"""The English sentences that another language must know by their templates."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import coop_demo
from coop_demo.languages.english import compare, keeping, look, page, rank, teach

PACKAGE = Path(coop_demo.__file__).parent
ROOMS = ("data", "backbones", "prompts", "ranking", "heatmaps", "comparison")
SINGLE = ("checkpoints.py", "runtime.py", "samples.py", "ui/rank/shared.py")
ERRORS = {
    "UserError",
    "PictureError",
    "DatasetError",
    "BackboneError",
    "PromptError",
    "RankingError",
    "HeatmapError",
    "error",  # a parameter of `csv_tables` and `checkpoints`
}

#: the page never gets there: data sets and grids of the command line, checkpoints to convert
OUT_OF_REACH = {"coop_datasets.py", "official.py", "results_csv.py", "summary.py"}
CLI_ONLY = (
    "Name at least one data set.",
    '"{}" is not a folder. Give the folder that holds',
    'There is no data set "{}" in',
)
#: templates whose gaps hold a part of the sentence: with each of the parts they may hold
IN_PARTS = {
    "{}{}": (),
    "{} {}": (),
    "{} {}. Check the path and add the picture again.": (
        ("“x”", "does not exist"),
        ("“x”", "is a folder or device, not a picture"),
    ),
    "{} holds no pictures.{} Put the pictures of each class into a folder named after it.": (
        ("“x”", ""),
        ("“x”", " “x” is empty (0 bytes). Copy or download it again."),
    ),
    'open_clip has no architecture "{}".{}': (("x", ""), ("x", ' Did you mean "y"?')),
    "The ranker's weights do not fit its settings: it {} {}.": (
        ("lacks", "x"),
        ("has an entry that is unknown:", "x"),
    ),
    '"{}" has 1 usable row; 2 or more are needed for an order. Add pictures.{}': (
        ("x", ""),
        ("x", " Left out: “x” is empty (0 bytes). Copy or download it again."),
    ),
    "Number {} or more pictures to teach an order; {} a number so far.": (
        ("4", "3 have"),
        ("4", "one has"),
    ),
    "There are no held-out pictures to compare the methods on.{} Add test pictures, or more "
    "pictures a class.": ((" “x” is empty.",), ("",)),
    "None of the test pictures can be read.{}": ((" “x” is empty.",), ("",)),
    "The second set must have the same class names: {} of {} is among {}. Rename its classes.": (
        ("none", '"a", "b"', '"c" and 3 more'),
        ("only a", '"a", "b"', '"a", "c"'),
    ),
}


def errors_of_the_core() -> list[str]:
    """Templates of the errors below the page, with {} where a value stands."""
    found: list[str] = []
    paths = [path for room in ROOMS for path in sorted((PACKAGE / room).glob("*.py"))]
    for path in [*paths, *(PACKAGE / name for name in SINGLE)]:
        if path.name in OUT_OF_REACH:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and _name(node.func) in ERRORS:
                found += _alternatives(node.args[0])
    whole = [one for one in found if re.search(r"[a-z] [a-z]", one)]
    assert len(whole) > 150
    return [one for one in whole if not one.startswith(CLI_ONLY)]


def filled(template: str) -> list[str]:
    """Sentences of a template, with a name in every gap unless it holds parts."""
    parts = IN_PARTS.get(template, (("“x”",) * template.count("{}"),))
    return [template.format(*values, brackets="{}") for values in parts]


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _alternatives(node: ast.expr) -> list[str]:
    """What an expression of text may come to; "{}" for what is only known later."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value.replace("{}", "{brackets}")]
    if isinstance(node, ast.JoinedStr):
        parts = [_alternatives(part) for part in node.values]
        return ["".join(chosen) for chosen in itertools.product(*parts)]
    if isinstance(node, ast.FormattedValue):
        return _alternatives(node.value) if isinstance(node.value, ast.IfExp) else ["{}"]
    if isinstance(node, ast.IfExp):
        return _alternatives(node.body) + _alternatives(node.orelse)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in _alternatives(node.left) for b in _alternatives(node.right)]
    return ["{}"]


def sentences_that_are_kept() -> Iterator[str]:
    """What a session may hold, for several values: whatever code calls an English module."""
    yield from (teach.class_removed("ox", 1), teach.class_removed("", 3))
    yield from (teach.pictures_removed(["a"], ""), teach.pictures_removed(["a", "b"], "ox"))
    yield from (teach.cleared(0, learned=True), teach.cleared(3, learned=True))
    yield from (teach.cleared(1, learned=False), teach.cleared(0, learned=False))
    yield from (teach.replaced("my.zip"), teach.licence("MIT"), teach.YOUR_FOLDER)
    yield from (teach.too_many_bytes("a.png"), teach.no_room("a.png"), page.SERVER_FULL)
    yield from (teach.interrupted(3, 1_200), teach.finished(50, 2.1), teach.loaded("a", 1, "m"))
    yield from (teach.stopped(3, 9, 3), teach.stopped(3, 9, 2), page.time_is_up())
    yield from (compare.compared(1, 1, 0.1), compare.compared(5, 50, 1.1), compare.stopped(2))
    yield from (compare.curve_done(9, 3), compare.curve_stopped(1), compare.STOPPED_EMPTY)
    yield from (compare.other_prompt("a, b"), compare.REUSED)
    yield from (rank.no_such_kind("a"), rank.licence("MIT"), rank.twice("a", "a"))
    yield from (rank.twice("a", "b"), rank.pile_full(3, 1_000), rank.SHIPPED_TITLE)
    yield from (rank.labels_elsewhere("t", ["a"], 1), rank.labels_elsewhere("t", list("abcd"), 4))
    yield from (rank.labels_for_others("t", "a"), rank.labels_without_pictures("t"))
    yield from (rank.taught_title("Rank."), rank.loaded("a", 2), rank.interrupted(3, 9))
    yield from (rank.finished(9, 1.5, 8, 4), rank.stopped(3, 9, 2), rank.stopped(3, 9, 3))
    yield from (keeping.could_not_read(name) for name in (*keeping.SECTION_NAMES, "other"))
    yield from (keeping.pictures_gone(1), keeping.pictures_gone(5))
    yield from (look.NO_PROMPT, look.FREE_TEXT, look.CLASS_SPECIFIC, look.BORROWED)
