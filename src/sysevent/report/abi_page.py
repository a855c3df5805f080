"""The reference of the ABI, docs/abi.md, made from the tables of abi/, the claims, and runs of real kernels.

    python -m sysevent.report.abi_page > docs/abi.md

The runs are those of tests/data/runs, which the tests of this code judge, too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sysevent.abi import names
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import DATA, NDATA, Field
from sysevent.abi.mp_state import MpState
from sysevent.abi.registers import PC
from sysevent.checkout import RECORDINGS
from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.terms import EventDefinition, Terms
from sysevent.decode.event import decode
from sysevent.errors import NotApplicable
from sysevent.model import Facts, Observation, RawExit
from sysevent.report import run_log
from sysevent.report.abi_drawing import LEFT, drawing
from sysevent.report.abi_events import EVENTS, NOT_RECORDED, REGISTERS, Shown
from sysevent.report.abi_tables import numbers, readers_rows, release
from sysevent.report.difference import TargetRun, by_target
from sysevent.report.records import Record

_HEAD = """# The ABI of system events

What a VMM reads from `kvm_run` when its guest shuts down, resets, suspends or crashes, for each event, architecture and
release, drawn from what real kernels wrote.

The VMM had filled all outputs with a poison value before KVM_RUN. A byte that is shown as `··` still had it: the kernel
did not write it. Where nothing was filled in between, underlined bytes are those of the exit before. Offsets are those
in `struct kvm_run`, and the same for every userspace ABI since v5.18; the [story of April 2022](story.md) says why not
before. Registers are those of the vCPU at the exit, and `next` is the instruction behind the call. The KVM_RUN of a
vCPU that is `STOPPED` blocks until userspace declares it runnable. `-` is what was not asked, or does not exist.

Behind a sentence, *promised* means that the kernel's documentation says so, and *observed* that kernels do so today.

This page is made by `python -m sysevent.report.abi_page > docs/abi.md`. Defects that released kernels have are in
[errata.md](errata.md), what is not covered in [limits.md](limits.md).
"""

# Bytes behind a label of a payload within which an address is given by it.
_NEAR = 64


class Seen(msgspec.Struct, frozen=True):
    """What one kernel gave for one event, to a VMM of one ABI."""

    facts: Facts
    observation: Observation
    # None if it was not recorded.
    peers: Observation | None

    @property
    def name(self) -> tuple[str, str]:
        """The kernel's release and the ABI of the VMM."""
        return release(self.facts), self.observation.abi


def main() -> None:
    """Print the page."""
    runs = [list(run_log.read(path)) for path in sorted(RECORDINGS.glob("*.jsonl"))]
    sys.stdout.write(page(runs))


def page(runs: Sequence[Sequence[Record]]) -> str:
    """Return the page as Markdown, from the records of runs."""
    targets = [one for run in runs for one in by_target(run).values()]
    targets.sort(key=lambda one: [int(part) for part in re.split(r"[.-]", release(one.facts))])
    lines = [_HEAD, *numbers()]
    for arch, events in EVENTS.items():
        own = [one for one in targets if one.facts.arch == arch]
        lines.append(f"## {arch}\n")
        for event in events:
            lines += _event(arch, event, own)
    lines += _not_recorded()
    lines += readers_rows(targets)
    return "\n".join(lines)


def _event(arch: str, event: Shown, targets: Sequence[TargetRun]) -> Iterator[str]:
    """Yield the section of one event."""
    known = {claim.name: claim for claim in catalogue.load().exits}
    # The claim about its bytes has the name of the scenario.
    claim = known[f"{arch}.{event.scenario}"]
    yield f"### {event.title}\n"
    yield f"- Guest: {event.call}."
    yield f"- {claim.says}"
    yield f"- Source: {claim.source}."
    yield ""
    seen = list(_seen(arch, event, targets))
    yield f"| kernel | event | ndata | data[0] | {PC[arch]} | registers | caller | others |"
    yield "|---|---|---|---|---|---|---|---|"
    for row, kernels in _grouped((_row(arch, event, one), one.name) for one in seen):
        yield f"| {kernels} | {row} |"
    yield ""
    yield from _drawings(event, seen)
    yield from _absent(claim, targets)
    for name in event.also:
        other = known[f"{arch}.{name}"]
        yield f"- {other.says} *{'promised' if other.level == 'abi' else 'observed'}* (`{other.name}`)"
    yield ""


def _seen(arch: str, event: Shown, targets: Sequence[TargetRun]) -> Iterator[Seen]:
    for target in targets:
        for (scenario, abi), observation in target.observations.items():
            if scenario == f"{arch}.{event.scenario}":
                peers = target.observations.get((f"{arch}.{event.peers}", abi))
                yield Seen(target.facts, observation, peers)


