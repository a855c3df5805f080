"""The frozen values that packages pass to each other: kernel image, raw exit, observation, facts, verdict, incident.

Nothing here does I/O or imports another module of this project, so that every package can import this one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path

import msgspec

Progress = Callable[[str], None]
"""Called with one line about what the user waits for."""


class Status(enum.StrEnum):
    """Verdicts with kcidb's meanings, worst first (kcidb-io schema 5.3)."""

    # The kernel under test broke the ABI.
    FAIL = "FAIL"
    # The test broke; nothing is known about the kernel.
    ERROR = "ERROR"
    # Nothing is known about the kernel: the guest was lost or ill, its image could not be obtained, or a failure was
    # not seen a second time.
    MISS = "MISS"
    PASS = "PASS"
    # Ran, and has something to report that is not a promise.
    DONE = "DONE"
    # Does not apply; the reason says what would make it apply.
    SKIP = "SKIP"

    @property
    def severity(self) -> int:
        """The index of the status in this order: 0 for FAIL, the worst."""
        return list(Status).index(self)


class Level(enum.StrEnum):
    """How much the kernel promised."""

    # Documentation/virt/kvm/api.rst says so: FAIL when broken.
    ABI = "abi"
    # Today's behaviour, documented by us: a change is reported, not failed.
    OBSERVED = "observed"


class KernelImage(msgspec.Struct, frozen=True):
    """One kernel that a guest can boot, with its modules, on this machine's disk."""

    # As the user wrote it: "debian:6.12", or a path.
    spec: str
    # Our name of the architecture.
    arch: str
    # What `uname -r` will print; "" if the image does not contain it.
    release: str
    # The package's version; "" for a kernel of the user's own.
    version: str
    # The file QEMU's -kernel takes.
    image: Path
    # A directory with *.ko, *.ko.xz, ... anywhere below it; None if there are none.
    modules: Path | None
    # SHA-256 that the image had when it was found; "" if it was not hashed.
    sha256: str = ""


class ExpectedKernel(msgspec.Struct, frozen=True):
    """What the files that a guest boots from say of its kernel."""

    # The kernel image, for messages. "": the kernel was not given as a file, so any may answer.
    image: str = ""
    # GNU build ID in hexadecimal; "" if none could be read.
    build_id: str = ""
    # Why there is no build ID.
    obstacle: str = ""
    # Name of each KVM module that the guest may load -> its build ID, "" if it has none.
    modules: dict[str, str] = {}
    # SHA-256 of image and modules.
    content: str = ""
    # What `uname -r` must print; "" if the image does not contain it.
    release: str = ""


class Proof(enum.StrEnum):
    """What is known about the identity of a kernel that answers."""

    # Its build IDs are those of the files that it was booted from.
    PROVEN = "proven"
    # It was booted from files, and build IDs could not be compared.
    UNPROVEN = "unproven"
    # It ran already, so there are no files to compare with.
    RECORDED = "recorded"


class KernelIdentity(msgspec.Struct, frozen=True):
    """Which kernel answers: the GNU build IDs that it reports, compared with those of the files on disk."""

    # In hexadecimal; "" if it reports none.
    build_id: str
    # Name of each loaded KVM module -> its build ID.
    modules: dict[str, str]
    proof: Proof
    # Why it is not proven; "" otherwise.
    reason: str = ""
    # ExpectedKernel.content; "" if no files were given.
    content: str = ""
    # In which mode its KVM runs, by the names of hosts/traits.py: {"mode": "VHE", "page": "4k"}.
    mode: dict[str, str] = {}

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        mode = ", ".join(f"{name} {value}" for name, value in self.mode.items())
        return f"build ID {self.build_id or 'unknown'} ({self.proof}{reason})" + (
            f", KVM: {mode}" if mode else ""
        )


