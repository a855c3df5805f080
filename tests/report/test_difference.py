"""Two runs compared: recordings of real kernels, and small changes to them."""

import msgspec
import pytest

from sysevent.abi import kvm_run
from sysevent.errors import UsageError
from sysevent.model import Answer, KernelIdentity, Observation, Proof
from sysevent.report.difference import TargetRun, compare
from sysevent.report.difference_text import lines


@pytest.fixture
def run(recording):
    """Return a function: run("debian-6.12") is what that run found, by target."""

    def of(name):
        found = recording(name)
        return {
            target: TargetRun(
                facts,
                {(scenario, abi): seen for (t, scenario, abi), seen in found.seen.items() if t == target},
            )
            for target, facts in found.facts.items()
        }

    return of


def change(runs, target, scenario, **fields):
    """Return a run in which the exit of a scenario has other fields."""
    found = runs[target]
    key = next(key for key in found.observations if key[0] == scenario)
    seen = found.observations[key]
    raw = msgspec.structs.replace(seen.exits["exit"], **fields)
    changed = msgspec.structs.replace(seen, exits=seen.exits | {"exit": raw})
    return runs | {target: TargetRun(found.facts, found.observations | {key: changed})}


def at(raw, field, value):
    """Return the head of an exit with another value of a member."""
    member = kvm_run.FIELDS[field]
    head = bytearray(raw.head)
    head[member.offset : member.offset + member.size] = value.to_bytes(member.size, "little")
    return bytes(head)


@pytest.mark.parametrize("name", ["debian-5.10", "debian-6.1", "debian-6.12", "debian-7.2"])
def test_same(name, run):
    """A run does not differ from itself, and the number of compared scenarios is printed."""
    found = compare(run(name), run(name))
    assert found.differences == []
    assert found.compared > 10
    assert lines(found) == [f"nothing differs in {found.compared} scenarios"]


def test_kernels(run):
    """The build IDs of both runs are a note, and a note only."""
    before, name = run("debian-6.12"), "arm64-tcg"

    def known(build_id):
        facts = before[name].facts
        identity = KernelIdentity(build_id, {}, Proof.PROVEN)
        return before | {
            name: TargetRun(msgspec.structs.replace(facts, identity=identity), before[name].observations)
        }

    found = compare(known("aa"), known("bb"))
    assert found.differences == []
    assert f"{name}: build ID aa (proven), then build ID bb (proven)" in found.notes
    assert f"{name}: build ID aa (proven)" in compare(known("aa"), known("aa")).notes
    assert f"{name}: build ID not recorded, then build ID aa (proven)" in compare(before, known("aa")).notes


def test_times_do_not_count(run):
    """Times are not compared."""
    before = run("debian-6.12")
    after = change(before, "arm64-tcg", "arm64.psci.off", microseconds=12345)
    assert compare(before, after).differences == []


def test_what_5_18_changed(run):
    """Between 5.10 and 6.1 the capability, ndata and the bytes behind it came."""
    found = lines(compare(run("debian-5.10"), run("debian-6.1")))
    text = "\n".join(found)
    assert "  capability vm/215 (KVM_CAP_SYSTEM_EVENT_DATA): 0 -> 1" in found
    assert "arm64-tcg: arm64.psci.off\n" in text
    assert "  ndata @36..39: 0 -> 1" in found
    assert "  data[1..15] @48..167: not written -> 0" in found
    assert "x86_64-tcg: x86_64.hyperv.reset\n  ndata @36..39: not written -> 0\n" in text


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("ndata", 0, "ndata @36..39: 1 -> 0"),
        ("type", 2, "type @32..35: 1 (SHUTDOWN) -> 2 (RESET)"),
        ("data[0]", 0x1234, "data[0] @40..47: 0 -> 0x1234"),
        ("data[15]", 1, "data[15] @160..167: 0 -> 1"),
        ("kvm_dirty_regs", 4, "kvm_dirty_regs @296..303: 0 -> 4"),
        ("run.flags", 2, "run.flags @14..15: 0 -> 2"),
    ],
)
def test_one_field(field, value, line, run):
    """One member that changes is one line, with its name and offset."""
    before = run("debian-6.12")
    raw = before["arm64-tcg"].observations["arm64.psci.off", "arm64"].exits["exit"]
    after = change(before, "arm64-tcg", "arm64.psci.off", head=at(raw, field, value))
    assert lines(compare(before, after)) == ["arm64-tcg: arm64.psci.off", f"  {line}"]


def test_bytes_without_a_name(run):
    """Bytes that no member covers are named by their offsets."""
    before = run("debian-6.12")
    raw = before["arm64-tcg"].observations["arm64.psci.off", "arm64"].exits["exit"]
    head = bytearray(raw.head)
    head[200:203] = b"\x01\x02\x03"
    after = change(before, "arm64-tcg", "arm64.psci.off", head=bytes(head))
    assert lines(compare(before, after))[1:] == ["  bytes 200..202: not written -> 01 02 03"]


