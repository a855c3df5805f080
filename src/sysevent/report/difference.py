"""Two runs compared: exit by exit, byte by byte, with what the bytes mean. No I/O.

Times are not compared. What only one of the runs asked is a note, not a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from sysevent.abi import kvm_run, names
from sysevent.abi.capabilities import Capability
from sysevent.abi.union_members import UNION_MEMBERS
from sysevent.arches import resolve_abi
from sysevent.decode.event import Event, decode, ranges
from sysevent.errors import UsageError
from sysevent.model import Answer, Facts, Observation, RawExit
from sysevent.report import records
from sysevent.report.records import Record

_UNION = {reason: tuple(member.name for member in members) for reason, members in UNION_MEMBERS.items()}
_HEAD = ("immediate_exit", "exit_reason", "ready_for_interrupt_injection", "if_flag", "run.flags")
_REST = ("kvm_valid_regs", "kvm_dirty_regs", "s.regs")
_CAPABILITIES = {str(number): f"KVM_CAP_{number.name}" for number in Capability}
# How far a peer has counted, and where in its loop it was interrupted, depends on time. Whether it continues to count
# after the exit does not. Labels as in suites/peers.
_PEER = "peer "
_COUNTED = "counted "
_AFTER, _LATER = f"{_COUNTED}after the exit", f"{_COUNTED}later"


# What differs, before, after, and the bytes of kvm_run if it is in them.
_Change = tuple[str, str, str, tuple[int, int] | None]


class TargetRun(msgspec.Struct, frozen=True):
    """What a run found on one target."""

    facts: Facts
    # By scenario and ABI.
    observations: dict[tuple[str, str], Observation]


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not the same in both runs."""

    target: str
    # Empty for what a target reports of itself.
    scenario: str
    # Which exit or answer of the scenario.
    label: str
    what: str
    before: str
    after: str
    # Bytes of kvm_run: the first, and the one after the last.
    span: tuple[int, int] | None = None


class RunComparison(msgspec.Struct):
    """Everything that differs between two runs, and what could not be compared."""

    differences: list[Difference] = []
    notes: list[str] = []
    # Number of scenarios that both runs have.
    compared: int = 0


def by_target(run: Iterable[Record]) -> dict[str, TargetRun]:
    """Return what a run found, by target. The kernel after `@` is left out if its target occurs once only."""
    facts: dict[str, Facts] = {}
    observed: dict[str, dict[tuple[str, str], Observation]] = {}
    for record in run:
        if isinstance(record, records.Target):
            facts[record.name] = record.facts()
        elif isinstance(record, records.Observation):
            seen = record.seen()
            observed.setdefault(record.target, {})[seen.scenario, seen.abi] = seen
    short = {name: name.partition("@")[0] for name in facts}
    count = Counter(short.values())
    return {
        (short[name] if count[short[name]] == 1 else name): TargetRun(known, observed.get(name, {}))
        for name, known in facts.items()
    }


def compare(before: dict[str, TargetRun], after: dict[str, TargetRun]) -> RunComparison:
    """Return how two runs differ. UsageError if no scenario was asked in both."""
    found = RunComparison()
    pairs = _pairs(before, after)
    for name, other in pairs.items():
        _compare_facts(name, before[name].facts, after[other].facts, found)
        _compare_observations(name, before[name], after[other], found)
    for which, unpaired in (("first", before.keys() - pairs), ("second", after.keys() - set(pairs.values()))):
        if unpaired:
            found.notes.append(f"only in the {which}: {', '.join(sorted(unpaired))}")
    if not found.compared:
        first, second = (", ".join(run) or "no target" for run in (before, after))
        raise UsageError(f"the two have nothing in common that could be compared: {first}; and {second}")
    return found


def _pairs(before: dict[str, TargetRun], after: dict[str, TargetRun]) -> dict[str, str]:
    """Pair targets of the same name, then those that are the only ones left of their architecture."""
    pairs = {name: name for name in before if name in after}
    for name, target in before.items():
        arch = target.facts.arch
        same = [other for other in after if after[other].facts.arch == arch and other not in pairs.values()]
        rivals = [o for o in before if before[o].facts.arch == arch and o not in pairs]
        if name not in pairs and len(same) == 1 and len(rivals) == 1:
            pairs[name] = same[0]
    return pairs


def _compare_facts(target: str, before: Facts, after: Facts, found: RunComparison) -> None:
    if before.identity or after.identity:
        first, then = (str(facts.identity or "build ID not recorded") for facts in (before, after))
        found.notes.append(f"{target}: {first}" if first == then else f"{target}: {first}, then {then}")
    if before.build_id != after.build_id:
        found.notes.append(f"{target}: the VMMs differ ({before.build_id}, {after.build_id})")
    for word, one, other in (
        ("capability", before.capabilities, after.capabilities),
        ("feature", before.features, after.features),
    ):
        for name in sorted(one.keys() | other.keys()):
            if one.get(name) != other.get(name):
                meaning = _CAPABILITIES.get(name.rpartition("/")[2], "")
                what = f"{word} {name}" + (f" ({meaning})" if meaning else "")
                a, b = (_number(known[name]) if name in known else "-" for known in (one, other))
                found.differences.append(Difference(target, "", "", what, a, b))


def _compare_observations(target: str, before: TargetRun, after: TargetRun, found: RunComparison) -> None:
    for key in before.observations.keys() ^ after.observations.keys():
        which = "first" if key in before.observations else "second"
        found.notes.append(f"{target}: only the {which} was asked {key[0]} ({key[1]})")
    for key in before.observations:
        if key in after.observations:
            found.compared += 1
            if key[0] == f"{before.facts.arch}.facts":
                # Compared as capabilities and features.
                continue
            _compare_scenario(target, before.observations[key], after.observations[key], found)
    found.notes.sort()