class RawExit(msgspec.Struct, frozen=True):
    """What one KVM_RUN returned, the bytes of kvm_run after it, and the registers of the vCPU."""

    # Returned by the ioctl: 0, or -1 with errno.
    ret: int
    errno: int
    # The watchdog ended it with a signal.
    kicked: bool
    microseconds: int
    # The byte that filled every output before KVM_RUN; None: the outputs were left as the last exit left them.
    poison: int | None
    # The bytes kvm_run[0:320].
    head: bytes
    # How many bytes of the first page, beyond `head`, lost their poison.
    tail_changed: int
    # Offset of the first of them in kvm_run.
    tail_first: int
    # In the order of abi/registers.py; empty for a vCPU that only a signal was to end, and when they could not be read.
    registers: tuple[int, ...]
    # kvm_run from tail_first to the last of those bytes; empty also in recordings made before it was recorded.
    tail: bytes = b""
    # CPU time that the vCPU's thread used in KVM_RUN; None in recordings made before it was recorded.
    cpu_microseconds: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """What a step returned that is not a KVM_RUN."""

    ret: int
    errno: int
    # An ioctl's buffer, or guest memory.
    data: bytes


class KernelLog(msgspec.Struct, frozen=True):
    """What the kernel of a target logged around one scenario: warnings, and all lines of a splat. Safe to print."""

    # Since the scenario before, and while this one ran; the VMM keeps a limited number of each.
    before: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    # True: the kernel overwrote some before they were read.
    lost: bool = False
    # True: some are missing, because there were too many.
    cut: bool = False
    # /proc/sys/kernel/tainted before and after the scenario; None: it could not be read.
    taint: tuple[int, int] | None = None
    # Why /dev/kmsg could not be read, as an errno; 0: it was read.
    log_errno: int = 0

    @property
    def new_taint(self) -> int:
        """The taint bits that were set while the scenario ran."""
        return self.taint[1] & ~self.taint[0] if self.taint else 0


class Observation(msgspec.Struct, frozen=True):
    """Everything one scenario gave on one target: its labelled steps."""

    scenario: str
    arch: str
    abi: str
    exits: dict[str, RawExit]
    answers: dict[str, Answer]
    # Of the payloads it loaded, as "payload.label".
    symbols: dict[str, int]
    # What the kernel logged meanwhile.
    log: KernelLog = KernelLog()


class Facts(msgspec.Struct, frozen=True):
    """What a target reports about itself, before a claim is judged."""

    arch: str
    # What `uname -r` prints.
    release: str
    # "system/215", "vm/215", ... -> what KVM_CHECK_EXTENSION returned.
    capabilities: dict[str, int]
    # "psci.version", "psci.0x84000012", ... -> what the guest's firmware interface returned.
    features: dict[str, int]
    # The build ID of the VMM that asked.
    build_id: str = ""
    # Which kernel answered; None if that was not asked, in old records.
    identity: KernelIdentity | None = None

    @property
    def mode(self) -> dict[str, str]:
        """In which mode its KVM runs: KernelIdentity.mode. Empty if that was not asked."""
        return self.identity.mode if self.identity else {}


class Mismatch(msgspec.Struct, frozen=True):
    """One thing that is not as the contract says."""

    # For example "ndata", "x0" or "written bytes".
    what: str
    expected: str
    got: str
    # The bytes of kvm_run that it was read from.
    span: tuple[int, int] | None = None


class Verdict(msgspec.Struct, frozen=True):
    """One claim judged on one target."""

    # For example "kvm.system_event.arm64.psci.reset2".
    test: str
    status: Status
    level: Level
    # One sentence.
    reason: str
    mismatches: tuple[Mismatch, ...] = ()
    # The id of the erratum that is about the claim and the kernel: contract/errata.py. "" if there is none.
    erratum: str = ""


class Incident(msgspec.Struct, frozen=True):
    """Something broke, without a verdict about the kernel's ABI."""

    target: str
    reason: str
    # Path of the console's log.
    log: str
    # Whether another boot followed.
    retried: bool
