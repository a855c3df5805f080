"""Lengths of files, names of places, docstrings, and words."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

from house.source import all_files, docstring, files, python_files

CODE = frozenset((".py", ".c", ".h", ".S", ".ld", ".toml", ".config"))

MAX_LINES = 300

# Words that make a sentence hard to read for those whose first language is another one.
HARD_WORDS = ("anew", "nobody", "told", "whoever")

# Absolute paths below these are a developer's, unless the user is called me, and unless they continue another path.
# The pattern looks at the character before the path after its first literal: a search begins with literals fast.
_PERSONAL = re.compile(
    r"/(?<![\w.})$-]/)(?:home/(?!me\b)|Users/|root/|work/|workspace/|tmp/(?!sysevent-))[\w.-]*"
)

# Hosts of package registries, in parts so that this file does not name one.
_REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("rubygems", "org"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
    )
)


def long_files(root: Path, allowed: Mapping[str, int]) -> list[str]:
    """Files of src, suites, guests and tests with more than MAX_LINES lines; recorded data are left out.

    Allowed are longer files, each with the number of lines that it may have.
    """
    problems, stale = [], set(allowed)
    for path in files(root, "src", "suites", "guests", "tests"):
        name = str(path.relative_to(root))
        if path.suffix not in CODE or name.startswith("tests/data/"):
            continue
        lines = path.read_bytes().count(b"\n")
        most = max(MAX_LINES, allowed.get(name, 0))
        if lines > most:
            problems.append(f"{name}: {lines} lines, {most} are allowed")
        if lines > MAX_LINES:
            stale.discard(name)
    return problems + [f"{name}: {MAX_LINES} lines or fewer: take it off the list" for name in sorted(stale)]


def places(root: Path) -> list[str]:
    """Paths of a developer's machine, and hosts of package registries, in any file."""
    problems = []
    for path in all_files(root):
        text = path.read_bytes().decode("utf-8", "replace")
        found = [
            (match.start(), f"path of one machine: {match.group()}") for match in _PERSONAL.finditer(text)
        ]
        lowered = text.lower()
        found += [
            (lowered.index(host), f"host of a package registry: {host}")
            for host in _REGISTRIES
            if host in lowered
        ]
        problems += [
            f"{path.relative_to(root)}:{text.count(chr(10), 0, at) + 1}: {what}" for at, what in sorted(found)
        ]
    return problems


def docstrings(root: Path) -> list[str]:
    """Modules and packages without a docstring, or whose first paragraph does not end with a period."""
    problems = []
    for path in python_files(root, "src", "suites", "tests"):
        text = docstring(path)
        if text is None:
            problems.append(f"{path.relative_to(root)}: no docstring")
        elif not text.partition("\n\n")[0].endswith("."):
            problems.append(
                f"{path.relative_to(root)}: the docstring's first paragraph ends without a period"
            )
    return problems


def hard_words(root: Path, allowed: Mapping[str, int]) -> list[str]:
    """HARD_WORDS in comments, docstrings and strings of src, suites and tests, and anywhere in guests.

    Allowed are files, each with the number of such words that it may have.
    """
    word = re.compile(rf"(?<!--)\b(?:{'|'.join(HARD_WORDS)})\b", re.IGNORECASE)
    problems, stale = [], set(allowed)
    for path in files(root, "src", "suites", "tests", "guests"):
        name = str(path.relative_to(root))
        if path.suffix not in CODE or name.startswith("tests/data/"):
            continue
        text = path.read_text(encoding="utf-8")
        # Only files that have such a word anywhere are taken apart: that is what takes time.
        found = list(_words(text, word, python=path.suffix == ".py")) if word.search(text) else []
        if found:
            stale.discard(name)
        if len(found) > allowed.get(name, 0):
            problems += [f"{name}:{line}: {said!r}" for line, said in found]
    return problems + [f"{name}: has none of these words: take it off the list" for name in sorted(stale)]


def _words(text: str, word: re.Pattern[str], *, python: bool) -> Iterator[tuple[int, str]]:
    """Where a pattern matches: line and match. python: True looks at comments and strings only."""
    if not python:
        for found in word.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found.group()
        return
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            for found in word.finditer(token.string):
                yield token.start[0] + token.string.count("\n", 0, found.start()), found.group()
