"""Observations of real VMMs as a test needs them: what QEMU printed, and what its guest reported."""

import json
import struct

from sysevent import wire
from sysevent.model import Answer, Observation

GREETING = {"QMP": {"version": {"qemu": {"micro": 13, "minor": 0, "major": 10}, "package": "x"}}}
ENDED, KILLED, CUT, FOUND = wire.PROGRAM_ENDED, wire.PROGRAM_KILLED, wire.PROGRAM_CUT, wire.PROGRAM_FOUND


def event(name, at=100.5, **data):
    """An event as QEMU sends it."""
    seconds, micro = divmod(round(at * 1_000_000), 1_000_000)
    found = {"timestamp": {"seconds": seconds, "microseconds": micro}, "event": name}
    return found | ({"data": data} if data else {})


def qmp(*lines):
    """Lines of QMP as bytes; those that are bytes already are taken as they are."""
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\r\n" for one in lines)


def report(kind, number):
    """A line of the guest."""
    return f"{kind}{number:016x}\n".encode()


def answer(output=b"", errors=b"", side=b"", *, flags=ENDED, status=0, milliseconds=1500):
    """The answer of a Program step."""
    lengths = map(len, (output, errors, side))
    head = struct.pack("<H7I", flags, status, milliseconds, 100, 40960, *lengths)
    return Answer(0, 0, head + output + errors + side)


NOT_STARTED = Answer(-1, 10, bytes(30))
STARTED = answer(qmp(GREETING, {"return": {}}), flags=FOUND)


def seen(run, end=NOT_STARTED, start=STARTED, scenario="x86_64.vmm.qemu.test"):
    """The observation of a scenario of scenario/vmms.py with these answers."""
    arch = scenario.partition(".")[0]
    return Observation(scenario, arch, arch, {}, {"start": start, "run": run, "end": end}, {})


STATUS = {"return": {"status": "running", "running": True}}
QUIT = event("SHUTDOWN", 102, guest=False, reason="host-qmp-quit")


def reset(again=True):
    """QEMU resets its guest, which starts again or not, and is asked to end."""
    lines = qmp(event("RESUME", 100), {"return": {}}, event("RESET", guest=True, reason="guest-reset"))
    side = report("m", 1) + (report("m", 2) + report("e", 2) if again else b"")
    return seen(
        answer(lines, side=side, flags=FOUND if again else 0), answer(qmp(STATUS, QUIT, {"return": {}}))
    )


def shutdown():
    """QEMU ends because its guest shut down."""
    lines = qmp(event("RESUME", 100), {"return": {}}, event("SHUTDOWN", guest=True, reason="guest-shutdown"))
    return seen(answer(lines, side=report("m", 1)))


def returned(value, kind="r"):
    """The guest's call returns this, or raises a fault."""
    lines = qmp(event("RESUME", 100), {"return": {}})
    side = report("m", 1) + report(kind, value) + report("e", 1)
    return seen(answer(lines, side=side, flags=FOUND), answer(qmp(STATUS, QUIT, {"return": {}})))


def panic(*actions):
    """The guest reports a crash with its parameters, and QEMU reports each of these actions."""
    info = {"type": "hyper-v", "arg1": 17, "arg2": 34}
    panics = [event("GUEST_PANICKED", action=action, info=info) for action in actions or ("poweroff",)]
    lines = qmp(
        event("RESUME", 100), {"return": {}}, *panics, event("SHUTDOWN", guest=True, reason="guest-panic")
    )
    return seen(answer(lines, side=report("m", 1)))
