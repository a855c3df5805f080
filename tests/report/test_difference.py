"""Two runs compared, on recordings of real kernels."""

import msgspec
import pytest

from sysevent.abi import kvm_run
from sysevent.errors import UsageError
from sysevent.model import Answer, Observation
from sysevent.report import difference
from sysevent.report.difference import Seen


@pytest.fixture
def run(recording):
    """run("debian-6.12"): what that run saw, by target."""

    def of(name):
        found = recording(name)
        return {
            target: Seen(
                facts,
                {(scenario, abi): seen for (t, scenario, abi), seen in found.seen.items() if t == target},
            )
            for target, facts in found.facts.items()
        }

    return of


def change(runs, target, scenario, **fields):
    """A run in which the exit of a scenario has other fields."""
    seen = runs[target]
    key = next(key for key in seen.observations if key[0] == scenario)
    one = seen.observations[key]
    raw = msgspec.structs.replace(one.exits["exit"], **fields)
    other = msgspec.structs.replace(one, exits=one.exits | {"exit": raw})
    return runs | {target: Seen(seen.facts, seen.observations | {key: other})}


def at(raw, field, value):
    """kvm_run's head with a member set."""
    member = kvm_run.FIELDS[field]
    head = bytearray(raw.head)
    head[member.offset : member.offset + member.size] = value.to_bytes(member.size, "little")
    return bytes(head)


@pytest.mark.parametrize("name", ["debian-5.10", "debian-6.1", "debian-6.12", "debian-7.2"])
def test_same(name, run):
    """A run and itself: nothing differs, and how much was compared is said."""
    found = difference.compare(run(name), run(name))
    assert found.differences == []
    assert found.compared > 10
    assert difference.lines(found) == [f"nothing differs in {found.compared} scenarios"]


def test_times_do_not_count(run):
    """Two runs never take the same time."""
    before = run("debian-6.12")
    after = change(before, "arm64-tcg", "arm64.psci.off", microseconds=12345)
    assert difference.compare(before, after).differences == []


def test_what_5_18_changed(run):
    """Between 5.10 and 6.1: the capability, ndata, and the bytes that are written since."""
    found = difference.lines(difference.compare(run("debian-5.10"), run("debian-6.1")))
    text = "\n".join(found)
    assert "  capability vm/215 (KVM_CAP_SYSTEM_EVENT_DATA): 0 -> 1" in found
    assert "arm64-tcg: arm64.psci.off\n" in text
    assert "  ndata @36..39: 0 -> 1" in found
    assert "  data[1..15] @48..167: not written -> 0" in found
    assert "x86_64-tcg: x86_64.hyperv.reset\n  ndata @36..39: not written -> 0\n" in text


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("ndata", 0, "ndata @36..39: 1 -> 0"),
        ("type", 2, "type @32..35: 1 (SHUTDOWN) -> 2 (RESET)"),
        ("data[0]", 0x1234, "data[0] @40..47: 0 -> 0x1234"),
        ("data[15]", 1, "data[15] @160..167: 0 -> 1"),
        ("kvm_dirty_regs", 4, "kvm_dirty_regs @296..303: 0 -> 4"),
        ("run.flags", 2, "run.flags @14..15: 0 -> 2"),
    ],
)
def test_one_field(field, value, told, run):
    """One member that changes is one line, by its name and place."""
    before = run("debian-6.12")
    raw = before["arm64-tcg"].observations["arm64.psci.off", "arm64"].exits["exit"]
    after = change(before, "arm64-tcg", "arm64.psci.off", head=at(raw, field, value))
    assert difference.lines(difference.compare(before, after)) == ["arm64-tcg: arm64.psci.off", f"  {told}"]


def test_bytes_without_a_name(run):
    """What no member covers is told by its place."""
    before = run("debian-6.12")
    raw = before["arm64-tcg"].observations["arm64.psci.off", "arm64"].exits["exit"]
    head = bytearray(raw.head)
    head[200:203] = b"\x01\x02\x03"
    after = change(before, "arm64-tcg", "arm64.psci.off", head=bytes(head))
    assert difference.lines(difference.compare(before, after))[1:] == [
        "  bytes 200..202: not written -> 01 02 03"
    ]


