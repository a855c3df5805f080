"""The frozen values that travel between the stages: target, raw exit, event, verdict.

Nothing here does I/O, and nothing here imports another module of the harness, so every stage may
import this one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path

import msgspec

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


class KernelImage(msgspec.Struct, frozen=True):
    """One kernel that a guest can boot, with its modules, on this machine's disk."""

    spec: str  # as the user wrote it: "debian:6.12", or a path
    arch: str  # our name of the architecture
    release: str  # what uname -r will say, as far as the image tells; "" when it does not
    version: str  # the package's version, "" for one's own build
    image: Path  # the file QEMU's -kernel takes
    modules: Path | None  # a directory with *.ko, *.ko.xz, ... anywhere below it; None when there are none


class RawExit(msgspec.Struct, frozen=True):
    """What was in kvm_run after one KVM_RUN, byte for byte, and what stood around it."""

    ret: int  # of the ioctl: 0, or -1 with errno
    errno: int
    kicked: bool  # the watchdog ended it with a signal
    microseconds: int
    poison: int | None  # the byte every output held before KVM_RUN; None: left as the last exit left it
    head: bytes  # kvm_run[0:320]
    tail_changed: int  # bytes beyond, in the first page, that lost their poison
    tail_first: int  # offset of the first of them in kvm_run
    registers: tuple[int, ...]  # in the order of abi/registers.py; empty when they could not be read


class Answer(msgspec.Struct, frozen=True):
    """What a step that is no KVM_RUN gave."""

    ret: int
    errno: int
    data: bytes  # an ioctl's buffer, or guest memory


class Observation(msgspec.Struct, frozen=True):
    """Everything one scenario gave on one target: its labelled steps."""

    scenario: str
    arch: str
    abi: str
    exits: dict[str, RawExit]
    answers: dict[str, Answer]
    symbols: dict[str, int]  # of the payloads it loaded, as "payload.label"


class Facts(msgspec.Struct, frozen=True):
    """What a target says of itself before anything is judged."""

    arch: str
    release: str  # uname -r
    capabilities: dict[str, int]  # "system/215", "vm/215", ... -> what KVM_CHECK_EXTENSION gave
    features: dict[
        str, int
    ]  # what the guest's firmware interface says, "psci.version", "psci.0x84000012", ...
    build_id: str = ""  # of the VMM that asked


class Mismatch(msgspec.Struct, frozen=True):
    """One thing that is not as the contract says."""

    what: str  # "ndata", "x0", "written bytes"
    expected: str
    got: str
    span: tuple[int, int] | None = None  # the bytes of kvm_run that it was read from


class Verdict(msgspec.Struct, frozen=True):
    """One claim judged on one target."""

    test: str  # kvm.system_event.arm64.psci.reset2
    status: Status
    level: Level
    reason: str  # one sentence
    mismatches: tuple[Mismatch, ...] = ()


class Incident(msgspec.Struct, frozen=True):
    """Something broke that is no verdict about the kernel's ABI."""

    target: str
    reason: str
    log: str  # path of the console's log
    retried: bool  # whether another boot followed
