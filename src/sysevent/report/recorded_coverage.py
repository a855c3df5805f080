"""The record of what an exploration has reached of a kernel's source: `coverage`."""

from __future__ import annotations

import msgspec

from sysevent.report.recorded_observation import Natural


class Covered(msgspec.Struct, frozen=True, kw_only=True):
    """What was reached of one source file."""

    lines: Natural
    """Lines of it that can be reached: those at which the compiler has put a call of KCOV. Only functions of the
    producers count (`src/sysevent/build/producers.py`)."""
    reached: Natural
    """Those of them that were reached."""
    new: Natural
    """Those of them that no earlier exploration of the same kernel, on this machine, had reached."""
    unreached: tuple[str, ...]
    """Functions of which no line was reached."""


class Coverage(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="coverage"):
    """Which lines of the kernel the sequences of `sysevent explore --coverage` have reached."""

    target: str
    """Name of the target."""
    build_id: str
    """Build ID of the kernel, which is that of the vmlinux that the lines were read from."""
    guided: bool
    """Whether what was reached decided which sequences were asked next."""
    files: dict[str, Covered]
    """The producers of the architecture, by their path in the kernel tree."""
    cut: Natural
    """Sequences that reached more than the VMM can keep, so that some of it is missing."""
    tracefile: str
    """Path of the list of all lines, as lcov writes it."""
