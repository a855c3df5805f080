"""Which points of the producers the sequences of an exploration have reached, and which sequences reached new ones.

A sequence that reaches a point for the first time is kept. Those that are kept are changed and asked again
(explore/change.py), above all those that reached what few others did: that is often the way to what none has reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from sysevent.conformance.play import Sequence
from sysevent.decode.instrumented import Point
from sysevent.decode.kcov import executed
from sysevent.errors import BadWire
from sysevent.model import Observation
from sysevent.scenario.cover import WORDS, Cover
from sysevent.scenario.steps import Scenario

_BEGIN, _END = "coverage", "covered"
# Sequences that are kept of one kernel.
KEPT_MAX = 512


class Line(msgspec.Struct, frozen=True, order=True):
    """A line of the source with a point."""

    path: str
    number: int


class Coverage:
    """What one exploration of one kernel has reached."""

    def __init__(self, points: Mapping[int, Point], before: Iterable[int] = ()) -> None:
        """points: those that count, by address. before: those that earlier explorations of the kernel reached."""
        self.points = dict(points)
        self.before = frozenset(before) & frozenset(self.points)
        # How many sequences reached each address.
        self.reached: Counter[int] = Counter()
        # With the points that each of them reached first.
        self._kept: dict[Sequence, frozenset[int]] = {}
        # Sequences of which not all addresses could be kept, or none.
        self.cut = self.unknown = 0
        self._lines = {address: Line(point.path, point.line) for address, point in self.points.items()}
        self._seen: set[Line] = set()

    def recording(self, asked: Scenario) -> Scenario:
        """Return a scenario that records what it reaches. It keeps its name."""
        steps = (Cover(_BEGIN, WORDS), *asked.steps, Cover(_END))
        return msgspec.structs.replace(asked, steps=steps)

    def take(self, sequence: Sequence, seen: Observation) -> bool:
        """Count what a sequence has reached, and return whether it is kept because something of it is new."""
        answer = seen.answers.get(_END)
        if answer is None or answer.errno:
            self.unknown += 1
            return False
        try:
            found = executed(answer)
        except BadWire:
            self.unknown += 1
            return False
        self.cut += found.cut
        here = found.addresses & self.points.keys()
        new = here - self.reached.keys()
        self.reached.update(here)
        self._seen.update(self._lines[address] for address in new)
        if new and sequence not in self._kept:
            self._kept[sequence] = frozenset(new)
            if len(self._kept) > KEPT_MAX:
                del self._kept[next(iter(self._kept))]
        return bool(new)

    @property
    def kept(self) -> list[Sequence]:
        """The sequences that are kept, those first that reached what the fewest others reached."""
        return sorted(self._kept, key=lambda one: min(self.reached[address] for address in self._kept[one]))

    @property
    def lines_reached(self) -> int:
        """Lines of the producers that were reached."""
        return len(self._seen)

    @property
    def lines(self) -> int:
        """Lines of the producers that can be reached: all that have a point."""
        return len(set(self._lines.values()))

    def counts(self) -> dict[Line, int]:
        """Return for each line how many sequences reached it: of several points, the one that most reached."""
        found = dict.fromkeys(sorted(self._lines.values()), 0)
        for address, line in self._lines.items():
            found[line] = max(found[line], self.reached[address])
        return found

    def files(self) -> Iterator[FileCoverage]:
        """Yield what was reached of each file, in the order of their paths."""
        counts = self.counts()
        old = {self._lines[address] for address in self.before}
        functions: dict[tuple[str, str], bool] = {}
        for address, point in self.points.items():
            key = point.path, point.function
            functions[key] = functions.get(key, False) or address in self.reached
        for path in dict.fromkeys(line.path for line in counts):
            own = {line: count for line, count in counts.items() if line.path == path}
            yield FileCoverage(
                path,
                lines=len(own),
                reached=sum(map(bool, own.values())),
                new=sum(bool(count) and line not in old for line, count in own.items()),
                unreached=tuple(
                    sorted(name for (of, name), hit in functions.items() if of == path and not hit)
                ),
            )


class FileCoverage(msgspec.Struct, frozen=True):
    """What was reached of one source file."""

    path: str
    # Lines that have a point, those of them that were reached, and of these, that no earlier exploration had reached.
    lines: int
    reached: int
    new: int
    # Functions none of whose points was reached.
    unreached: tuple[str, ...]
