"""QMP, spoken with a QEMU that is this test."""

import json
import socket
import threading
import time

import pytest

from sysevent.errors import GuestLost
from sysevent.qemu import monitor as module
from sysevent.qemu.monitor import Monitor


@pytest.fixture
def qemu():
    """Our monitor, and QEMU's end of it after the greeting."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.settimeout(5)
        say(theirs, {"QMP": {"version": {}, "capabilities": []}})
        monitor = Monitor(ours)
        said = json.loads(theirs.recv(1000))
        assert said["execute"] == "qmp_capabilities"
        say(theirs, {"return": {}, "id": said["id"]})
        yield monitor, theirs
        monitor.close()


def say(end, *objects, raw=b""):
    end.sendall(b"".join(json.dumps(one).encode() + b"\r\n" for one in objects) + raw)


def event(name, **data):
    return {"event": name, "data": data, "timestamp": {"seconds": 1, "microseconds": 2}}


def test_events_come_in_order(qemu):
    monitor, end = qemu
    say(
        end,
        event("RESET", guest=True),
        {"event": "STOP", "timestamp": {}},
        event("SHUTDOWN", reason="guest-reset"),
    )
    monitor.pump()
    assert monitor.events == [
        ("RESET", {"guest": True}),
        ("STOP", {}),
        ("SHUTDOWN", {"reason": "guest-reset"}),
    ]


def test_why_it_stopped(qemu):
    """The last reason is the one; without any it is not known."""
    monitor, end = qemu
    assert monitor.stop_reason() == ""
    say(
        end,
        event("SHUTDOWN", reason="guest-shutdown"),
        event("SHUTDOWN", reason="host-qmp-quit"),
        event("STOP"),
    )
    end.close()
    assert monitor.stop_reason() == "host-qmp-quit"


def test_nonsense_is_passed_over(qemu):
    """Lines that are no objects, half lines, and data that is no dictionary."""
    monitor, end = qemu
    say(end, raw=b"not json\n[1]\n\xff\n")
    say(end, {"event": "SHUTDOWN", "data": ["x"]}, raw=b'{"event": "SHUT')
    assert monitor.stop_reason() == ""
    say(end, raw=b'DOWN", "data": {"reason": "guest-panic"}}\n')
    assert monitor.stop_reason() == "guest-panic"


def answer(end, **reply):
    """Answers the next command, in a thread."""

    def run():
        said = json.loads(end.recv(1000))
        say(end, event("BEFORE"), {"return": "another's", "id": -1}, reply | {"id": said["id"]})

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_command(qemu):
    """Its own answer, and what came before it is kept."""
    monitor, end = qemu
    thread = answer(end, **{"return": {"status": "running"}})
    assert monitor.execute("query-status") == {"status": "running"}
    thread.join()
    assert monitor.events == [("BEFORE", {})]


def test_a_command_that_is_refused(qemu):
    monitor, end = qemu
    thread = answer(end, error={"class": "GenericError", "desc": "no such thing"})
    with pytest.raises(GuestLost, match=r"QEMU refused migrate: .*no such thing"):
        monitor.execute("migrate", uri="exec:cat")
    thread.join()


def test_a_command_without_answer(qemu, monkeypatch):
    monitor, _ = qemu
    monkeypatch.setattr(module, "_DEADLINE", 0.1)
    begin = time.monotonic()
    with pytest.raises(GuestLost, match="did not carry out stop: it did not answer"):
        monitor.execute("stop")
    assert time.monotonic() - begin < 2


def test_a_command_to_a_qemu_that_has_gone(qemu):
    monitor, end = qemu
    end.close()
    for _ in range(2):
        with pytest.raises(GuestLost, match="did not carry out stop: it has closed its monitor"):
            monitor.execute("stop")


def test_a_line_without_end_is_not_read_for_ever(qemu):
    monitor, end = qemu
    end.setblocking(False)
    sent = 0
    while monitor.open and sent < 1 << 23:
        try:
            sent += end.send(bytes(65536))
        except BlockingIOError:
            monitor.pump()
        except OSError:
            break
    monitor.pump()
    assert not monitor.open


def test_close_twice(qemu):
    monitor, _ = qemu
    monitor.close()
    monitor.close()
    assert monitor.stop_reason() == ""
