"""The QMP client, with this test in the place of QEMU."""

import contextlib
import json
import os
import socket
import threading
import time

import pytest
from fakes import until

from sysevent.errors import GuestLost
from sysevent.qemu import monitor as module
from sysevent.qemu.monitor import Monitor


@pytest.fixture
def qemu():
    """A monitor, and QEMU's end of its connection after the greeting."""
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


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[1]",
        b"\xff",
        b"null",
        b"[" * 500_000,
        b'{"event": "SHUTDOWN", "data": ' + b'{"a": ' * 100_000,
        b'{"QMP": {"version": {"qemu": {"major": 1e999, "minor": Infinity, "micro": NaN}}}}',
        b'{"QMP": {"version": {"qemu": {"major": 9' + b"9" * 5000 + b', "minor": 0, "micro": 0}}}}',
        b'{"id": {"a": []}, "return": 1}',
        b'{"event": 7, "id": "x"}',
    ],
    ids=["text", "list", "bytes", "null", "nested", "nested_data", "infinity", "digits", "id", "types"],
)
def test_a_line_that_is_not_qmp_is_skipped(qemu, line):
    monitor, end = qemu
    sender = threading.Thread(target=say, args=(end, event("STOP")), kwargs={"raw": line + b"\n"})
    sender.start()
    # All of it is sent only when somebody reads: a socket holds less.
    until(lambda: (monitor.pump(), not sender.is_alive())[1])
    say(end, event("SHUTDOWN", reason="guest-reset"))
    assert monitor.stop_reason() == "guest-reset"
    assert [name for name, _ in monitor.events] == ["STOP", "SHUTDOWN"]
    assert monitor.version == ""


def test_lines_in_pieces(qemu):
    """A line counts when its end has come; an event whose data is not an object is skipped."""
    monitor, end = qemu
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


def test_a_flood_of_events(qemu):
    """One pump() ends while QEMU goes on sending, and the events that are kept are bounded."""
    monitor, end = qemu
    flood = b'{"event": "E"}\n' * 10_000
    stop = threading.Event()

    def send():
        with contextlib.suppress(OSError):
            while not stop.is_set():
                end.sendall(flood)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(3):
            begin = time.monotonic()
            monitor.pump()
            assert time.monotonic() - begin < 5
            assert len(monitor.events) <= 1000
        assert sender.is_alive()
    finally:
        stop.set()
        monitor.close()
        sender.join(10)


def test_the_version(qemu):
    monitor, end = qemu
    say(end, {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""}}})
    monitor.pump()
    assert monitor.version == "7.2.22"


def test_a_line_without_end_closes_the_connection(qemu):
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


def test_a_file_descriptor_is_passed(qemu):
    """It arrives with its own command, after those that were sent before."""
    monitor, end = qemu
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as reading:
        monitor.tell("stop")
        monitor.pass_fd("snapshot", theirs)
        monitor.tell("cont")
        os.close(theirs)
        received, fds = b"", []
        while received.count(b"\n") < 3:
            data, more, _, _ = socket.recv_fds(end, 1000, 1)
            received, fds = received + data, fds + more
        commands = [json.loads(line) for line in received.splitlines()]
        assert [one["execute"] for one in commands] == ["stop", "getfd", "cont"]
        assert commands[1]["arguments"] == {"fdname": "snapshot"}
        (copy,) = fds
        with os.fdopen(copy, "wb") as writing:
            writing.write(b"stream")
        assert reading.read() == b"stream"
