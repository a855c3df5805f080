"""What a real VMM's user got of an event, beside what its reader (contract/readers.py) makes of the bytes. No I/O."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec

from sysevent.contract import catalogue
from sysevent.contract.claim import PREFIX
from sysevent.contract.outcome_checks import beside
from sysevent.contract.readers import READERS, Reading, ReadResult
from sysevent.contract.vmm_claims import family, subject
from sysevent.model import Status
from sysevent.report import records
from sysevent.report.matrix import last_verdicts
from sysevent.report.records import Record
from sysevent.report.vmm_table import names, status_of_bytes, words
from sysevent.text import printable


class LiveResult(enum.StrEnum):
    """Whether the user of a real VMM gets what the claim about it says."""

    RIGHT = "right"
    # The VMM reports a reset, and its guest never runs again.
    GUEST_DEAD = "guest dead"
    # The claim about the bytes holds.
    VMM_WRONG = "VMM wrong"
    # The claim about the bytes does not hold either.
    KERNEL_WRONG = "kernel wrong"
    # There is no verdict on the bytes.
    DIFFERENT = "different"
    NO_RESULT = "no result"


class Live(msgspec.Struct, frozen=True):
    """What a user of one VMM got of one event on one target."""

    target: str
    abi: str
    # As tables call it: "qemu-10".
    vmm: str
    # "hyperv.crash"
    event: str
    result: LiveResult
    # What the user got, in words.
    got: str
    # The status of the claim about the bytes; "" without one.
    raw: str
    # What the VMM's reader makes of the bytes, and what is true; None if they have no reading.
    computed: Reading | None

    def __str__(self) -> str:
        """What the user got, with what is beside it."""
        parts = [f"bytes {self.raw or 'not judged'}"]
        if self.computed is not None:
            parts.append(f"{self.computed.reader!r} computed: {self.computed.result}")
        return f"{self.event}: {self.got} ({'; '.join(parts)})"


def reader_of(vmm: str) -> str:
    """Return the name of the reader that a VMM has, by the name in tables; "" if there is none."""
    return next((reader.name for reader in READERS if family(vmm) in reader.vmms), "")


def read(run: Sequence[Record], readings: Iterable[tuple[str, Reading]]) -> list[Live]:
    """Return what users of real VMMs got in a run, in the order of the verdicts. What does not apply is left out.

    readings: those of the same run, from readers_table.read().
    """
    verdicts = [r for r in run if isinstance(r, records.Verdict) and r.dimensions.get("vmm")]
    if not verdicts:
        return []
    claims = {claim.test(): claim for claim in catalogue.load().about_vmms}
    outcomes = {(r.target, r.test, r.vmm): r for r in run if isinstance(r, records.Outcome)}
    bytes_of = {(one.target, one.test): one for one in last_verdicts(run).values() if one.native}
    called = names(run)
    computed = {(target, one.event, one.reader, one.abi): one for target, one in readings}
    found: dict[tuple[str, str, str], Live] = {}
    for verdict in verdicts:
        vmm, claim = verdict.dimensions["vmm"], claims.get(verdict.test)
        if claim is None or verdict.status is Status.SKIP:
            continue
        name = beside(claim)
        raw = bytes_of.get((verdict.target, f"{PREFIX}.{name}")) if name else None
        seen = outcomes.get((verdict.target, verdict.test, vmm))
        found[verdict.target, verdict.test, vmm] = Live(
            verdict.target,
            verdict.abi,
            called[vmm],
            subject(claim)[1],
            _result(verdict, seen, raw),
            words(seen.seen) if seen else f"{verdict.status}: {printable(verdict.reason)[:120]}",
            status_of_bytes(raw),
            computed.get((verdict.target, name, reader_of(vmm), verdict.abi)),
        )
    return list(found.values())


def _result(
    verdict: records.Verdict, outcome: records.Outcome | None, raw: records.Verdict | None
) -> LiveResult:
    if verdict.status is Status.PASS:
        return LiveResult.RIGHT
    if outcome is None or verdict.status not in (Status.DONE, Status.FAIL):
        return LiveResult.NO_RESULT
    seen = outcome.seen
    if any(event.startswith("RESET") for event in seen.events) and not seen.restarted:
        return LiveResult.GUEST_DEAD
    if raw is None or raw.status not in (Status.PASS, Status.DONE, Status.FAIL):
        return LiveResult.DIFFERENT
    return LiveResult.VMM_WRONG if raw.status is Status.PASS else LiveResult.KERNEL_WRONG


def notes(found: Iterable[Live]) -> list[tuple[ReadResult, str]]:
    """Return a line for each VMM and each way in which its user does not get what claims say, with its mark."""
    groups: dict[tuple[str, LiveResult], list[Live]] = {}
    for one in found:
        if one.result is not LiveResult.RIGHT:
            groups.setdefault((one.vmm, one.result), []).append(one)
    lines = []
    for (vmm, result), group in groups.items():
        places = ", ".join(dict.fromkeys(one.target for one in group))
        events = "1 event" if len(group) == 1 else f"{len(group)} events, such as"
        words = "kernel right, VMM wrong" if result is LiveResult.VMM_WRONG else result
        lines.append((ReadResult.WRONG, f"{words}: {vmm} on {places}, {events} {group[0]}"))
    return lines
