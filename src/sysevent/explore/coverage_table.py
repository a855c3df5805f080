"""The table at the end of an exploration: what was reached of each source file of the producers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sysevent.explore.coverage import FileCoverage

# Functions that a line names.
_SHOWN = 6


def render(files: Sequence[FileCoverage]) -> Iterator[str]:
    """Yield the lines of the table, and behind each file the functions of it that were never reached."""
    width = max((len(one.path) for one in files), default=0)
    yield f"{'producer':{width}}  lines  reached  new"
    for one in files:
        yield f"{one.path:{width}}  {one.lines:5}  {one.reached:7}  {one.new:3}"
        if one.unreached:
            yield f"  never reached: {_names(one.unreached)}"
    lines, reached, new = (sum(getattr(one, name) for one in files) for name in ("lines", "reached", "new"))
    yield f"{'all':{width}}  {lines:5}  {reached:7}  {new:3}"


def _names(functions: Sequence[str]) -> str:
    more = f" and {len(functions) - _SHOWN} more" if len(functions) > _SHOWN else ""
    return f"{', '.join(functions[:_SHOWN])}{more}"
