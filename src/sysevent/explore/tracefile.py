"""The lines that an exploration reached, as a tracefile of lcov: geninfo(1). genhtml and editors read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sysevent.explore.coverage import Coverage


def render(coverage: Coverage, tree: Path) -> str:
    """Return the text of a tracefile. tree: the source of the kernel. A count is a number of sequences."""
    return "".join(f"{line}\n" for line in _lines(coverage, tree))


def _lines(coverage: Coverage, tree: Path) -> Iterator[str]:
    counts = coverage.counts()
    yield "TN:sysevent"
    for path in dict.fromkeys(line.path for line in counts):
        yield f"SF:{tree / path}"
        yield from _functions(coverage, path)
        own = {line.number: count for line, count in counts.items() if line.path == path}
        for number, count in own.items():
            yield f"DA:{number},{count}"
        yield f"LF:{len(own)}"
        yield f"LH:{sum(map(bool, own.values()))}"
        yield "end_of_record"


def _functions(coverage: Coverage, path: str) -> Iterator[str]:
    """Yield the records of the functions of a file: the first line of each that can be reached, and its count."""
    first: dict[str, int] = {}
    counts: dict[str, int] = {}
    for address, point in coverage.points.items():
        if point.path == path and point.function:
            name = point.function
            first[name] = min(first.get(name, point.line), point.line)
            counts[name] = max(counts.get(name, 0), coverage.reached[address])
    yield from (f"FN:{line},{name}" for name, line in sorted(first.items()))
    yield from (f"FNDA:{count},{name}" for name, count in sorted(counts.items()))
    yield f"FNF:{len(first)}"
    yield f"FNH:{sum(map(bool, counts.values()))}"
