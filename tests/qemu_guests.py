"""What the tests of a QEMU guest ask it, and how they see that it was lost."""

import os
import signal
import threading
import time

import pytest

from sysevent.errors import GuestLost
from sysevent.hosts import waiting

# Seconds; far below every real deadline.
SOON = 4


ANSWERING = """
    greet(channel)
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
