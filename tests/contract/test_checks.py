"""Each check accepts what is right, and says what it got otherwise."""

import msgspec
import pytest
from sample_exits import KICKED, event, poke, seen

from sysevent.contract.checks import Exits, Holds, NoNdata, NothingBeyond, PcAt, RegisterHolds, Written
from sysevent.contract.scenario_checks import (
    AllOrNone,
    AtLeastOneEvent,
    Blocks,
    BufferHolds,
    Counters,
    Interrupted,
    RefusedThere,
    Returns,
    SameBytes,
    SameReturn,
    Sleeps,
)
from sysevent.model import Answer
from sysevent.scenario.steps import POISON


@pytest.mark.parametrize(
    ("check", "observation", "got"),
    [
        (Exits(24), seen(), None),
        (Exits(24, "other"), seen(), "no such exit was recorded"),
        (Exits(24), seen(KICKED), "none within 3.0 s: the watchdog ended KVM_RUN"),
        (Exits(24), seen(event(ret=-1, errno=22)), "KVM_RUN failed with errno 22 (EINVAL)"),
        (Exits(8), seen(), "24 (SYSTEM_EVENT) of type 2 (RESET)"),
        (Exits(24), seen(poke(8, b"\x02")), "2 (IO): the guest went on"),
        (Exits(24), seen(poke(8, b"\x11")), "17 (INTERNAL_ERROR)"),
        (Holds("type", 2), seen(), None),
        (Holds("type", 2), seen(poke(32, b"\1")), "1 (SHUTDOWN)"),
        (Holds("ndata", 1), seen(poke(36, b"\xaa" * 4)), "not written (still poison)"),
        (Holds("ndata", 1), seen(poke(39, b"\1")), "0x1000001"),
        (Holds("data[0]", 1), seen(poke(47, b"\x80")), "0x8000000000000001"),
        (Holds("data[15]", 0), seen(poke(167, b"\1")), "0x100000000000000"),
        (Holds("data[0]", 1, "other"), seen(), "no such exit was recorded"),
        (NoNdata(), seen(poke(36, bytes(4))), None),
        (NoNdata(), seen(poke(36, b"\xaa" * 4)), None),
        (NoNdata(), seen(), "1, without capability 215"),
        (Written(((32, 168),)), seen(), None),
        (Written(((32, 168),)), seen(poke(168, b"\0")), "32..168"),
        (Written(((32, 168),)), seen(poke(100, b"\xaa")), "32..99, 101..167"),
        (Written(()), seen(), "32..167"),
        (Written(((32, 168),), "other"), seen(), "none"),
        (NothingBeyond(), seen(), None),
        (NothingBeyond(), seen(poke(288, b"\1")), "0x1"),
        (NothingBeyond(), seen(poke(303, b"\1")), "0x100000000000000"),
        (NothingBeyond(), seen(poke(304, bytes(8))), None),
        (NothingBeyond(), seen(poke(312, b"\0")), "written"),
        (NothingBeyond(), seen(poke(319, b"\0")), "written"),
        (NothingBeyond(), seen(event(tail_changed=2, tail_first=400)), "2 bytes written, the first at 400"),
        (NothingBeyond(), seen(event(poison=None, tail_changed=2)), None),
        (RegisterHolds("x1", 1), seen(), None),
        (RegisterHolds("x1", 2), seen(), "0x1"),
        (RegisterHolds("x1", 1), seen(event(registers=())), "the registers were not read"),
        (RegisterHolds("x99", 1), seen(), "the registers were not read"),
        (PcAt("call.returned", "pc"), seen(), None),
        (PcAt("call.returned", "sp"), seen(), "0x1f"),
        (Returns("vm/215", 1), seen(answers={"vm/215": Answer(1, 0, b"")}), None),
        (Returns("vm/215", 1), seen(answers={"vm/215": Answer(0, 0, b"")}), "0"),
        (Returns("vm/215", 1), seen(answers={"vm/215": Answer(-1, 22, b"")}), "errno 22 (EINVAL)"),
        (Returns("vm/215", 1), seen(), "it was not asked"),
        (Returns("cap", errno=22), seen(answers={"cap": Answer(-1, 22, b"")}), None),
        (Returns("cap", errno=22), seen(answers={"cap": Answer(-1, 19, b"")}), "errno 19 (ENODEV)"),
        (Returns("cap", errno=22), seen(answers={"cap": Answer(0, 0, b"")}), "0"),
        (SameReturn("a", "b"), seen(answers={"a": Answer(4, 0, b""), "b": Answer(4, 0, b"")}), None),
        (SameReturn("a", "b"), seen(answers={"a": Answer(4, 0, b""), "b": Answer(0, 0, b"")}), "0x0"),
        (SameReturn("a", "b"), seen(answers={"a": Answer(-1, 5, b""), "b": Answer(-1, 5, b"")}), "-0x1"),
        (SameReturn("a", "b"), seen(answers={"a": Answer(4, 0, b"")}), "it was not asked"),
        (AllOrNone(("a", "b"), 22), seen(answers={"a": Answer(0, 0, b""), "b": Answer(0, 0, b"")}), None),
        (AllOrNone(("a", "b"), 22), seen(answers={"a": Answer(-1, 22, b""), "b": Answer(-1, 22, b"")}), None),
        (
            AllOrNone(("a", "b"), 22),
            seen(answers={"a": Answer(0, 0, b""), "b": Answer(-1, 22, b"")}),
            "0, errno 22 (EINVAL)",
        ),
        (AllOrNone(("a",), 22), seen(answers={"a": Answer(-1, 5, b"")}), "errno 5 (EIO)"),
        (AllOrNone(("a",), 22), seen(), "it was not asked"),
        (RefusedThere("set", "again", 22), seen(again=event(), answers={"set": Answer(-1, 22, b"")}), None),
        (
            RefusedThere("set", "again", 22),
            seen(again=event(ret=-1, errno=22), answers={"set": Answer(0, 0, b"")}),
            None,
        ),
        (
            RefusedThere("set", "again", 22),
            seen(again=event(ret=-1, errno=22), answers={"set": Answer(-1, 1, b"")}),
            "errno 1 (EPERM)",
        ),
        (
            RefusedThere("set", "again", 22),
            seen(again=KICKED, answers={"set": Answer(0, 0, b"")}),
            "'set' succeeded; KVM_RUN failed with errno 4 (EINTR)",
        ),
        (
            RefusedThere("set", "again", 22),
            seen(again=event(ret=-1, errno=14), answers={"set": Answer(0, 0, b"")}),
            "'set' succeeded; KVM_RUN failed with errno 14 (EFAULT)",
        ),
        (RefusedThere("set", "again", 22), seen(answers={"set": Answer(0, 0, b"")}), "it was not asked"),
        (RefusedThere("set", "again", 22), seen(again=event()), "it was not asked"),
        (BufferHolds("mp", 5), seen(answers={"mp": Answer(0, 0, b"\5\0\0\0\7")}), None),
        (BufferHolds("mp", 5), seen(answers={"mp": Answer(0, 0, b"\0\0\0\0")}), "0x0"),
        (BufferHolds("mp", 7, 4, 1), seen(answers={"mp": Answer(0, 0, b"\5\0\0\0\7")}), None),
        (BufferHolds("mp", 5), seen(answers={"mp": Answer(-1, 22, b"\5\0\0\0")}), "errno 22 (EINVAL)"),
        (BufferHolds("mp", 5), seen(), "it was not asked"),
        (Blocks("again"), seen(again=KICKED), None),
        (Blocks("again"), seen(), "it was not entered"),
        (Blocks("again"), seen(again=event()), "exit 24 (SYSTEM_EVENT) type 2 (RESET) ndata 1 data[0] 0x1"),
        (Blocks("again"), seen(again=event(ret=-1, errno=4)), "KVM_RUN failed with errno 4 (EINTR)"),
        (Sleeps(("again",)), seen(again=event(microseconds=8000, cpu_microseconds=1999)), None),
        (
            Sleeps(("again",)),
            seen(again=event(microseconds=8000, cpu_microseconds=2000)),
            "2000 of 8000 us",
        ),
        (Sleeps(("exit", "again")), seen(again=event(microseconds=9, cpu_microseconds=8)), None),
        (Sleeps(("again",)), seen(), "it was not entered"),
        (Interrupted("again"), seen(again=event(ret=-1, errno=4)), None),
        (Interrupted("again"), seen(again=KICKED), "it had to be ended by a signal"),
        (Interrupted("again"), seen(), "it was not entered"),
        (SameBytes("exit", "again", (32, 40)), seen(again=event()), None),
        (SameBytes("exit", "again", (32, 34)), seen(again=poke(33, b"\7")), "02 07"),
        (SameBytes("exit", "again", (32, 34)), seen(), "nothing"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str | None) else "",
)
def test_checks(check, observation, got):
    """Each check accepts what is right, and reports what it got otherwise. Only Exits is a gate."""
    wrong = check.mismatches(observation)
    assert [mismatch.got for mismatch in wrong] == ([] if got is None else [got])
    assert check.gate is isinstance(check, Exits)
    for mismatch in wrong:
        assert mismatch.what
        assert mismatch.expected != mismatch.got


def test_a_mismatch_names_the_bytes_it_was_read_from():
    """The span is a half-open range of offsets in kvm_run."""
    for check, raw, span in (
        (Exits(8), event(), (8, 12)),
        (Holds("ndata", 5), event(), (36, 40)),
        (NoNdata(), event(), (36, 40)),
        (Written(()), event(), (32, 288)),
        (NothingBeyond(), poke(290, b"\1"), (288, 296)),
    ):
        (wrong,) = check.mismatches(seen(raw))
        assert wrong.span == span


@pytest.mark.parametrize(
    ("running", "late", "wrong"),
    [
        (True, (6, 7), []),
        (True, (5, 7), []),
        (True, (5, 5), [1, 2]),
        (False, (5, 5), []),
        (False, (5, 7), [2]),
    ],
)
def test_counters(running, late, wrong):
    """vCPU 0 makes the call and does not count. One running peer is enough, or, if none may run, is one too many."""

    def memory(*values):
        return Answer(0, 0, b"".join(value.to_bytes(8, "little") for value in (99, *values)))

    found = Counters("early", "late", 3, running).mismatches(
        seen(answers={"early": memory(5, 5), "late": memory(*late)})
    )
    assert [mismatch.what for mismatch in found] == [f"vCPU {n}'s count, late" for n in wrong]


# Ended by the watchdog, with nothing in the union.
BLOCKED = msgspec.structs.replace(KICKED, head=KICKED.head[:32] + bytes([POISON]) * 256 + KICKED.head[288:])
OWN = AtLeastOneEvent((("one", 2, (1,)), ("other", 1, (0,))))


@pytest.mark.parametrize(
    ("one", "other", "wrong"),
    [
        # The sample is a RESET with the datum 1.
        (event(), BLOCKED, []),
        (event(), poke(32, b"\1"), ["other: data[0]"]),
        (event(), event(), ["other: type", "other: data[0]"]),
        (BLOCKED, BLOCKED, ["events of one, other"]),
        (poke(8, b"\x06"), BLOCKED, ["one: exit_reason"]),
    ],
    ids=["one event", "mixed data", "twice the same event", "no event", "another exit"],
)
def test_vcpus_that_call_at_once(one, other, wrong):
    """Each has its own event or blocks, and one at least has it."""
    found = OWN.mismatches(seen(one=one, other=other))
    assert [mismatch.what for mismatch in found] == wrong
