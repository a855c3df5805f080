"""The table of what users of real VMMs got: VMM, release, architecture, event and kernel. From records, without I/O."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from sysevent.contract import catalogue
from sysevent.contract.claim import PREFIX
from sysevent.contract.kernel_release import parse
from sysevent.contract.outcome_checks import beside
from sysevent.contract.vmm_claims import subject
from sysevent.model import Status
from sysevent.report import records
from sysevent.report.recorded_outcome import Seen
from sysevent.report.records import Record
from sysevent.text import escape_line, printable

_HEADINGS = ("event", "what a user got", "bytes", "where")
_NONE = "-"


class Row(msgspec.Struct, frozen=True):
    """One event on the kernels and VMMs on which a user got the same."""

    arch: str
    # The title of the claim: "psci.off".
    event: str
    # What a user got, or why it is not known.
    got: str
    # The status of the claim about the bytes, with that of an erratum.
    raw: str
    # VMM -> releases of kernels.
    where: dict[str, list[str]]

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of the headings."""
        same: dict[tuple[str, ...], list[str]] = {}
        for vmm, kernels in self.where.items():
            same.setdefault(tuple(kernels), []).append(vmm)
        places = (f"{', '.join(vmms)} on {', '.join(kernels)}" for kernels, vmms in same.items())
        return (self.event, self.got, self.raw, "; ".join(places))


def words(seen: Seen) -> str:
    """What a user got of an event, in one line: events, what became of the guest, and how the VMM ended."""
    parts = [", ".join(seen.events) or "no event"]
    parts += [f"{name}={value}" for name, value in seen.data.items() if name in ("action", "arg1")]
    if seen.restarted:
        parts.append("guest runs again")
    elif any(event.startswith("RESET") for event in seen.events):
        parts.append("guest never runs again")
    if seen.returned:
        parts.append(f"call returns {seen.returned}")
    if seen.refused:
        parts.append("guest gets #GP")
    if seen.state in ("", "running"):
        # A VMM whose guest runs is ended by its monitor.
        parts += [] if seen.state else [seen.ended]
    else:
        parts.append(f"machine stopped: {seen.state}")
    return "; ".join(parts)


def rows(run: Sequence[Record]) -> list[Row]:
    """The rows of the table, by architecture and in the order of the claims; claims that do not apply are left out."""
    verdicts = {(r.target, r.test): r for r in run if isinstance(r, records.Verdict) and r.native}
    outcomes = {(r.target, r.test, r.vmm): r for r in run if isinstance(r, records.Outcome)}
    claims = catalogue.load().about_vmms
    called = names(run)
    found: dict[tuple[str, str, str, str], Row] = {}
    for claim in claims:
        for record in (r for r in run if isinstance(r, records.Verdict) and r.test == claim.test()):
            vmm = record.dimensions.get("vmm", "")
            outcome = outcomes.get((record.target, record.test, vmm))
            if record.status is Status.SKIP:
                continue
            why = record.reason.removeprefix(f"{claim.asks.name}: ")
            got = words(outcome.seen) if outcome else f"{record.status}: {printable(why)[:120]}"
            raw = status_of_bytes(verdicts.get((record.target, f"{PREFIX}.{beside(claim)}"))) or _NONE
            event = subject(claim)[1]
            row = found.setdefault((claim.arch, event, got, raw), Row(claim.arch, event, got, raw, {}))
            kernels = row.where.setdefault(called.get(vmm, vmm), [])
            if (release := _release(record)) not in kernels:
                kernels.append(release)
                kernels.sort(key=_order)
    return list(found.values())


def names(run: Sequence[Record]) -> dict[str, str]:
    """Return what tables call each VMM: without the path of a program, unless two of a name were asked the same."""
    asked: dict[str, set[str]] = {}
    for record in run:
        if isinstance(record, records.Verdict) and (vmm := record.dimensions.get("vmm")):
            tests = asked.setdefault(vmm, set())
            # A program for one architecture is skipped on the others.
            tests |= set() if record.status is Status.SKIP else {record.test}
    called: dict[str, str] = {}
    for vmm, tests in asked.items():
        name = vmm.partition("=")[0]
        others = (asked[one] for one in asked if one != vmm and one.partition("=")[0] == name)
        called[vmm] = name if all(tests.isdisjoint(other) for other in others) else vmm
    return called


def _order(release: str) -> tuple[list[int], str]:
    """Sorts releases by number."""
    return [int(number) for number in re.findall(r"\d+", release)], release


def status_of_bytes(verdict: records.Verdict | None) -> str:
    """Return the status of the claim about the bytes, with that of an erratum; "" without one."""
    return f"{verdict.status} {verdict.erratum}".strip() if verdict else ""


def _release(record: records.Verdict) -> str:
    """The kernel as a series of releases, such as "6.12"; as the run names the target if it did not answer."""
    if not record.kernel:
        return printable(record.target)
    major, minor = parse(record.kernel)
    return f"{major}.{minor}"


def lines(run: Sequence[Record]) -> Iterator[str]:
    """The table as text, a part for each architecture, and below it what it cost, and which VMMs were not asked."""
    table = rows(run)
    for arch in dict.fromkeys(row.arch for row in table):
        cells = [_HEADINGS, *(row.cells() for row in table if row.arch == arch)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        yield f"{arch}"
        for cell in cells:
            line = "  ".join(text.ljust(width) for text, width in zip(cell, widths, strict=True))
            yield escape_line(f"  {line.rstrip()}")
    called = names(run)
    yield from _costs([r for r in run if isinstance(r, records.Outcome)], called)
    yield from _not_asked([r for r in run if isinstance(r, records.Verdict)], called)


def _not_asked(verdicts: Sequence[records.Verdict], called: Mapping[str, str]) -> Iterator[str]:
    """A line for each VMM and reason for which no claim about it was judged on an architecture."""
    statuses: dict[tuple[str, str], list[records.Verdict]] = {}
    for record in verdicts:
        if vmm := record.dimensions.get("vmm"):
            arch = record.test.removeprefix(f"{PREFIX}.").partition(".")[0]
            statuses.setdefault((vmm, arch), []).append(record)
    left: dict[tuple[str, str], list[str]] = {}
    for (vmm, arch), own in statuses.items():
        if all(record.status is Status.SKIP for record in own):
            left.setdefault((vmm, statistics.mode(record.reason for record in own)), []).append(arch)
    for (vmm, reason), archs in left.items():
        yield escape_line(
            f"{called.get(vmm, vmm)} was not asked on {', '.join(sorted(archs))}: {printable(reason)}"
        )


def _costs(outcomes: Sequence[records.Outcome], called: Mapping[str, str]) -> Iterator[str]:
    for vmm in dict.fromkeys(one.vmm for one in outcomes):
        own = [one.seen for one in outcomes if one.vmm == vmm]
        version = next((f" ({one.version})" for one in own if one.version), "")
        memory = max(one.memory for one in own)
        times = ""
        # Those that report when they are ready.
        if timed := [one for one in own if one.start_seconds]:
            start = statistics.median(one.start_seconds for one in timed)
            event = statistics.median(one.seconds for one in timed)
            times = (
                f"median {start:.1f} s from its start to a guest that can run, {event:.3f} s to the event; "
            )
        yield escape_line(
            f"{called.get(vmm, vmm)}{version}: {len(own)} runs; {times}{memory / 1024:.0f} MB of memory at most"
        )
