"""What a user of a real VMM saw, from what QEMU and its guest printed."""

import msgspec
import pytest
import vmm_runs as runs

from sysevent.decode.outcome import outcome
from sysevent.errors import BadWire, GuestLost, NotApplicable


def test_a_shutdown():
    found = outcome(runs.shutdown())
    assert found.happened == "SHUTDOWN guest-shutdown"
    assert (found.starts, found.restarted, found.state, found.ended) == (1, False, "", "exit code 0")
    assert (found.version, found.seconds, found.start_seconds, found.memory) == ("10.0.13", 0.5, 1.5, 40960)


@pytest.mark.parametrize("again", [True, False])
def test_a_reset(again):
    """The count in the guest's memory shows that it came back. An end that the harness causes is not an event."""
    found = outcome(runs.reset(again))
    assert (found.happened, found.restarted, found.state) == ("RESET guest-reset", again, "running")


def test_a_call_that_returns():
    found = outcome(runs.returned(0xFFFF_FFFF_FFFF_FFFF))
    assert (found.happened, found.returned, found.refused) == ("none", 0xFFFF_FFFF_FFFF_FFFF, False)
    assert outcome(runs.returned(0, kind="g")).refused


@pytest.mark.parametrize("actions", [("poweroff",), ("pause", "poweroff")])
def test_a_crash(actions):
    """Its parameters; QEMU 5.2 reports it twice, the second time with what it does."""
    found = outcome(runs.panic(*actions))
    assert found.happened == "GUEST_PANICKED, SHUTDOWN guest-panic"
    assert found.events[0].data == {"action": "poweroff", "arg1": "17", "arg2": "34", "type": "hyper-v"}


def test_a_vmm_that_is_killed():
    """It did not end after the harness had asked it to."""
    stuck = runs.seen(
        runs.answer(side=runs.report("m", 1), flags=0), runs.answer(flags=runs.KILLED | runs.ENDED, status=9)
    )
    found = outcome(stuck)
    assert (found.exit_code, found.ended) == (None, "still ran after 1.5 s")


@pytest.mark.parametrize(
    ("start", "error", "words"),
    [
        (
            runs.answer(errors=b"qemu: Could not access KVM\nx", status=0x100),
            GuestLost,
            "exit code 1: qemu: Could",
        ),
        (runs.answer(flags=runs.KILLED, status=9), GuestLost, "still ran after 1.5 s: it printed no error"),
        # On a kernel without epoll, where that is not the reason.
        (
            runs.answer(
                errors=b"Failed to create epoll instance: Function not implemented" * 2 + b"qemu: no",
                status=0x100,
            ),
            GuestLost,
            "exit code 1: qemu: no",
        ),
        (runs.NOT_STARTED, GuestLost, "cannot be started: 10"),
        (
            runs.answer(errors=b"qemu: -action: invalid option", status=0x100),
            NotApplicable,
            "-action: invalid",
        ),
        (
            runs.answer(errors=b"qemu: Property 'host.hv-crash' not found", status=0x100),
            NotApplicable,
            "'host.hv-",
        ),
    ],
)
def test_a_vmm_that_does_not_start(start, error, words):
    """Nothing is known about the kernel; a VMM without the option is not asked."""
    with pytest.raises(error, match=words):
        outcome(runs.seen(runs.NOT_STARTED, start=start))


def test_a_guest_that_does_not_start():
    with pytest.raises(GuestLost, match="its guest did not"):
        outcome(runs.seen(runs.answer(runs.qmp(runs.event("SHUTDOWN", reason="guest-shutdown")))))


def test_more_output_than_is_kept():
    """An event may be missing."""
    flooded = runs.answer(side=runs.report("m", 1), flags=runs.ENDED | runs.CUT)
    with pytest.raises(BadWire, match="more than is kept"):
        outcome(runs.seen(flooded))


def test_hostile_reports():
    """Only whole lines of the guest count."""
    side = b"m\nm00000000000000zz\nx" + runs.report("m", 1) + b"r123\n" + b"\xff" * 100
    found = outcome(runs.seen(runs.answer(side=side)))
    assert (found.starts, found.returned) == (1, None)


def test_hostile_values():
    """A status that is none, and data of other types."""
    panicked = runs.event("GUEST_PANICKED", action=["x"], info="y", core={"a": 1}, reason=5)
    end = runs.answer(runs.qmp({"return": {"status": {"a": [1]}}}, {"return": ["status"]}))
    found = outcome(runs.seen(runs.answer(runs.qmp(panicked), side=runs.report("m", 1), flags=0), end))
    assert found.happened == "GUEST_PANICKED"
    assert found.events[0].data == {}
    assert len(found.state) <= 40
    assert msgspec.json.encode(found)
