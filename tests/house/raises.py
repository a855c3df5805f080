"""Exceptions that are stored and raised again."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from house.source import python_files


def stored_exceptions(root: Path) -> list[str]:
    """Statements of src that raise an object which was stored: its traceback grows each time.

    `raise self._refused`, `raise lost[name]`, and `raise found` after `found = self._observed[key]`.
    """
    return [
        f"{path.relative_to(root)}:{line}: raises a stored exception: raise errors.copy_of() of it"
        for path in python_files(root, "src")
        for line in sorted(_lines(ast.parse(path.read_text(encoding="utf-8"))))
    ]


def _lines(tree: ast.Module) -> Iterator[int]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    seen = set()
    for function in functions:
        stored = {name for node in ast.walk(function) for name in _assigned(node)}
        for node in ast.walk(function):
            if isinstance(node, ast.Raise) and node not in seen and _is_stored(node.exc, stored):
                seen.add(node)
                yield node.lineno


def _assigned(node: ast.AST) -> Iterator[str]:
    """The names to which a statement assigns a value that is stored elsewhere."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute | ast.Subscript):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _is_stored(raised: ast.expr | None, stored: set[str]) -> bool:
    if isinstance(raised, ast.Subscript):
        return True
    if isinstance(raised, ast.Attribute):
        # A class, such as pytest.UsageError, begins with a capital.
        return not raised.attr[0].isupper()
    return isinstance(raised, ast.Name) and raised.id in stored
