"""A QEMU guest that answers, and its end."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from qemu_guests import ANSWERING, SOON, ask, lost

from sysevent import wire
from sysevent.errors import BadWire, GuestLost, InfrastructureError, ToolMissing
from sysevent.hosts import waiting


def test_hello_and_replies(start, tmp_path):
    """A guest says HELLO and answers requests; its console output is in the log."""
    guest = start(f"    console.sendall(b'booting\\r\\n'){ANSWERING}")
    assert waiting.hello(guest) == wire.Hello(wire.VERSION, 1, "6.12.1-stub", "x86_64", "build")
    assert 0 < guest.seconds_to_ready < SOON
    for _ in range(3):
        found = ask(guest)
        assert (found.state, found.detail, found.results) == (wire.State.DONE, 0, ())
    assert not guest.on_console
    assert (tmp_path / "logs" / "console.log").read_bytes() == b"booting\r\n"


def test_requests_carry_number_and_abi(start):
    guest = start("""
        greet(channel)
        kind, abi, sequence, body = request(channel)
        assert (kind, abi, sequence, body) == (2, 7, 1, b"body"), (kind, abi, sequence, body)
        channel.sendall(reply(sequence))
        forever()
    """)
    waiting.hello(guest)
    assert ask(guest, b"body", abi=7).state is wire.State.DONE


def test_several_requests_in_flight(start):
    """Several requests are sent before the first reply is read."""
    guest = start(ANSWERING)
    waiting.hello(guest)
    numbers = [guest.send(b"ask", 1) for _ in range(5)]
    states, end = [], time.monotonic() + SOON
    while len(states) < len(numbers) and time.monotonic() < end:
        guest.listen()
        reply = guest.reply(numbers[len(states)])
        if reply is not None:
            states.append(reply.state)
    assert states == [wire.State.DONE] * 5


def test_reply_to_another_request_is_ignored(start):
    guest = start("""
        greet(channel)
        _, _, sequence, _ = request(channel)
        channel.sendall(reply(sequence + 1) + reply(sequence - 1) + frame(2, sequence) + reply(sequence, state=3))
        forever()
    """)
    waiting.hello(guest)
    assert ask(guest).state is wire.State.DIED


def test_a_reply_that_is_overtaken(start):
    """It is lost, and no deadline is waited for: the VMM answers one request after the other."""
    guest = start("""
        greet(channel)
        _, _, first, _ = request(channel)
        _, _, second, _ = request(channel)
        channel.sendall(reply(second))
        forever()
    """)
    waiting.hello(guest)
    first, _ = guest.send(b"ask", 1), guest.send(b"ask", 1)
    assert "its reply to request 1 is missing: that to a later one has arrived" in lost(
        guest, lambda: waiting.reply(guest, first, 60)
    )


def test_stopped_qemu(start):
    """A QEMU that is stopped blocks neither hello() nor close()."""
    guest = start("os.kill(os.getpid(), signal.SIGSTOP); forever()", boot=0.3)
    assert lost(guest, lambda: waiting.hello(guest)).startswith("stub: silent")
    begin = time.monotonic()
    guest.close()
    assert time.monotonic() - begin < SOON


def test_close(start):
    """close() ends QEMU, and may be called twice."""
    guest = start(ANSWERING)
    waiting.hello(guest)
    pid = guest.pid
    guest.close()
    assert not Path(f"/proc/{pid}").exists()
    guest.close()


def test_no_qemu(start, monkeypatch):
    """The error names the program."""
    monkeypatch.setattr("sysevent.qemu.process.shutil.which", lambda name: None)
    with pytest.raises(ToolMissing, match="qemu-system-x86_64 is not installed"):
        start(ANSWERING)


def test_every_loss_is_infrastructure():
    """A loss is a MISS, not a verdict about the kernel."""
    assert issubclass(GuestLost, InfrastructureError)
    assert issubclass(BadWire, InfrastructureError)


def test_no_deadline_in_a_debugger(start):
    """Boot and replies have no deadline, and the line to attach with is printed before the first wait."""
    guest = start(
        """
        listening = socket.socket(fileno=int(fds["gdb"]))
        debugger, _ = listening.accept()
        debugger.recv(1)  # waits like QEMU with -S
        time.sleep(1.5)
        greet(channel)
        sequence = request(channel)[2]
        time.sleep(0.5)
        channel.sendall(reply(sequence))
        forever()
        """,
        debug=True,
        boot=1,
    )
    message = "\n".join(guest._progress.messages)
    port = int(message.partition("target remote 127.0.0.1:")[2].partition("'")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=SOON) as debugger:
        debugger.sendall(b"c")
        assert waiting.hello(guest).release == "6.12.1-stub"
        assert ask(guest, seconds=0.1).state is wire.State.DONE


def test_ended_in_a_debugger(start):
    """A QEMU that ends is lost at once, although there is no deadline."""
    guest = start("sys.exit(0)", debug=True)
    assert "exit code 0" in lost(guest, lambda: waiting.hello(guest))


def test_logs_that_cannot_be_created(start, tmp_path):
    """The guest answers all the same, and notes one incident."""
    (tmp_path / "logs").write_text("a file in the place of the directory")
    guest = start(f"    console.sendall(b'booting\\r\\n'){ANSWERING}")
    assert waiting.hello(guest).release == "6.12.1-stub"
    assert ask(guest).state is wire.State.DONE
    assert guest.incidents == [
        f"stub: its logs are incomplete: {tmp_path}/logs cannot be created: File exists"
    ]


def test_a_disk_that_fills_up_with_logs(start, tmp_path):
    """/dev/full accepts no byte. The guest answers all the same, and notes one incident; so does a loss."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "console.log").symlink_to("/dev/full")
    guest = start(f"    console.sendall(b'booting\\r\\n'){ANSWERING}")
    assert waiting.hello(guest).release == "6.12.1-stub"
    assert ask(guest).state is wire.State.DONE
    (incident,) = guest.incidents
    assert "its logs are incomplete" in incident
    assert "No space left on device" in incident
    os.kill(guest.pid, signal.SIGKILL)
    assert "QEMU was ended by SIGKILL" in lost(guest, lambda: ask(guest))


def test_a_guest_that_is_of_no_use_is_killed(start):
    """Its loss gives the reason at once."""
    guest = start(ANSWERING)
    waiting.hello(guest)
    guest.kill("it was stopped for a snapshot")
    assert lost(guest, lambda: ask(guest)) == "stub: it was stopped for a snapshot"
