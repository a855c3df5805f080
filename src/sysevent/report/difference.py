"""What two runs saw differently: event by event, byte by byte, with what the bytes mean. No I/O.

Times are left out, and so is what a run merely did not ask: that is told apart, as a note.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sysevent.abi import kvm_run, names
from sysevent.abi.capabilities import Capability
from sysevent.abi.exits import ExitReason
from sysevent.decode.event import Event, decode, ranges
from sysevent.errors import UsageError
from sysevent.model import Answer, Facts, Observation, RawExit
from sysevent.report import recorded
from sysevent.report.run_log import Record

# Which members of the union mean something for an exit, by its reason: include/uapi/linux/kvm.h.
_UNION: dict[int, tuple[str, ...]] = {
    ExitReason.IO: ("io.direction", "io.size", "io.port", "io.count", "io.data_offset"),
    ExitReason.DEBUG: ("debug.hsr", "debug.hsr_high"),
    ExitReason.MMIO: ("mmio.phys_addr",),
    ExitReason.SYSTEM_EVENT: ("type", "ndata", *(f"data[{n}]" for n in range(16))),
}
_HEAD = ("immediate_exit", "exit_reason", "ready_for_interrupt_injection", "if_flag", "run.flags")
_REST = ("kvm_valid_regs", "kvm_dirty_regs", "s.regs")
_CAPABILITIES = {str(number): f"KVM_CAP_{number.name}" for number in Capability}
# What a peer has counted, and where in its loop it stood when it was interrupted, is a matter of time. Whether it
# counts on after the exit is not. Labels as in scenario/catalog/*_states.py.
_PEER = "peer "
_COUNTED = "counted "
_AFTER, _LATER = f"{_COUNTED}after the exit", f"{_COUNTED}later"


class Seen(msgspec.Struct, frozen=True):
    """What a run saw on one target."""

    facts: Facts
    observations: dict[tuple[str, str], Observation]  # by scenario and ABI


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not the same in both."""

    target: str
    scenario: str  # "" for what a target says of itself
    label: str  # which exit or answer of the scenario
    what: str
    before: str
    after: str
    span: tuple[int, int] | None = None  # bytes of kvm_run


class Comparison(msgspec.Struct):
    """Everything that differs, and what could not be compared."""

    differences: list[Difference] = []
    notes: list[str] = []
    compared: int = 0  # scenarios that both have


def load(records: Iterable[Record]) -> dict[str, Seen]:
    """What a run saw, by target; the kernel behind @ is left out where a target stands once only."""
    facts: dict[str, Facts] = {}
    seen: dict[str, dict[tuple[str, str], Observation]] = {}
    for record in records:
        if record["record"] == "target":
            facts[record["name"]] = recorded.read_facts(record)
        elif record["record"] == "observation":
            one = recorded.read_observation(record)
            seen.setdefault(record["target"], {})[one.scenario, one.abi] = one
    bare = [name.partition("@")[0] for name in facts]
    return {
        (short if bare.count(short := name.partition("@")[0]) == 1 else name): Seen(known, seen.get(name, {}))
        for name, known in facts.items()
    }


def compare(before: dict[str, Seen], after: dict[str, Seen]) -> Comparison:
    """Two runs. UsageError when they have nothing in common."""
    found = Comparison()
    pairs = _pairs(before, after)
    for name, other in pairs.items():
        _facts(name, before[name].facts, after[other].facts, found)
        _observations(name, before[name], after[other], found)
    for which, lonely in (("first", before.keys() - pairs), ("second", after.keys() - set(pairs.values()))):
        if lonely:
            found.notes.append(f"only in the {which}: {', '.join(sorted(lonely))}")
    if not found.compared:
        here, there = (", ".join(run) or "no target" for run in (before, after))
        raise UsageError(f"the two have nothing in common that could be compared: {here}; and {there}")
    return found


def _pairs(before: dict[str, Seen], after: dict[str, Seen]) -> dict[str, str]:
    """Targets of the same name, then those that are the only ones left of their architecture."""
    pairs = {name: name for name in before if name in after}
    for name, seen in before.items():
        arch = seen.facts.arch
        same = [other for other in after if after[other].facts.arch == arch and other not in pairs.values()]
        rivals = [o for o in before if before[o].facts.arch == arch and o not in pairs]
        if name not in pairs and len(same) == 1 and len(rivals) == 1:
            pairs[name] = same[0]
    return pairs


def _facts(target: str, before: Facts, after: Facts, found: Comparison) -> None:
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


def _observations(target: str, before: Seen, after: Seen, found: Comparison) -> None:
    for key in before.observations.keys() ^ after.observations.keys():
        which = "first" if key in before.observations else "second"
        found.notes.append(f"{target}: only the {which} was asked {key[0]} ({key[1]})")
    for key in before.observations:
        if key in after.observations:
            found.compared += 1
            if key[0] == f"{before.facts.arch}.facts":
                continue  # told as capabilities and features
            _one(target, before.observations[key], after.observations[key], found)
    found.notes.sort()


