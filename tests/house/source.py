"""The files of the tree, and the imports that stand in them."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Folders of the text that people write and read here. .git, virtual environments and results are not.
FOLDERS = (".ci", "docs", "guests", "images", "src", "suites", "tests")


class Import(NamedTuple):
    """One import statement or call."""

    line: int
    # As written: a relative import begins with its dots.
    module: str
    # What is taken from the module; empty if it is imported as a whole.
    names: tuple[str, ...] = ()


def files(root: Path, *folders: str) -> Iterator[Path]:
    """All files of these folders; compiled Python is left out."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def all_files(root: Path) -> Iterator[Path]:
    """All files of FOLDERS and those beside them."""
    yield from (path for path in sorted(root.iterdir()) if path.is_file() and path.name != ".git")
    yield from files(root, *FOLDERS)


def python_files(root: Path, *folders: str) -> Iterator[Path]:
    """The Python files of these folders."""
    return (path for path in files(root, *folders) if path.suffix == ".py")


def docstring(path: Path) -> str | None:
    """The docstring of a module; None if there is none."""
    return _parsed(path.read_text(encoding="utf-8"))[0]


def imports(path: Path) -> tuple[Import, ...]:
    """Every import of a file, also inside functions.

    importlib.import_module() counts as well, if the name of the module, or its beginning, stands in the call.
    """
    return _parsed(path.read_text(encoding="utf-8"))[1]


# Parsing takes most of the time of all rules together, and each of them asks for the same files.
@functools.cache
def _parsed(text: str) -> tuple[str | None, tuple[Import, ...]]:
    tree = ast.parse(text)
    return ast.get_docstring(tree), tuple(found for node in ast.walk(tree) for found in _imports(node))


def _imports(node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(node.lineno, alias.name)
    elif isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        yield Import(node.lineno, "." * node.level + (node.module or ""), names)
    elif isinstance(node, ast.Call) and node.args and _name(node.func) == "import_module":
        first = node.args[0]
        if isinstance(first, ast.JoinedStr) and first.values:
            first = first.values[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield Import(node.lineno, first.value.rstrip("."))


def _name(function: ast.expr) -> str:
    """The last part of a called name; "" for what has none."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
