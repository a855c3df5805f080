"""The step that records which code of the kernel a scenario executes."""

from __future__ import annotations

import msgspec

# Addresses that one thread records at most in a scenario, in words of 8 bytes. A sequence of 24 actions records 20,000.
WORDS = 1 << 16


class Cover(msgspec.Struct, frozen=True):
    """Begin to record addresses, or end it: the answer of the end has them, and decode/kcov.py reads it.

    The kernel must have KCOV; if it has not, the answer of the beginning has the errno, and the scenario goes on.
    """

    label: str
    # What one thread of the VMM records at most, at the beginning; 0: the end.
    words: int = 0