def _one(target: str, before: Observation, after: Observation, found: Comparison) -> None:
    native = before.abi in (before.arch, "native")
    scenario = before.scenario if native else f"{before.scenario} ({before.abi})"
    told: list[tuple[str, str, str, str, tuple[int, int] | None]] = []
    for label in (*before.exits, *(label for label in after.exits if label not in before.exits)):
        one, other = before.exits.get(label), after.exits.get(label)
        if one is None or other is None:
            told.append((label, "exit", _brief(one, before.arch), _brief(other, after.arch), None))
            continue
        timed = label.startswith(_PEER)
        told += [(label, *rest) for rest in exits(one, other, before.arch, registers=not timed)]
    for label in (*before.answers, *(label for label in after.answers if label not in before.answers)):
        if label.startswith(_COUNTED):
            continue
        a, b = _answer(before.answers.get(label)), _answer(after.answers.get(label))
        if a != b:
            told.append((label, "answer", a, b, None))
    if (a := _counting(before)) != (b := _counting(after)):
        told.append(("", "peers after the exit", a, b, None))
    if told and before.symbols != after.symbols:
        found.notes.append(f"{target}: the payloads of {scenario} differ, so its addresses may")
    found.differences += [Difference(target, scenario, *rest) for rest in told]


def _counting(seen: Observation) -> str:
    """Whether peers went on after the exit; empty for a scenario without peers.

    Not which of them: one that may run need not have had its turn on the only CPU.
    """
    if _AFTER not in seen.answers or _LATER not in seen.answers:
        return ""
    # The first counter belongs to the vCPU that asked.
    stopped = seen.answers[_AFTER].data[8:] == seen.answers[_LATER].data[8:]
    return "all stopped" if stopped else "run on"


def exits(
    before: RawExit, after: RawExit, arch: str, *, registers: bool = True
) -> list[tuple[str, str, str, tuple[int, int] | None]]:
    """What differs between two exits: (what, before, after, bytes). Bytes that nobody wrote are alike."""
    one, other = decode(before, arch), decode(after, arch)
    if (before.ret, before.errno, before.kicked) != (after.ret, after.errno, after.kicked):
        return [("KVM_RUN", _result(one), _result(other), None)]
    if one.exit_reason != other.exit_reason:
        # Nothing in the union means the same in both, so its bytes would tell nothing.
        return [("exit", str(one), str(other), kvm_run.EXIT_REASON.span)]
    found: list[tuple[str, str, str, tuple[int, int] | None]] = []
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
    for name in one.registers if registers else ():
        value, now = one.registers[name], other.registers.get(name)
        if value != now:
            found.append((name, f"{value:#x}", "not read" if now is None else f"{now:#x}", None))
    return found


def _byte(raw: RawExit, at: int) -> int | None:
    """A byte of kvm_run; None when it still holds the poison of its run."""
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


def _brief(raw: RawExit | None, arch: str) -> str:
    return "-" if raw is None else _result(decode(raw, arch))


def _answer(answer: Answer | None) -> str:
    if answer is None:
        return "-"
    if answer.ret < 0:
        return f"errno {names.errno(answer.errno)}"
    return f"{answer.ret}" + (f", {answer.data.hex(' ')}" if answer.data else "")


def _number(value: int) -> str:
    return str(value) if -10 < value < 10 else f"{value:#x}"


def lines(found: Comparison) -> list[str]:
    """The comparison for a person."""
    text: list[str] = []
    place = None
    for one in _joined(found.differences):
        if place != (one.target, one.scenario):
            place = (one.target, one.scenario)
            text.append(f"{one.target}: {one.scenario}" if one.scenario else f"{one.target}:")
        where = "" if not one.label or one.label == "exit" else f"{one.label}: "
        at = f" @{one.span[0]}..{one.span[1] - 1}" if one.span and not one.what.startswith("bytes") else ""
        text.append(f"  {where}{one.what}{at}: {one.before} -> {one.after}")
    if not text:
        text.append(f"nothing differs in {found.compared} scenarios")
    return [*text, *(f"note: {note}" for note in found.notes)]


def _joined(differences: Iterable[Difference]) -> list[Difference]:
    """Items of data[] that follow each other and differ alike, as one."""
    told: list[Difference] = []
    for one in differences:
        last = told[-1] if told else None
        if (
            last is not None
            and last.what.startswith("data[")
            and one.what.startswith("data[")
            and (last.target, last.scenario, last.label) == (one.target, one.scenario, one.label)
            and (last.before, last.after) == (one.before, one.after)
            and last.span is not None
            and one.span is not None
            and last.span[1] == one.span[0]
        ):
            first = last.what.removeprefix("data[").split("]")[0].split("..")[0]
            what = f"data[{first}..{one.what.removeprefix('data[').rstrip(']')}]"
            told[-1] = msgspec.structs.replace(last, what=what, span=(last.span[0], one.span[1]))
        else:
            told.append(one)
    return told