def _grouped(pairs: Iterable[tuple[str, tuple[str, str]]]) -> list[tuple[str, str]]:
    """Return what is the same for several kernels once, with their names in words.

    pairs: a text, and a kernel and an ABI for which it holds; the ABI is "" where it makes no difference.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for value, (kernel, abi) in pairs:
        abis = found.setdefault(value, {}).setdefault(kernel, [])
        if abi not in abis:
            abis.append(abi)
    return [(value, _kernels(kernels)) for value, kernels in found.items()]


def _kernels(found: dict[str, list[str]]) -> str:
    """Return kernels in words, with the ABIs where there are several: "6.1.0, 6.12.107 (x86_64 and i386)"."""
    by_abis: dict[str, list[str]] = {}
    for kernel, abis in found.items():
        by_abis.setdefault(" and ".join(sorted(abis, reverse=True)) if len(abis) > 1 else "", []).append(
            kernel
        )
    return "; ".join(", ".join(kernels) + (f" ({abis})" if abis else "") for abis, kernels in by_abis.items())


def _row(arch: str, event: Shown, one: Seen) -> str:
    """Return the cells of one kernel, without its name."""
    raw = one.observation.exits[event.labels[-1]]
    found = decode(raw, arch)
    if found.exit_reason == ExitReason.SYSTEM_EVENT:
        data = Terms().definition(one.facts) is EventDefinition.DATA
        ndata = _value(raw, NDATA) if data else "-"
        cells = [names.event_type(found.field("type")), ndata, _value(raw, DATA[0])]
    elif found.exit_reason == ExitReason.SHUTDOWN:
        cells = [f"exit {names.exit_reason(found.exit_reason)}", "-", "-"]
    else:
        cells = [f"none: the guest goes on, exit {names.exit_reason(found.exit_reason)}", "-", "-"]
    cells.append(_place(found.registers.get(PC[arch], 0), one.observation.symbols))
    cells.append(" ".join(f"{name}={found.registers[name]:#x}" for name in REGISTERS[arch]))
    cells += _states(one)
    return " | ".join(cells)


def _value(raw: RawExit, member: Field) -> str:
    """Return a member as a number, or "··" if it still has its poison."""
    part = raw.head[member.offset : member.offset + member.size]
    return LEFT if raw.poison is not None and part == bytes([raw.poison]) * len(part) else _hex(part)


def _hex(part: bytes) -> str:
    value = int.from_bytes(part, "little")
    return str(value) if value < 10 else hex(value)


def _place(address: int, symbols: dict[str, int]) -> str:
    """Return the program counter in words: "next" behind the call, "at the call", or the label that it is behind."""
    words = {"returned": "next", "_start": "at the call"}
    below = [(at, name.partition(".")[2]) for name, at in symbols.items() if 0 <= address - at < _NEAR]
    if not below:
        return hex(address)
    at, name = max(below)
    return words.get(name, name) + (f" + {address - at}" if address > at else "")


def _states(one: Seen) -> list[str]:
    """Return the states of the vCPU that called, and of the others, where they were asked for."""
    alone = one.observation.answers.get("mp_state")
    others = []
    if one.peers is not None:
        others = [
            _state(answer.data)
            for label, answer in one.peers.answers.items()
            if label.startswith("mp_state ") and label != "mp_state 0"
        ]
    return [_state(alone.data) if alone else "-", ", ".join(dict.fromkeys(others)) or "-"]


def _state(data: bytes) -> str:
    number = int.from_bytes(data[:4], "little")
    return MpState(number).name if number in list(MpState) else str(number)


def _drawings(event: Shown, seen: Sequence[Seen]) -> Iterator[str]:
    """Yield the bytes of each exit, once for all kernels that wrote the same."""
    before = None
    for label in event.labels:
        drawn = [(_drawing(one, label, before), one.name) for one in seen if _is_drawn(one, event)]
        for picture, kernels in _grouped(drawn):
            which = f", exit `{label}`" if len(event.labels) > 1 else ""
            yield f"{kernels}{which}:\n"
            yield f"{picture}\n"
        before = label


def _is_drawn(one: Seen, event: Shown) -> bool:
    """Return whether the event happened: the guest did not go on instead."""
    found = decode(one.observation.exits[event.labels[-1]], one.facts.arch)
    return found.exit_reason in (ExitReason.SYSTEM_EVENT, ExitReason.SHUTDOWN)


def _drawing(one: Seen, label: str, before: str | None) -> str:
    exits = one.observation.exits
    return drawing(exits[label], Terms().definition(one.facts), exits[before] if before else None)


def _absent(claim: ExitClaim, targets: Sequence[TargetRun]) -> Iterator[str]:
    """Yield why the claim does not apply to some of the recorded kernels."""
    reasons = []
    for target in targets:
        try:
            claim.require_applicable(target.facts, Terms())
        except NotApplicable as why:
            reason = str(why).removeprefix(f"Linux {target.facts.release} offers ")
            reasons.append((reason, (release(target.facts), "")))
    for reason, kernels in _grouped(reasons):
        yield f"- {kernels}: {reason}."


def _not_recorded() -> Iterator[str]:
    yield "## Events that were not recorded\n"
    for name in NOT_RECORDED:
        claim = catalogue.load().claim(name)
        assert isinstance(claim, ExitClaim)
        says = claim.says.replace("<", "&lt;")
        yield f"- {says} Required: {claim.needs[0].requires}. Source: {claim.source}."
    yield ""


if __name__ == "__main__":
    main()
