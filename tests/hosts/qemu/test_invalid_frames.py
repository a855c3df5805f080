"""A guest that sends what is no frame, or too much of it."""

import pytest
from qemu_guests import ANSWERING, PANIC, ask, lost

from sysevent import wire
from sysevent.errors import BadWire
from sysevent.hosts import waiting


def test_invalid_frames_on_the_channel(start):
    """Bytes that are not a valid frame are skipped, and valid frames among them are read."""
    guest = start("""
        broken = bytearray(hello()); broken[-1] ^= 1
        channel.sendall(os.urandom(5000).replace(b"S", b"s") + bytes(broken) + b"SEV2"[:2])
        greet(channel)
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
        ("channel.sendall(hello(version=77))", "speaks version 77"),
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
    for at in range(0, len(kernel), 7):
        console.sendall(kernel[at:at + 7])
    greet(console)
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
        greet(console)
        _, _, sequence, _ = request(console)
        body = struct.pack("<HHIii", 4, 0, 40, 0, 0) + b"Kernel panic - not syncing: only guest memory"[:40]
        console.sendall(frame(3, sequence, struct.pack("<HHi32x", 0, 1, 0) + body))
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