def _compare_scenario(target: str, before: Observation, after: Observation, found: RunComparison) -> None:
    native = resolve_abi(before.arch, before.abi) == before.arch
    scenario = before.scenario if native else f"{before.scenario} ({before.abi})"
    changes = [*_exit_changes(before, after), *_answer_changes(before, after)]
    if (a := _counting(before)) != (b := _counting(after)):
        changes.append(("", ("peers after the exit", a, b, None)))
    if changes and before.symbols != after.symbols:
        found.notes.append(f"{target}: the payloads of {scenario} differ, so its addresses may")
    found.differences += [Difference(target, scenario, label, *change) for label, change in changes]


def _exit_changes(before: Observation, after: Observation) -> Iterable[tuple[str, _Change]]:
    """Yield the label of an exit and what changed there."""
    for label in dict.fromkeys((*before.exits, *after.exits)):
        one, other = before.exits.get(label), after.exits.get(label)
        if one is None or other is None:
            yield label, ("exit", _shown(one, before.arch), _shown(other, after.arch), None)
            continue
        timed = label.startswith(_PEER)
        for change in exits(one, other, before.arch, registers=not timed):
            yield label, change


def _answer_changes(before: Observation, after: Observation) -> Iterable[tuple[str, _Change]]:
    """Yield the label of an answer and what changed there."""
    for label in dict.fromkeys((*before.answers, *after.answers)):
        if label.startswith(_COUNTED):
            continue
        a, b = _answer(before.answers.get(label)), _answer(after.answers.get(label))
        if a != b:
            yield label, ("answer", a, b, None)


def _counting(seen: Observation) -> str:
    """Return whether peers continued after the exit; empty for a scenario without peers.

    Which of them did is not compared: on a single CPU, one that is allowed to run need not have been scheduled.
    """
    if _AFTER not in seen.answers or _LATER not in seen.answers:
        return ""
    # The first counter belongs to the vCPU that caused the exit.
    stopped = seen.answers[_AFTER].data[8:] == seen.answers[_LATER].data[8:]
    return "all stopped" if stopped else "run on"


def exits(before: RawExit, after: RawExit, arch: str, *, registers: bool = True) -> list[_Change]:
    """Return what differs between two exits of an architecture. Bytes that the kernel did not write are equal.

    registers: True to compare the registers of the vCPU, too.
    """
    one, other = decode(before, arch), decode(after, arch)
    if (before.ret, before.errno, before.kicked) != (after.ret, after.errno, after.kicked):
        return [("KVM_RUN", _result(one), _result(other), None)]
    if one.exit_reason != other.exit_reason:
        # The bytes of the union have another meaning in each of them.
        return [("exit", str(one), str(other), kvm_run.EXIT_REASON.span)]
    found: list[_Change] = []
    left = {n for n in range(len(before.head)) if _byte(before, n) != _byte(after, n)}
    for name in (*_HEAD, *_UNION.get(one.exit_reason, ()), *_REST):
        member = kvm_run.FIELDS[name]
        start, end = member.span if name != "s.regs" else (member.offset, len(before.head))
        if left & set(range(start, end)):
            a, b = (_field(event, name, (start, end)) for event in (one, other))
            found.append((name, a, b, (start, end)))
            left -= set(range(start, end))
    for start, end in ranges(sorted(left)):
        a, b = (_bytes(raw, (start, end)) for raw in (before, after))
        found.append((f"bytes {start}..{end - 1}", a, b, (start, end)))
    if (before.tail_changed, before.tail_first) != (after.tail_changed, after.tail_first):
        found.append(("bytes of the page beyond", _tail(before), _tail(after), None))
    # Registers of a vCPU that only a signal was to end are not read; earlier versions read them.
    unread = after.kicked and not after.registers
    for name in one.registers if registers and not unread else ():
        value, now = one.registers[name], other.registers.get(name)
        if value != now:
            found.append((name, f"{value:#x}", "not read" if now is None else f"{now:#x}", None))
    return found


def _byte(raw: RawExit, at: int) -> int | None:
    """Return a byte of kvm_run; None if it still holds the poison."""
    return None if raw.head[at] == raw.poison else raw.head[at]


def _bytes(raw: RawExit, span: tuple[int, int]) -> str:
    start, end = span
    if all(_byte(raw, n) is None for n in range(start, end)):
        return "not written"
    return " ".join("--" if _byte(raw, n) is None else f"{raw.head[n]:02x}" for n in range(start, end))


def _field(event: Event, name: str, span: tuple[int, int]) -> str:
    start, end = span
    if end - start > 8 or any(_byte(event.raw, n) is None for n in range(start, end)):
        return _bytes(event.raw, span)
    value = int.from_bytes(event.raw.head[start:end], "little")
    return names.event_type(value) if name == "type" else _number(value)


def _tail(raw: RawExit) -> str:
    return f"{raw.tail_changed} written, the first at {raw.tail_first}" if raw.tail_changed else "not written"


def _result(event: Event) -> str:
    return "ended by the watchdog" if event.raw.kicked else str(event)


def _shown(raw: RawExit | None, arch: str) -> str:
    return "-" if raw is None else _result(decode(raw, arch))


def _answer(answer: Answer | None) -> str:
    if answer is None:
        return "-"
    if answer.ret < 0:
        return f"errno {names.errno(answer.errno)}"
    return f"{answer.ret}" + (f", {answer.data.hex(' ')}" if answer.data else "")


def _number(value: int) -> str:
    return str(value) if -10 < value < 10 else f"{value:#x}"
