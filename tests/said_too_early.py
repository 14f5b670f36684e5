"""Where a module looks a string up before anybody speaks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def said_too_early(path: Path) -> Iterator[str]:
    """Lines that use a string at the top of a module or as a default argument."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "coop_demo.languages"
        for alias in node.names
    }
    for node in _run_on_loading(tree):
        whose = node.value if isinstance(node, ast.Attribute) else None
        if isinstance(whose, ast.Name) and whose.id in names:
            yield f"{path.name}:{whose.lineno}: {ast.unparse(node)}"


def _run_on_loading(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.Lambda):
            defaults = [*child.args.defaults, *child.args.kw_defaults]
            for default in filter(None, defaults):
                yield from _run_on_loading(default)
        else:
            yield from _run_on_loading(child)
