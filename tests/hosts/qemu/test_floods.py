"""A guest that sends valid frames without end."""

import time

import pytest

from sysevent.errors import GuestLost
from sysevent.hosts import waiting

FLOOD = """
    noise = frame(3, 7) * 1000
    while True:
        channel.sendall(noise)
"""
PANIC = 'console.sendall(b"Kernel panic - not syncing: x\\r\\n")'


@pytest.mark.parametrize("first", ["", PANIC])
def test_frames_without_end(start, first):
    """The guest is lost at its deadline, or at once after a panic, and its frames do not pile up here."""
    guest = start(f"    {first}{FLOOD}", boot=0.3)
    begin = time.monotonic()
    with pytest.raises(GuestLost):
        waiting.hello(guest)
    assert time.monotonic() - begin < 3
    assert len(guest._arrived) <= 256