def test_another_poison_is_no_difference(run):
    """Bytes that were not written are equal."""
    before = run("debian-6.12")
    raw = before["arm64-tcg"].observations["arm64.psci.off", "arm64"].exits["exit"]
    assert 0x55 not in raw.head
    head = bytes(0x55 if byte == raw.poison else byte for byte in raw.head)
    after = change(before, "arm64-tcg", "arm64.psci.off", head=head, poison=0x55)
    assert compare(before, after).differences == []


def test_another_exit(run):
    """Another exit reason is one line: its union cannot be compared."""
    before = run("debian-6.12")
    raw = before["arm64-tcg"].observations["arm64.psci.off", "arm64"].exits["exit"]
    after = change(before, "arm64-tcg", "arm64.psci.off", head=at(raw, "exit_reason", 6))
    (line,) = lines(compare(before, after))[1:]
    assert line.startswith("  exit @8..11: exit 24 (SYSTEM_EVENT) type 1 (SHUTDOWN)")
    assert line.endswith("-> exit 6 (MMIO)")


def test_register_and_result(run):
    """Registers are compared by name, and so is the result of KVM_RUN."""
    before = run("debian-6.12")
    raw = before["arm64-tcg"].observations["arm64.psci.off", "arm64"].exits["exit"]
    registers = (raw.registers[0], raw.registers[1] + 1, *raw.registers[2:])
    after = change(before, "arm64-tcg", "arm64.psci.off", registers=registers)
    (line,) = lines(compare(before, after))[1:]
    assert line.startswith("  x1: ")
    failed = change(before, "arm64-tcg", "arm64.psci.off", ret=-1, errno=14)
    (line,) = lines(compare(before, failed))[1:]
    assert line.endswith("-> KVM_RUN failed with errno 14 (EFAULT)")


@pytest.mark.parametrize(("kicked", "shown"), [(True, 0), (False, 34)])
def test_registers_that_one_did_not_read(run, kicked, shown):
    """Of a vCPU that only a signal was to end they are not read, but earlier versions did."""
    before = change(run("debian-6.12"), "arm64-tcg", "arm64.psci.off", kicked=kicked)
    after = change(before, "arm64-tcg", "arm64.psci.off", registers=())
    assert len(lines(compare(before, after))[1:]) == shown


def test_what_only_one_was_asked(run):
    """A scenario or a target that only one run has is a note, not a difference."""
    before = run("debian-6.12")
    arm = before["arm64-tcg"]
    fewer = {key: seen for key, seen in arm.observations.items() if key[0] != "arm64.psci.off"}
    after = {"arm64-tcg": TargetRun(arm.facts, fewer)}
    found = compare(before, after)
    assert found.differences == []
    assert "arm64-tcg: only the first was asked arm64.psci.off (arm64)" in found.notes
    assert "only in the first: riscv64-tcg, x86_64-tcg" in found.notes


def test_targets_of_other_names(run):
    """Two targets are compared under different names if they are the only ones of their architecture."""
    before = run("debian-6.12")
    found = compare(before, {"lab-board-7": before["arm64-tcg"]})
    assert found.compared > 5
    with pytest.raises(UsageError, match="nothing in common"):
        compare({"arm64-tcg": before["arm64-tcg"]}, {"riscv64-tcg": before["riscv64-tcg"]})


def peers(counts):
    """Return a scenario whose peers had reached these counts at first, after the exit, and later."""
    answers = {
        label: Answer(0, 0, b"".join(n.to_bytes(8, "little") for n in (0, *values)))
        for label, values in zip(
            ("counted at first", "counted after the exit", "counted later"), counts, strict=True
        )
    }
    return Observation("arm64.peers.off.4", "arm64", "arm64", {}, answers, {})


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param([(9, 9), (40, 41), (40, 41)], [], id="another count"),
        pytest.param(
            [(1, 1), (5, 6), (5, 7)], ["  peers after the exit: all stopped -> run on"], id="ran on"
        ),
    ],
)
def test_peers(other, expected, run):
    """How far a peer has counted depends on time; whether it continues after the exit does not."""
    facts = run("debian-6.12")["arm64-tcg"].facts
    before, after = (
        {"arm64-tcg": TargetRun(facts, {("arm64.peers.off.4", "arm64"): peers(counts)})}
        for counts in ([(1, 2), (5, 6), (5, 6)], other)
    )
    assert lines(compare(before, after))[1:] == expected


def test_what_comes_from_a_file_is_escaped(run):
    """Names in a recorded run cannot send commands to a terminal."""
    found = run("debian-6.12")["arm64-tcg"]
    kernel = {"arm64\x1b[31m-tcg": TargetRun(found.facts, {})}
    assert "only in the second: arm64\\x1b[31m-tcg" in "\n".join(
        lines(compare({"arm64-tcg": found}, {"arm64-tcg": found} | kernel))
    )


def test_an_unknown_architecture(run):
    """A run of a later version is compared, without names of registers."""
    before = run("debian-6.12")
    seen = before["arm64-tcg"].observations["arm64.psci.off", "arm64"]
    later = msgspec.structs.replace(seen, arch="loong64")
    key = (later.scenario, later.abi)
    facts = msgspec.structs.replace(before["arm64-tcg"].facts, arch="loong64")
    found = {"board": TargetRun(facts, {key: later})}
    assert compare(found, found).differences == []
