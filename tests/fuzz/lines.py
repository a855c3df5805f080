"""What tells the lines of a kernel that were reached: its vmlinux, and the addresses that a guest sends."""

import struct
from pathlib import Path

from sysevent.decode import instrumented, kcov
from sysevent.model import Answer

_TRACED = Path(__file__).parents[1] / "data" / "corpus" / "points" / "valid"


def vmlinux_files():
    """A program for x86-64, compiled with -g1 -fsanitize-coverage=trace-pc."""
    return [_TRACED.read_bytes()]


def points(path):
    instrumented.points(path, ("kvm/psci.c",))


def recordings():
    return [struct.pack("<IIQ2I", 0, 0, 1 << 63, 0, 4)]


def addresses(data):
    kcov.executed(Answer(0, 0, data))
