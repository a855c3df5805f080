"""How many claims of a run were judged in each dimension, one line a value. No I/O."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from sysevent.model import Status
from sysevent.report import records
from sysevent.report.matrix import last_verdicts


def lines(run: Iterable[records.Record]) -> Iterator[str]:
    """Yield a line for each value of a dimension that claims were asked in: "irqchip gicv3: 12 PASS, 1 SKIP"."""
    found: defaultdict[tuple[str, str], Counter[Status]] = defaultdict(Counter)
    for verdict in last_verdicts(run).values():
        for dimension in verdict.dimensions.items():
            found[dimension][verdict.status] += 1
    for (name, value), counts in sorted(found.items()):
        shown = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])
        yield f"{name} {value}: {shown}"
