"""Reads which addresses of the kernel a scenario has executed: the answer of the Cover step that ends a recording.

An address is where a call of __sanitizer_cov_trace_pc() returns to, as it is in vmlinux: kernel/kcov.c subtracts the
offset of KASLR, canonicalize_ip().
"""

from __future__ import annotations

import struct

import msgspec

from sysevent import wire
from sysevent.errors import BadWire
from sysevent.model import Answer

# Whether some are missing, an unused word, the lowest address; behind it the distance of each from that.
_FIXED = struct.Struct("<IIQ")
# Bytes of an answer.
LONGEST = _FIXED.size + 4 * wire.COVER_MAX


class Executed(msgspec.Struct, frozen=True):
    """The addresses that one scenario has executed."""

    addresses: frozenset[int]
    # True: there were more than the VMM keeps.
    cut: bool = False


def executed(answer: Answer) -> Executed:
    """Return the addresses of an answer; none if the VMM could not record them. BadWire for an invalid one."""
    if answer.errno:
        return Executed(frozenset())
    data = answer.data
    if not _FIXED.size <= len(data) <= LONGEST or (len(data) - _FIXED.size) % 4:
        raise BadWire(f"recorded addresses in {len(data)} bytes")
    cut, _, lowest = _FIXED.unpack_from(data)
    offsets = struct.unpack_from(f"<{(len(data) - _FIXED.size) // 4}I", data, _FIXED.size)
    return Executed(frozenset(lowest + offset & 2**64 - 1 for offset in offsets), bool(cut))
