"""A guest that is restored from a snapshot: it must answer, be the saved one, and its snapshot must be intact."""

import time
import zlib

import msgspec
import pytest

from sysevent import wire
from sysevent.errors import GuestLost
from sysevent.hosts import waiting
from sysevent.hosts.qemu.snapshots import Snapshot, SnapshotNote

RESTORED = """
        channel.sendall(hello())
        kind, _, sequence, _ = request(channel)
        assert kind == 5
        time.sleep(0.05)
        channel.sendall(hello(sequence))
        forever()
        """
ANSWERS_ONCE = RESTORED.replace("forever()", "channel.sendall(reply(request(channel)[2])); forever()")


@pytest.fixture
def snapshot(tmp_path):
    """A snapshot of the kernel that the stub reports."""
    state = tmp_path / "state"
    state.write_bytes(b"stream")
    hello = wire.Hello(wire.VERSION, 1, "6.12.1-stub", "x86_64", "build")
    return Snapshot(
        state, SnapshotNote("key", 6, zlib.crc32(b"stream", zlib.crc32(bytes(8))), 64, hello, False)
    )


def test_restored_guest_must_answer_a_ping(start, snapshot):
    """A HELLO that was still in a buffer does not count."""
    guest = start(RESTORED, snapshot=snapshot)
    assert waiting.hello(guest).release == "6.12.1-stub"
    assert guest.seconds_to_ready >= 0.05


def test_patience_while_it_is_restored(start, snapshot):
    """A few seconds: after that, a boot would be as fast."""
    guest = start(RESTORED, snapshot, boot=30)
    assert (guest.activity, guest.hello_timeout < 10) == ("restoring debian:6.12", True)


@pytest.mark.parametrize("content", [b"strdam", b"str"], ids=["flipped", "cut off"])
def test_damaged_snapshot(start, snapshot, content):
    """QEMU restores it without an error, so the guest is lost at its first reply at the latest."""
    snapshot.state.write_bytes(content)
    guest = start(ANSWERS_ONCE, snapshot)
    begin = time.monotonic()

    def ask():
        waiting.hello(guest)
        waiting.reply(guest, guest.send(b"ask", 1), 4)

    for _ in range(2):
        with pytest.raises(GuestLost, match="its snapshot is damaged"):
            ask()
    # It does not wait for a guest that may never answer.
    assert time.monotonic() - begin < 2


def test_restored_guest_must_be_the_saved_one(start, snapshot):
    """Otherwise the verdicts of another kernel would be reported for this one."""
    hello = msgspec.structs.replace(snapshot.note.hello, release="6.12.2")
    note = msgspec.structs.replace(snapshot.note, hello=hello)
    guest = start(RESTORED, snapshot=msgspec.structs.replace(snapshot, note=note))
    with pytest.raises(GuestLost, match=r"the restored guest is not the one that was saved: 6\.12\.1-stub"):
        waiting.hello(guest)


def test_deleted_snapshot(start, snapshot):
    """A snapshot that another process has pruned is a lost guest, not the end of the run."""
    snapshot.state.unlink()
    with pytest.raises(GuestLost, match="its snapshot cannot be opened"):
        start(RESTORED, snapshot=snapshot)
