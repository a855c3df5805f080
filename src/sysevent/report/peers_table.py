"""What test programs of others found, for each kernel and architecture: `sysevent peers`. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sysevent.model import Status
from sysevent.report.records import Peer, Record, Target


def lines(run: Sequence[Record]) -> Iterator[tuple[str, Status | None]]:
    """Yield the lines of the table, each with the status that it shows: a heading and counts for each target."""
    targets = {record.name: record for record in run if isinstance(record, Target)}
    found = [record for record in run if isinstance(record, Peer)]
    for name in dict.fromkeys(one.target for one in found):
        yield from _target(name, targets.get(name), [one for one in found if one.target == name])


def _target(name: str, target: Target | None, found: Sequence[Peer]) -> Iterator[tuple[str, Status | None]]:
    kernel = f"  {target.spec}  Linux {target.kernel}" if target else ""
    sources = ", ".join(dict.fromkeys(one.source for one in found if one.source))
    yield f"{name}{kernel}{f'  ({sources})' if sources else ''}", None
    width = max(len(one.program) for one in found)
    for one in found:
        seconds = f"{one.seconds:6.1f} s" if one.seconds else " " * 8
        yield f"  {one.status:4}  {one.program:{width}}  {seconds}  {one.reason}".rstrip(), one.status
    yield f"  {counts(found)} in {sum(one.seconds for one in found):.0f} s", None


def counts(found: Sequence[Peer]) -> str:
    """Return how many programs have each status, the worst first: "1 FAIL, 4 PASS"."""
    numbers = ((status, sum(one.status is status for one in found)) for status in Status)
    return ", ".join(f"{number} {status}" for status, number in numbers if number) or "no programs"


def exit_code(found: Sequence[Peer]) -> int:
    """Return the exit code of `sysevent peers`: 1 if a program failed; 3 if one was missed, or none passed; else 0."""
    statuses = {one.status for one in found}
    if Status.FAIL in statuses:
        return 1
    return 3 if Status.MISS in statuses or Status.PASS not in statuses else 0
