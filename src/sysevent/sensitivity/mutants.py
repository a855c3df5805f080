"""The mutants of a kernel tree: each is one file with one edit."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from sysevent.errors import UsageError
from sysevent.sensitivity import source
from sysevent.sensitivity.operators import Edit, edits
from sysevent.sensitivity.places import Place
from sysevent.sensitivity.source import Region

# Bytes of a file of C that is read; arch/x86/kvm/x86.c has 0.4 MB.
_FILE_MAX = 8 << 20
# Lines above a mutant by which it is distinguished from others of its function.
_ABOVE = 3


class Mutant(msgspec.Struct, frozen=True):
    """A file of the tree with one edit."""

    # 16 hex digits, the same as long as the file, the name of the function and its changed text are.
    key: str
    # Path in the tree.
    file: str
    # As Region.name.
    function: str
    # A key of operators.OPERATORS.
    operator: str
    # Number of the line where the edit begins.
    line: int
    # That line, without indentation: as it was, and changed.
    before: str
    after: str
    # The three lines above that have more than white space, without indentation.
    above: str
    # Unified.
    diff: str
    edit: Edit

    @property
    def title(self) -> str:
        """One line for progress and tables."""
        return f"{self.function}: {self.operator}: {self.before}"


class Found(msgspec.Struct, frozen=True):
    """The mutants of the places of a tree."""

    mutants: tuple[Mutant, ...]
    # The original text of each file that has mutants, by its path in the tree.
    files: dict[str, bytes]
    # Names of places that this tree does not have.
    absent: tuple[str, ...]

    def sample(self, n: int) -> Found:
        """Return one mutant of n, chosen by their keys, so that the same ones are chosen again."""
        chosen = tuple(mutant for mutant in self.mutants if int(mutant.key, 16) % n == 0)
        return msgspec.structs.replace(self, mutants=chosen)


def find(tree: Path, places: Sequence[Place]) -> Found:
    """Return the mutants of the places of a kernel tree, in the order of files and lines; equal ones once.

    UsageError if the tree has none of the places, or a file cannot be read.
    """
    texts: dict[str, bytes] = {}
    absent = []
    chosen: dict[str, dict[tuple[int, int], Region]] = {}
    for place in places:
        regions = [
            (path, region)
            for path in place.paths
            if (tree / path).is_file()
            for region in _regions(tree, path, place, texts)
        ]
        for path, region in regions:
            # A function that two rows name is mutated once.
            at = region.nodes[0].start_byte, region.nodes[-1].end_byte
            chosen.setdefault(path, {}).setdefault(at, region)
        if not regions:
            absent.append(place.name)
    if not chosen:
        raise UsageError(f"{tree} has none of the functions: {', '.join(absent)}")
    found = [
        mutant
        for path in chosen
        for _, region in sorted(chosen[path].items())
        for mutant in _mutants(path, texts[path], region)
    ]
    once = {mutant.key: mutant for mutant in reversed(found)}
    ordered = tuple(reversed(once.values()))
    return Found(ordered, {mutant.file: texts[mutant.file] for mutant in ordered}, tuple(absent))


def _regions(tree: Path, path: str, place: Place, texts: dict[str, bytes]) -> list[Region]:
    if path not in texts:
        try:
            texts[path] = (tree / path).read_bytes()[:_FILE_MAX]
        except OSError as error:
            raise UsageError(f"{tree / path} cannot be read: {error.strerror}") from error
    return list(source.regions(source.parse(texts[path]), place.function, place.part))


def _mutants(path: str, text: bytes, region: Region) -> Iterator[Mutant]:
    seen = {text}
    for edit in edits(region):
        changed = edit.apply(text)
        if changed in seen:
            continue
        seen.add(changed)
        line = text.count(b"\n", 0, edit.start)
        lines = _lines(text)
        before, after = lines[line].strip(), _lines(changed)[line].strip()
        above = "\n".join([one.strip() for one in lines[:line] if one.strip()][-_ABOVE:])
        # The changed part with its line, in the whole function: unique there, and independent of the rest of the file.
        function = changed[
            region.nodes[0].start_byte : len(changed) - (len(text) - region.nodes[-1].end_byte)
        ]
        key = hashlib.sha256(b"\0".join((path.encode(), region.name.encode(), function))).hexdigest()[:16]
        yield Mutant(
            key,
            path,
            region.name,
            edit.operator,
            line + 1,
            before,
            after,
            above,
            _diff(path, text, changed),
            edit,
        )


def _lines(text: bytes) -> list[str]:
    return text.decode("utf-8", "replace").split("\n")


def _diff(path: str, text: bytes, changed: bytes) -> str:
    """The unified difference of two texts of a file."""
    # Only the lines around the change: difflib takes a second for a file of 14,000 lines.
    one, other = _lines(text), _lines(changed)
    first = next(i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
    last = next(i for i in range(len(one) - 1, -1, -1) if one[i] != other[i])
    begin, end = max(0, first - 3), last + 4
    lines = difflib.unified_diff(one[begin:end], other[begin:end], f"a/{path}", f"b/{path}", lineterm="")
    head = f"@@ -{begin + 1},{len(one[begin:end])} +{begin + 1},{len(other[begin:end])} @@"
    return "\n".join(head if line.startswith("@@") else line for line in lines) + "\n"
