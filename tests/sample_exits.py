"""A sample exit of an arm64 guest, and changed copies of it."""

import msgspec

from sysevent.model import Observation, RawExit


def event(**changes):
    """Return a RESET with the one datum 1, as an arm64 kernel writes it, with other fields of RawExit."""
    head = bytearray([0xAA]) * 320
    head[8:16] = b"\x18\0\0\0\0\0\0\0"
    head[32:168] = bytes(136)
    head[32], head[36], head[40] = 2, 1, 1
    head[288:304] = bytes(16)
    raw = RawExit(0, 0, False, 5, 0xAA, bytes(head), 0, 0, tuple(range(34)))
    return msgspec.structs.replace(raw, **changes)


def poke(offset, data):
    """Return the sample exit with other bytes at an offset of kvm_run."""
    head = event().head
    return event(head=head[:offset] + data + head[offset + len(data) :])


def seen(raw=None, answers=None, **more):
    """Return an observation with the exit "exit", which is the sample by default, more exits, and answers."""
    exits = {"exit": raw or event()} | more
    return Observation("arm64.test", "arm64", "arm64", exits, answers or {}, {"call.returned": 32})


# The watchdog ended KVM_RUN.
KICKED = event(ret=-1, errno=4, kicked=True, microseconds=3_000_000)
