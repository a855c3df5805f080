"""Frames: how requests and replies travel over a pipe, a virtio port, or a serial line that carries text as well.

    frame = key 16 bytes | kind u16 | abi u16 | sequence u32 | length u32 | CRC-32 of all before | body | CRC-32 of all

All numbers are little-endian. The other half is guests/vmm/frame.c.

The key is a random number that belongs to one host of one run, and every frame of that host begins with it. The VMM
learns it from a PING, whose own key is NO_KEY; until then its frames begin with NO_KEY as well. A snapshot holds the
VMM of an earlier run, so a restored guest gets a new key in the same way.

What the key protects from: bytes that look like a frame, from a program that can write to the same console or port
but cannot read from it. Such are the output of an L2 guest, messages of L1's kernel, and another process in L1. None
of them sees the key, which only travels between the harness and the VMM, so that none can forge an answer. It does
not protect from a program in L1 that reads what the VMM reads, nor from L1's kernel: those could forge any answer in
other ways.

Lengths and counts from a guest are hostile all the same. The checksum of the header is checked before its length is
believed, and the total work of a FrameReader is linear in the number of bytes that it is fed.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable

import msgspec

from sysevent.errors import BadWire

# Bytes of a key.
KEY_SIZE = 16
# "SEV2" in the order of the bytes, then zeros: what frames begin with before a key is known.
NO_KEY = b"SEV2".ljust(KEY_SIZE, b"\0")
# Bytes of the longest body.
BODY_MAX = 1 << 20

_CRC = struct.Struct("<I")
# Key, kind, ABI, sequence and length; a checksum of them follows.
_FIELDS = struct.Struct(f"<{KEY_SIZE}sHHII")
_HEADER_SIZE = _FIELDS.size + _CRC.size
# Bytes of a frame without its body.
FRAME_OVERHEAD = _HEADER_SIZE + _CRC.size


class Frame(msgspec.Struct, frozen=True):
    """One frame without its key, length and checksums."""

    # A wire.Kind; other numbers are possible in a frame from a guest.
    kind: int
    # Number of the VMM's ABI: arches.Abi.number.
    abi: int
    # Number of the request, which its reply repeats.
    sequence: int
    # At most BODY_MAX bytes.
    body: bytes


def new_key() -> bytes:
    """A random key for one host of one run."""
    return os.urandom(KEY_SIZE)


def pack(frame: Frame, key: bytes = NO_KEY) -> bytes:
    """The bytes of one frame; BadWire if the body is longer than BODY_MAX, or contains the key."""
    if len(frame.body) > BODY_MAX:
        raise BadWire(f"a frame of {len(frame.body)} bytes; at most {BODY_MAX} fit")
    if key in frame.body:
        raise BadWire("the body of a frame contains what frames begin with")
    fields = _FIELDS.pack(key, frame.kind, frame.abi, frame.sequence, len(frame.body))
    data = fields + _CRC.pack(zlib.crc32(fields)) + frame.body
    return data + _CRC.pack(zlib.crc32(data))


class FrameReader:
    """Finds the frames of one key in a stream of bytes, and sets aside the bytes that belong to none.

    A frame that another one begins in is damaged: bytes of it were lost. It is given up at once, so that neither a
    long length nor a body that never completes hides the frames after it.
    """

    def __init__(
        self, key: bytes = NO_KEY, checksum: Callable[[bytes | bytearray], int] = zlib.crc32
    ) -> None:
        # What frames begin with; it may be changed between two calls of feed().
        self.key = key
        # Text of a console that carries frames as well, noise, damaged frames. The caller empties it.
        self.non_frame_bytes = bytearray()
        # How many such bytes there were in all.
        self.skipped = 0
        self._checksum = checksum
        self._unread = bytearray()
        # Bytes of the frame whose header is the beginning of _unread; 0: that is no header.
        self._size = 0
        # Up to this offset of _unread, no further header begins.
        self._searched = 0

    @property
    def pending(self) -> int:
        """Number of bytes that are kept because they may belong to a frame that is not complete."""
        return len(self._unread)

    def feed(self, data: bytes) -> list[Frame]:
        """Append data to the stream; returns the frames that it completes."""
        self._unread += data
        frames: list[Frame] = []
        while self._step(frames):
            pass
        return frames

    def give_up(self) -> None:
        """Set aside the beginning of a frame that is not complete: no more bytes arrive."""
        self._set_aside(len(self._unread))

    def _step(self, frames: list[Frame]) -> bool:
        """Go on to the next header, or to the end of the current frame; False if more bytes are needed for that."""
        end = self._size or len(self._unread)
        start = self._find(min(end, len(self._unread)))
        if start >= 0:
            # If a frame was being read, it lacks bytes.
            self._set_aside(start)
            self._size = _HEADER_SIZE + self._length(0) + _CRC.size
            self._searched = 1
            return True
        if not self._size:
            # What may be the beginning of a header stays.
            self._set_aside(self._searched)
            return False
        if len(self._unread) < self._size:
            return False
        body_end = self._size - _CRC.size
        (crc,) = _CRC.unpack_from(self._unread, body_end)
        if crc == self._checksum(self._unread[:body_end]):
            _, kind, abi, sequence, _ = _FIELDS.unpack_from(self._unread)
            frames.append(Frame(kind, abi, sequence, bytes(self._unread[_HEADER_SIZE:body_end])))
            del self._unread[: self._size]
            self._size = self._searched = 0
        else:
            # A header may begin in its last bytes.
            self._set_aside(self._searched)
        return True

    def _find(self, end: int) -> int:
        """Offset of the next header that ends before an offset, from _searched on; -1 if there is none."""
        while True:
            at = self._unread.find(self.key, self._searched, end)
            if at < 0:
                self._searched = max(self._searched, end - self._beginning_of_key(end))
                return -1
            self._searched = at
            if at + _HEADER_SIZE > end:
                return -1
            if self._length(at) >= 0:
                return at
            self._searched = at + 1

    def _beginning_of_key(self, end: int) -> int:
        """How many bytes before an offset may be the beginning of a key."""
        last = bytes(self._unread[max(0, end - KEY_SIZE + 1) : end])
        return next((n for n in range(len(last), 0, -1) if last.endswith(self.key[:n])), 0)

    def _length(self, at: int) -> int:
        """The length in the header at an offset; -1 if it is not a valid header."""
        fields = self._unread[at : at + _FIELDS.size]
        (crc,) = _CRC.unpack_from(self._unread, at + _FIELDS.size)
        length: int = _FIELDS.unpack(fields)[4]
        return length if crc == self._checksum(fields) and length <= BODY_MAX else -1

    def _set_aside(self, count: int) -> None:
        """Move bytes from the beginning of _unread, and with them the frame that is being read, if there is one."""
        self.non_frame_bytes += self._unread[:count]
        self.skipped += count
        del self._unread[:count]
        self._size = 0
        self._searched = max(0, self._searched - count)
