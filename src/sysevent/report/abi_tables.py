"""The tables of docs/abi.md: the numbers of the ABI, and how programs of different years read the recorded events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType, ResetFlag, ShutdownFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.number import BEFORE_ALL, Number
from sysevent.abi.psci import Function
from sysevent.contract import catalogue, readers
from sysevent.contract.terms import version
from sysevent.model import Facts
from sysevent.report import readers_table
from sysevent.report.difference import TargetRun

# A kernel's release without its flavour.
_SHORT = re.compile(r"\d+\.\d+(?:\.\d+)?(?:-\d+)?")


def release(facts: Facts) -> str:
    """Return a kernel's release without its flavour: "6.12.107"."""
    found = _SHORT.match(facts.release)
    return found.group() if found else facts.release


def numbers() -> Iterator[str]:
    """Yield the section of the numbers, each with the release and the commit that added it."""
    yield "## Numbers\n"
    yield f"Exit reason: KVM_EXIT_SYSTEM_EVENT, {ExitReason.SYSTEM_EVENT.value}.\n"
    yield "| number | value | since | commit |"
    yield "|---|---|---|---|"
    capabilities = (
        Capability.SYSTEM_EVENT_DATA,
        Capability.ARM_SYSTEM_SUSPEND,
        Capability.X86_TRIPLE_FAULT_EVENT,
    )
    tables: tuple[tuple[str, str, Iterable[Number]], ...] = (
        ("type: ", "KVM_SYSTEM_EVENT_", EventType),
        ("data[0] of a RESET: ", "KVM_SYSTEM_EVENT_RESET_FLAG_", ResetFlag),
        ("data[0] of a SHUTDOWN: ", "KVM_SYSTEM_EVENT_SHUTDOWN_FLAG_", ShutdownFlag),
        ("capability: ", "KVM_CAP_", capabilities),
        ("PSCI: ", "", Function),
    )
    for kind, prefix, rows in tables:
        for row in rows:
            value = hex(row) if row > 999 else str(row.value)
            since = f"v{version(row.since)}" if row.since != BEFORE_ALL else "before v5.10"
            yield f"| {kind}{row.macro or prefix + row.name} | {value} | {since} | {row.commit} |"
    yield ""


def readers_rows(targets: Sequence[TargetRun]) -> Iterator[str]:
    """Yield the table of readers: how programs of different years read all recorded events."""
    yield "## Who reads what\n"
    yield "How programs that were built in different years read the recorded events, by kernel and ABI of the VMM."
    yield "*Right* is what the kernel meant, *wrong* is something else, *garbage* are bytes that were not written.\n"
    yield "| kernel | ABI | " + " | ".join(f"{one.name}<br>({one.used_by})" for one in readers.READERS) + " |"
    yield "|---|---|" + "---|" * len(readers.READERS)
    claims = readers_table.by_scenario(catalogue.load().exits)
    rows: dict[tuple[str, str], list[readers.Reading]] = {}
    for target in targets:
        for (scenario, abi), observation in target.observations.items():
            claim = claims.get(scenario)
            if claim is not None:
                found = readers.readings(claim, observation, target.facts)
                rows.setdefault((release(target.facts), abi), []).extend(found)
    for (kernel, abi), found in rows.items():
        if found:
            yield f"| {kernel} | {abi} | " + " | ".join(_counts(found)) + " |"
    yield ""


def _counts(found: Sequence[readers.Reading]) -> Iterator[str]:
    for reader in readers.READERS:
        results = [one.result.value for one in found if one.reader == reader.name]
        yield ", ".join(f"{results.count(word)} {word}" for word in sorted(set(results), reverse=True))
