"""A guest that answers, and every way in which one is lost: each has its own message, and none is a hang."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from sysevent import wire
from sysevent.errors import BadWire, GuestLost, InfrastructureError, ToolMissing
from sysevent.hosts import waiting

# Seconds; far below every real deadline.
SOON = 4

ANSWERING = """
    channel.sendall(hello())
    while True:
        kind, abi, sequence, body = request(channel)
        channel.sendall(reply(sequence, body=b"" if body == b"ask" else b"x"))
"""
PANIC = "[    1.2] Kernel panic - not syncing: Attempted to kill init!\\r\\n"


def lost(guest, action, limit=SOON):
    """The message of the GuestLost that an action raises within limit seconds.

    The action runs in a thread, so that a hang fails only this test.
    """
    found = []

    def run():
        begin = time.monotonic()
        try:
            action()
        except GuestLost as error:
            found.append(str(error))
        except Exception as error:
            found.append(error)
        else:
            found.append("it was not lost")
        found.append(time.monotonic() - begin)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit + 1)
    if thread.is_alive():
        os.kill(guest.pid, signal.SIGKILL)
        thread.join(5)
        pytest.fail(f"it hung for more than {limit} s, until its QEMU was killed; then: {found[:1]}")
    message, seconds = found
    assert isinstance(message, str), message
    assert seconds < limit
    return message


def ask(guest, request=b"ask", seconds=SOON, abi=1):
    return waiting.reply(guest, guest.send(request, abi), seconds)


def test_hello_and_replies(start, tmp_path):
    """A guest says HELLO and answers requests; its console output is in the log."""
    guest = start(f"    console.sendall(b'booting\\r\\n'){ANSWERING}")
    assert waiting.hello(guest) == wire.Hello(1, 1, "6.12.1-stub", "x86_64", "build")
    assert 0 < guest.seconds_to_ready < SOON
    for _ in range(3):
        assert ask(guest) == wire.Reply(wire.State.DONE, 0, ())
    assert not guest.on_console
    assert (tmp_path / "logs" / "console.log").read_bytes() == b"booting\r\n"


def test_requests_carry_number_and_abi(start):
    guest = start("""
        channel.sendall(hello())
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
        channel.sendall(hello())
        _, _, sequence, _ = request(channel)
        channel.sendall(reply(sequence + 1) + reply(sequence - 1) + frame(2, sequence) + reply(sequence, state=3))
        forever()
    """)
    waiting.hello(guest)
    assert ask(guest).state is wire.State.DIED


@pytest.mark.parametrize("reason", ["guest-reset", "guest-panic", None])
def test_panic_while_booting(start, reason, tmp_path):
    """The message has the panic line and the end of the console, whatever reason QEMU gives for the stop."""
    guest = start(f"""
        console.sendall(b"[    0.1] nothing special\\r\\n{PANIC}[    1.3] CPU: 0\\r\\n")
        {f"stopped({reason!r})" if reason else ""}
    """)
    message = lost(guest, lambda: waiting.hello(guest))
    assert message.startswith("stub: panic: Kernel panic - not syncing: Attempted to kill init!\n")
    assert "the end of its console" in message
    assert "nothing special" in message
    assert message.endswith("[    1.3] CPU: 0")
    assert str(tmp_path / "logs" / "console.log") in message
    assert "Kernel panic" in (tmp_path / "logs" / "console.log").read_text()


def test_panic_while_qemu_runs_on(start):
    """The guest is lost at once, not at the deadline."""
    guest = start(f"""
        channel.sendall(hello())
        request(channel)
        console.sendall(b"{PANIC}")
        forever()
    """)
    waiting.hello(guest)
    assert "panic: Kernel panic" in lost(guest, lambda: ask(guest, seconds=60))


def test_an_oops_that_becomes_a_panic(start):
    """The message has the panic, which arrives after the oops."""
    guest = start(f"""
        console.sendall(b"[    1.1] Internal error: Oops: 96000004 [#1] SMP\\r\\n")
        time.sleep(0.02)
        console.sendall(b"{PANIC}")
        forever()
    """)
    assert "stub: panic: Kernel panic" in lost(guest, lambda: waiting.hello(guest))


def test_oops(start):
    guest = start("""
        console.sendall(b"[    1.1] Unable to handle kernel paging request at virtual address dead\\r\\n")
        forever()
    """)
    assert "stub: oops: Unable to handle kernel paging request" in lost(guest, lambda: waiting.hello(guest))


def test_silence(start):
    """A silent guest is lost at the target's deadline."""
    guest = start("console.sendall(b'[    0.0] Linux\\r\\n'); forever()", boot=1)
    message = lost(guest, lambda: waiting.hello(guest))
    assert message.startswith("stub: silent: no answer within 1 s\n")
    assert message.endswith("[    0.0] Linux")


