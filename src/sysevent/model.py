"""The frozen values that travel between the stages: target, raw exit, event, verdict.

Nothing here does I/O, and nothing here imports another module of the harness, so every stage may
import this one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str], None]
"""Told, in one short line, what a person is waiting for right now."""


class Status(enum.StrEnum):
    """Verdicts with kcidb's meanings, worst first (kcidb-io schema 5.3)."""

    FAIL = "FAIL"  # the kernel under test broke the ABI
    ERROR = "ERROR"  # the test broke; nothing is known about the kernel
    MISS = "MISS"  # it could not be run: guest lost, host gone, image not to be had
    PASS = "PASS"
    DONE = "DONE"  # ran, and has something to report that is not a promise
    SKIP = "SKIP"  # does not apply; the reason says what would make it apply

    @property
    def severity(self) -> int:
        """0 for the worst."""
        return list(Status).index(self)


class Level(enum.StrEnum):
    """How much the kernel promised."""

    ABI = "abi"  # Documentation/virt/kvm/api.rst says so: FAIL when broken
    OBSERVED = "observed"  # today's behaviour, documented by us: a change is reported, not failed


@dataclass(frozen=True, slots=True)
class KernelImage:
    """One kernel that a guest can boot, with its modules, on this machine's disk."""

    spec: str  # as the user wrote it: "debian:6.12", or a path
    arch: str  # our name of the architecture
    release: str  # what uname -r will say, as far as the image tells; "" when it does not
    version: str  # the package's version, "" for one's own build
    image: Path  # the file QEMU's -kernel takes
    modules: Path | None  # a directory with *.ko, *.ko.xz, ... anywhere below it; None when there are none
