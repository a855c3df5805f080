"""Requests to a host over SSH, and the message of one that cannot be used."""

import subprocess
import time

import pytest

from sysevent import wire
from sysevent.hosts import waiting

SOON = 15


def request(*milliseconds):
    steps = [wire.pack_step(wire.Op.SLEEP, ms.to_bytes(4, "little"), required=True) for ms in milliseconds]
    return wire.pack_request(1000, steps)


def refused(host, error):
    """The message of a host that fails soon, with exactly this error."""
    begin = time.monotonic()
    host.start()
    with pytest.raises(error) as caught:
        waiting.hello(host)
    assert time.monotonic() - begin < SOON
    assert type(caught.value) is error
    return str(caught.value)


def knows_sessiontype():
    """Whether the ssh of this machine has `Match sessiontype`, which came with OpenSSH 10."""
    words = ["ssh", "-G", "-F", "/dev/stdin", "x"]
    text = b"Match sessiontype shell\n"
    return subprocess.run(words, input=text, capture_output=True, timeout=60, check=False).returncode == 0