def test_silence_after_hello(start):
    guest = start("channel.sendall(hello()); forever()")
    waiting.hello(guest)
    assert lost(guest, lambda: ask(guest, seconds=0.3)).startswith("stub: silent: no answer within 0 s")


def test_waiting_uses_little_cpu_time(start, monkeypatch):
    """Waiting does not poll: QEMU needs the CPU."""
    guest = start("channel.sendall(hello()); forever()")
    waiting.hello(guest)
    looks = []
    listen = guest.listen
    monkeypatch.setattr(guest, "listen", lambda: looks.append(1) or listen())
    lost(guest, lambda: ask(guest, seconds=0.5))
    assert len(looks) < 200


def test_patience_while_it_boots(start):
    """As long as the target says."""
    guest = start(ANSWERING, boot=30)
    assert (guest.doing, guest.patience) == ("booting debian:6.12", 30)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "print('no such CPU', flush=True); sys.exit(1)",
            "QEMU ended with exit code 1; it said: no such CPU",
        ),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "QEMU was ended by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "QEMU was ended by SIGKILL"),
        ("sys.exit(0)", "QEMU ended with exit code 0"),
        ("stopped('guest-shutdown')", "the guest powered off"),
        ("stopped('guest-reset')", "the guest rebooted"),
        ("stopped('guest-reset'); forever()", "the guest rebooted"),
    ],
)
def test_how_qemu_ends(start, script, words):
    """The message has the reason, before HELLO and during a request; a late event of QEMU still counts."""
    booting = start(script, boot=0.3)
    assert lost(booting, lambda: waiting.hello(booting)).startswith(f"stub: {words}")
    asked = start(f"channel.sendall(hello()); request(channel); {script}")
    waiting.hello(asked)
    assert lost(asked, lambda: ask(asked, seconds=0.3)).startswith(f"stub: {words}")


@pytest.mark.parametrize("_", range(4))
def test_event_right_before_qemu_ends(start, _):
    """The reason is read although QEMU ends right after the event. Four times, because it is a race."""
    guest = start("channel.sendall(hello()); request(channel); stopped('guest-reset'); os._exit(0)")
    waiting.hello(guest)
    assert lost(guest, lambda: ask(guest)).startswith("stub: the guest rebooted")


def test_reply_right_before_the_end(start):
    """A reply that arrived before QEMU ended counts."""
    guest = start(
        "channel.sendall(hello()); channel.sendall(reply(request(channel)[2])); stopped('guest-shutdown')"
    )
    waiting.hello(guest)
    assert ask(guest).state is wire.State.DONE
    assert lost(guest, lambda: ask(guest)).startswith("stub: the guest powered off")


def test_closed_channel(start):
    """A guest whose channel closes is lost, although QEMU runs on."""
    guest = start("channel.sendall(hello()); channel.close(); forever()")
    waiting.hello(guest)
    assert lost(guest, lambda: ask(guest, seconds=0.3)).startswith("stub: ")


