"""A guest that sends without end: it is lost by its deadline or its budget of bytes, and nothing piles up here."""

import time

import pytest
from qemu_guests import ask

from sysevent import wire
from sysevent.errors import GuestLost
from sysevent.hosts import framed, waiting

PANIC = 'console.sendall(b"Kernel panic - not syncing: x\\r\\n")'
# A header of a frame that is as long as a frame can be, and never completes.
HEADER = "frame(3, 1, bytes(1 << 20))[:32]"
# What the guest sends, without end.
FLOODS = {
    "frames": "frame(3, 7) * 1000",
    "unknown kinds": "b''.join(frame(kind, 1) for kind in range(6, 1000))",
    "hellos": "hello() * 1000",
    "replies never asked for": "b''.join(reply(number) for number in range(2, 1000))",
    "headers": f"{HEADER} * 1000",
    "magics": "b'SEV2' * 16384",
    "text": "b'[    1.0] still here\\r\\n' * 3000",
}
EACH = pytest.mark.parametrize("noise", FLOODS.values(), ids=FLOODS)


def seconds_until_lost(action, match=None):
    begin = time.monotonic()
    with pytest.raises(GuestLost, match=match):
        action()
    return time.monotonic() - begin


@EACH
@pytest.mark.parametrize("line", ["channel", "console"])
def test_before_hello(start, noise, line):
    """The guest is lost at its deadline."""
    guest = start(
        f"""
    noise = {noise}
    while True:
        {line}.sendall(noise)
    """,
        boot=0.3,
    )
    assert seconds_until_lost(lambda: waiting.hello(guest)) < 3
    assert all(reader.pending <= wire.BODY_MAX + wire.FRAME_OVERHEAD for reader in guest._readers())


@EACH
def test_instead_of_a_reply(start, noise):
    """The guest is lost at the request's deadline, or by its budget of bytes."""
    guest = start(f"""
    greet(channel)
    request(channel)
    noise = {noise}
    while True:
        channel.sendall(noise)
    """)
    waiting.hello(guest)
    assert seconds_until_lost(lambda: ask(guest, seconds=0.5)) < 3


def test_after_a_panic(start):
    """The guest is lost at once, although it sends on."""
    guest = start(
        f"""
    {PANIC}
    while True:
        channel.sendall(frame(3, 7) * 1000)
    """,
        boot=60,
    )
    assert seconds_until_lost(lambda: waiting.hello(guest), match="panic: ") < 3


def test_budget_of_bytes(start, monkeypatch):
    """A guest that only prints is lost long before its deadline."""
    monkeypatch.setattr(framed, "FLOOD_MAX", 4 << 20)
    guest = start(
        """
    while True:
        console.sendall(b"x" * 65536)
    """,
        boot=60,
    )
    assert seconds_until_lost(lambda: waiting.hello(guest), match="more than 4 MiB that are no answers") < 5


def test_answers_among_other_frames(start):
    """Replies that were not asked for, or come many times, do not hide those that were."""
    guest = start("""
    greet(channel)
    numbers = [request(channel)[2] for _ in range(3)]
    channel.sendall(reply(99) + frame(77, numbers[0]) + hello() * 300)
    for number in numbers:
        channel.sendall(reply(number, state=number) * 400)
    forever()
    """)
    waiting.hello(guest)
    numbers = [guest.send(b"ask", 1) for _ in range(3)]
    found = [waiting.reply(guest, number, 4).state for number in numbers]
    assert found == [wire.State(number) for number in numbers]


@pytest.mark.parametrize("line", ["channel", "console"])
def test_forged_frames(start, line):
    """Frames without the key of this host, such as those that a payload prints, are not taken for the VMM's."""
    guest = start(f"""
    greet(channel)
    _, _, sequence, _ = request(channel)
    ours, key = key, b"SEV2".ljust(16, b"\\0")
    forged = reply(sequence, state=6)
    key = os.urandom(16)
    forged += reply(sequence, state=6) + hello(0xffffffff)
    {line}.sendall(forged)
    time.sleep(0.1)
    key = ours
    channel.sendall(reply(sequence))
    forever()
    """)
    waiting.hello(guest)
    assert ask(guest).state is wire.State.DONE
    assert not guest.on_console


def test_every_host_has_a_key_of_its_own(start):
    """A frame of one guest is noise to another, also of the same run."""
    one, other = (start("forever()") for _ in range(2))
    assert one._key != other._key