def test_another_poison_is_no_difference(run):
    """What was not written is alike, whatever stood there before."""
    before = run("debian-6.12")
    raw = before["arm64-tcg"].observations["arm64.psci.off", "arm64"].exits["exit"]
    assert 0x55 not in raw.head
    head = bytes(0x55 if byte == raw.poison else byte for byte in raw.head)
    after = change(before, "arm64-tcg", "arm64.psci.off", head=head, poison=0x55)
    assert difference.compare(before, after).differences == []


def test_another_exit(run):
    """Then the union means something else, and one line says so."""
    before = run("debian-6.12")
    raw = before["arm64-tcg"].observations["arm64.psci.off", "arm64"].exits["exit"]
    after = change(before, "arm64-tcg", "arm64.psci.off", head=at(raw, "exit_reason", 6))
    (line,) = difference.lines(difference.compare(before, after))[1:]
    assert line.startswith("  exit @8..11: exit 24 (SYSTEM_EVENT) type 1 (SHUTDOWN)")
    assert line.endswith("-> exit 6 (MMIO)")


def test_register_and_result(run):
    """Registers by name, and what KVM_RUN itself gave."""
    before = run("debian-6.12")
    raw = before["arm64-tcg"].observations["arm64.psci.off", "arm64"].exits["exit"]
    registers = (raw.registers[0], raw.registers[1] + 1, *raw.registers[2:])
    after = change(before, "arm64-tcg", "arm64.psci.off", registers=registers)
    (line,) = difference.lines(difference.compare(before, after))[1:]
    assert line.startswith("  x1: ")
    failed = change(before, "arm64-tcg", "arm64.psci.off", ret=-1, errno=14)
    (line,) = difference.lines(difference.compare(before, failed))[1:]
    assert line.endswith("-> KVM_RUN failed with errno 14 (EFAULT)")


def test_what_only_one_was_asked(run):
    """That is a note, and no difference; so is a target that only one has."""
    before = run("debian-6.12")
    arm = before["arm64-tcg"]
    fewer = {key: seen for key, seen in arm.observations.items() if key[0] != "arm64.psci.off"}
    after = {"arm64-tcg": Seen(arm.facts, fewer)}
    found = difference.compare(before, after)
    assert found.differences == []
    assert "arm64-tcg: only the first was asked arm64.psci.off (arm64)" in found.notes
    assert "only in the first: riscv64-tcg, x86_64-tcg" in found.notes


def test_targets_of_other_names(run):
    """The only targets of an architecture are compared, whatever a lab calls them."""
    before = run("debian-6.12")
    found = difference.compare(before, {"lab-board-7": before["arm64-tcg"]})
    assert found.compared > 5
    with pytest.raises(UsageError, match="nothing in common"):
        difference.compare({"arm64-tcg": before["arm64-tcg"]}, {"riscv64-tcg": before["riscv64-tcg"]})


def peers(counts):
    """A scenario whose peers had counted so far after the exit, and later."""
    answers = {
        label: Answer(0, 0, b"".join(n.to_bytes(8, "little") for n in (0, *values)))
        for label, values in zip(
            ("counted at first", "counted after the exit", "counted later"), counts, strict=True
        )
    }
    return Observation("arm64.peers.off.4", "arm64", "arm64", {}, answers, {})


@pytest.mark.parametrize(
    ("other", "told"),
    [
        pytest.param([(9, 9), (40, 41), (40, 41)], [], id="another count"),
        pytest.param(
            [(1, 1), (5, 6), (5, 7)], ["  peers after the exit: all stopped -> run on"], id="ran on"
        ),
    ],
)
def test_peers(other, told, run):
    """How far a peer has counted is a matter of time; whether it counts on after the exit is not."""
    facts = run("debian-6.12")["arm64-tcg"].facts
    before, after = (
        {"arm64-tcg": Seen(facts, {("arm64.peers.off.4", "arm64"): peers(counts)})}
        for counts in ([(1, 2), (5, 6), (5, 6)], other)
    )
    assert difference.lines(difference.compare(before, after))[1:] == told