def test_invalid_frames_on_the_channel(start):
    """Bytes that are not a valid frame are skipped, and valid frames among them are read."""
    guest = start("""
        broken = bytearray(hello()); broken[-1] ^= 1
        channel.sendall(os.urandom(5000).replace(b"S", b"s") + bytes(broken) + b"SEV1"[:2])
        channel.sendall(hello())
        _, _, sequence, _ = request(channel)
        channel.sendall(bytes(1000) + reply(sequence))
        forever()
    """)
    assert waiting.hello(guest).release == "6.12.1-stub"
    assert ask(guest).state is wire.State.DONE


def test_only_invalid_frames(start):
    guest = start("channel.sendall(bytes(range(256)) * 500); forever()", boot=0.3)
    assert lost(guest, lambda: waiting.hello(guest)).startswith("stub: silent")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("channel.sendall(hello(version=2))", "speaks version 2"),
        ("channel.sendall(frame(1, 0, b'short'))", "a HELLO of 5 bytes"),
    ],
)
def test_invalid_hello(start, script, words):
    guest = start(f"{script}; forever()")
    with pytest.raises(BadWire, match=words):
        waiting.hello(guest)


def test_invalid_reply(start):
    """A valid frame with an invalid body is BadWire, not GuestLost, and the next reply is read."""
    guest = start(ANSWERING)
    waiting.hello(guest)
    with pytest.raises(BadWire, match="1 bytes left over"):
        ask(guest, b"nonsense")
    assert ask(guest).state is wire.State.DONE


SERIAL = """
    kernel = b"[    1.0] random: crng init done\\r\\n"
    data = kernel + hello()
    for at in range(0, len(data), 7):
        console.sendall(data[at:at + 7])
    while True:
        _, _, sequence, _ = request(console)
        console.sendall(kernel + reply(sequence)[:9])
        time.sleep(0.01)
        console.sendall(reply(sequence)[9:] + kernel)
"""


@pytest.mark.parametrize("channel", ["virtio", "serial"])
def test_frames_on_the_serial_line(start, channel):
    """Frames between the kernel's messages are read, also of a guest whose kernel lacks the virtio driver."""
    guest = start(SERIAL, channel=channel)
    assert waiting.hello(guest).release == "6.12.1-stub"
    assert guest.on_console
    for _ in range(3):
        assert ask(guest).state is wire.State.DONE


def test_kernel_messages_between_frames(start):
    """A panic between frames is noticed; the same text inside a frame is not one."""
    guest = start(f"""
        console.sendall(hello())
        _, _, sequence, _ = request(console)
        body = struct.pack("<HHIii", 4, 0, 40, 0, 0) + b"Kernel panic - not syncing: only guest memory"[:40]
        console.sendall(frame(3, sequence, struct.pack("<HHi", 0, 1, 0) + body))
        request(console)
        console.sendall(b"{PANIC}")
        forever()
    """)
    waiting.hello(guest)
    assert ask(guest).results[0].body.startswith(b"Kernel panic")
    message = lost(guest, lambda: ask(guest))
    assert "panic: Kernel panic - not syncing: Attempted to kill init!" in message
    assert "only guest memory" not in message


def test_control_characters_are_escaped(start):
    """Messages are shown on terminals."""
    guest = start(
        "console.sendall(b'\\x1b[2J\\x07\\xff Kernel panic - not syncing: \\x1b[31mred'); forever()"
    )
    message = lost(guest, lambda: waiting.hello(guest))
    assert all(c.isprintable() or c == "\n" for c in message.replace("\ufffd", ""))
    assert "\\x1b[31mred" in message


@pytest.mark.parametrize(
    ("line", "panic"),
    [
        ("console", False),
        ("console", True),
        ("channel", False),
        ("channel", True),
    ],
)
def test_guest_that_sends_without_end(start, line, panic):
    """It is lost at its deadline, although there is always more to read."""
    guest = start(
        f"""
        {f'console.sendall(b"{PANIC}")' if panic else ""}
        noise = b"x" * 65536
        while True:
            {line}.sendall(noise)
        """,
        boot=0.3,
    )
    lost(guest, lambda: waiting.hello(guest), limit=2)


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
    """Told by its name."""
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
        channel.sendall(hello())
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
