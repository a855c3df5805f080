"""Whether a failure is that of the kernel: it must be seen in two guests, the second one booted for it. No I/O."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sysevent.contract.exit_claim import ExitClaim, ExitEvidence
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.contract.log_claim import LogEvidence
from sysevent.contract.terms import Terms
from sysevent.decode.event import ranges
from sysevent.model import Facts, Mismatch, Observation, Status, Verdict
from sysevent.text import first_line

# Bytes of each exit that a description of a difference quotes.
_QUOTED = 16
# Bytes of the widest member that one value is read from.
_WIDEST_MEMBER = 8
_SECONDS = re.compile(r" within [0-9.]+ s")


class Sighting(msgspec.Struct, frozen=True):
    """The verdict on a claim by what one guest gave."""

    verdict: Verdict
    # None if the verdict rests on a refused set-up step.
    evidence: ExitEvidence | HeaderFacts | LogEvidence | None

    @property
    def failed(self) -> bool:
        """Whether the verdict is FAIL."""
        return self.verdict.status is Status.FAIL


def sighting(claim: ExitClaim, facts: Facts, terms: Terms, observe: Callable[[], Observation]) -> Sighting:
    """Return the verdict on a claim by one guest; raise what ExitClaim.evidence() and judge() raise."""
    found = claim.evidence(facts, terms, observe)
    return Sighting(found, None) if isinstance(found, Verdict) else Sighting(claim.judge(found), found)


class Agreement(enum.Enum):
    """How far failures of one claim in several guests are the same one."""

    # The same value at the same place.
    SAME = "same"
    # The same place, other values.
    PLACE = "place"
    # Nothing in common, or not all are failures.
    NONE = "none"


def agreement(*sightings: Sighting) -> Agreement:
    """Return how far the sightings of a claim in several guests show the same failure.

    A kernel that leaves a member uninitialised gives another value after each boot: the place alone agrees then. But a
    guest that now and then damages an exit damages the same member twice by chance, so that a third sighting must
    agree as well. What comes from text (headers, the kernel's log) needs no comparison.
    """
    if not all(one.failed for one in sightings):
        return Agreement.NONE
    if not any(isinstance(one.evidence, ExitEvidence) for one in sightings):
        return Agreement.SAME
    return of_mismatches([one.verdict.mismatches for one in sightings])


def of_mismatches(found: Sequence[tuple[Mismatch, ...]]) -> Agreement:
    """Return how far the mismatches of several failures agree: the best of those that all of them have."""
    first, *others = found
    best = Agreement.NONE
    for wrong in first:
        there = [[one for one in other if _same_place(wrong, one)] for other in others]
        if all(any(_value(one) == _value(wrong) for one in each) for each in there):
            return Agreement.SAME
        if all(there):
            best = Agreement.PLACE
    return best


def _same_place(one: Mismatch, other: Mismatch) -> bool:
    """Return whether both say that the same place is wrong; of a range of bytes, that the same ones are."""
    start, end = one.span or (0, 0)
    return one.what == other.what and (_value(one) == _value(other) or end - start <= _WIDEST_MEMBER)


def _value(wrong: Mismatch) -> str:
    """Return what was got, without the time that was waited for it."""
    return _SECONDS.sub("", wrong.got)


def difference(first: Sighting, second: Sighting) -> str:
    """Return both verdicts on one claim, and what differs in their evidence, in one line."""
    differing = "; ".join(_differences(first.evidence, second.evidence)) or "their evidence does not differ"
    return f"{words(first.verdict)}, in another guest {words(second.verdict)}: {differing}"


def unconfirmed(why: str) -> str:
    """Return the reason of a MISS in place of a failure that was not seen twice, in one line."""
    return f"it failed in one guest only, which is no verdict about the kernel: {why}"


def words(verdict: Verdict) -> str:
    """Return the status with what was got; the claim's sentence is left out, as it is the same for both."""
    wrong = "; ".join(f"{one.what}: got {one.got}, expected {one.expected}" for one in verdict.mismatches[:3])
    return (
        f"{verdict.status} ({wrong or first_line(verdict.reason)})"
        if verdict.status is not Status.PASS
        else "PASS"
    )


def _differences(first: Any, second: Any) -> list[str]:
    if not isinstance(first, ExitEvidence) or not isinstance(second, ExitEvidence):
        return []
    found = [
        f"{kind} {name}: {before.get(name, 'absent')}, then {after.get(name, 'absent')}"
        for kind, before, after in (
            ("capability", first.facts.capabilities, second.facts.capabilities),
            ("feature", first.facts.features, second.facts.features),
        )
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    for label in sorted({*first.seen.exits, *second.seen.exits}):
        found += _bytes(label, first.seen, second.seen)
    return found


def _bytes(label: str, first: Observation, second: Observation) -> list[str]:
    """Return which bytes of an exit differ, and the first of them in both observations."""
    one, other = first.exits.get(label), second.exits.get(label)
    if one is None or other is None:
        return [f"{label!r} was only entered in one of them"] if one is not other else []
    if (one.ret, one.errno, one.kicked) != (other.ret, other.errno, other.kicked):
        return [
            f"{label!r}: KVM_RUN gave {_result(one.ret, one.errno, one.kicked)}, then "
            f"{_result(other.ret, other.errno, other.kicked)}"
        ]
    spans = ranges([at for at, (a, b) in enumerate(zip(one.head, other.head, strict=True)) if a != b])
    if not spans:
        return []
    start, end = spans[0][0], min(spans[0][1], spans[0][0] + _QUOTED)
    where = ", ".join(f"{first}..{last - 1}" for first, last in spans[:4])
    return [
        f"bytes {where} of {label!r}: from {start} {one.head[start:end].hex(' ')}, then "
        f"{other.head[start:end].hex(' ')}"
    ]


def _result(ret: int, errno: int, kicked: bool) -> str:
    return f"{ret}, errno {errno}" + (", ended by the watchdog" if kicked else "")
