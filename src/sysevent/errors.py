"""One exception for each meaning; the message says what was tried, what came back, what to do next."""

from __future__ import annotations

import copy
import errno
from typing import TypeVar


class SyseventError(Exception):
    """Anything this project raises on purpose."""


class UsageError(SyseventError):
    """The user asked for something that does not exist or does not fit together."""


class BadTargetFile(UsageError):
    """A TOML file of targets or tracks cannot be used as it is."""


class NotApplicable(SyseventError):
    """The claim does not apply here (verdict SKIP); the message says what would make it apply."""


class InfrastructureError(SyseventError):
    """Something under or around the kernel broke: never a verdict about the ABI (verdict MISS)."""


class ToolMissing(InfrastructureError):
    """A program of this machine is not installed; the message carries the line that installs it."""


class ImageError(InfrastructureError):
    """A kernel image could not be obtained."""


class WrongArchitecture(ImageError):
    """The kernel image is for another architecture than the target."""


class DownloadFailed(ImageError):
    """The mirror did not give the file."""


class NotCached(ImageError):
    """Offline, and the file is not in the cache."""


class BadSignature(ImageError):
    """A file is not what its signature, or the signed index above it, says. Never retried."""


class BuildFailed(InfrastructureError):
    """The compiler refused a VMM or payload."""


class KernelNotBuilt(InfrastructureError):
    """A revision of a kernel tree cannot be built: nothing is known about its KVM."""


class DiskFull(InfrastructureError):
    """No space left on device; later steps would fail for the same reason."""


class GuestLost(InfrastructureError):
    """The L1 guest panicked, rebooted or stopped answering, its QEMU ended, or the connection to a machine broke."""


class GuestDistrusted(GuestLost):
    """A guest answers, but no answer since its last good control counts; another guest is asked."""


class GuestIll(GuestDistrusted):
    """A guest failed its control, a scenario that every working KVM passes."""


class EventUnasked(GuestIll):
    """A guest ended its control with a system event, although nothing in it had asked for one."""

    def __init__(self, reason: str, seen: object = None) -> None:
        """seen: the Observation of the control."""
        super().__init__(reason)
        self.seen = seen


class Unconfirmed(InfrastructureError):
    """A claim failed in one guest, and not in a second one that was booted for it (verdict MISS)."""


class NoKvm(InfrastructureError):
    """The VMM found no usable /dev/kvm."""


class VcpuStuck(InfrastructureError):
    """A vCPU did not return from KVM_RUN, even after a signal; some nested software KVMs do this."""


class BadWire(InfrastructureError):
    """Bytes from a guest that are not a well-formed record."""


class HostUnreachable(InfrastructureError):
    """A lab machine cannot be reached, has another host key, or refuses the login."""


class WrongHost(InfrastructureError):
    """The machine does not match its row in the target file; no scenario is run on it."""


class WrongKernel(InfrastructureError):
    """The kernel that answers is not the one whose files were given; nothing that it answers counts."""


class NotLeased(InfrastructureError):
    """A target could not be leased: others hold it, or the lab has none that matches."""


class LeaseLost(InfrastructureError):
    """The lease of a target has ended; answers since then are discarded."""


class HarnessError(SyseventError):
    """A scenario or the VMM of this project did something invalid (verdict ERROR)."""


class StepRefused(HarnessError):
    """The kernel refused a set-up step. Allowed only if it lacks the feature."""


E = TypeVar("E", bound=SyseventError)


def copy_of(error: E) -> E:
    """Return a stored exception as a new object without a traceback, to be raised.

    Each time that one object is raised its traceback grows, and keeps every frame that it passed alive.
    """
    fresh = copy.copy(error)
    fresh.__cause__ = error.__cause__
    return fresh


# Errors of a disk, or of a user's part of it, that has no space left.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
# What to do about an error of this machine, by its number.
_ADVICE = {
    errno.EMFILE: "raise the limit of open files: `ulimit -n 1024`",
    errno.ENFILE: "this machine has too many open files: end some programs",
    errno.EAGAIN: "raise the limit of processes: `ulimit -u`",
    errno.ENOMEM: "free some memory, or ask fewer targets at once with --target",
    errno.ENOSPC: "free some space, or name another place with --results, SYSEVENT_CACHE or TMPDIR",
    errno.EDQUOT: "free some space, or name another place with --results, SYSEVENT_CACHE or TMPDIR",
    errno.EROFS: "name a place that can be written to with --results, SYSEVENT_CACHE or TMPDIR",
}


def of_this_machine(what: str, error: OSError | MemoryError) -> InfrastructureError:
    """Return an error of this machine as an exception of this project; what was tried.

    It is DiskFull if that is the cause.
    """
    if isinstance(error, MemoryError):
        return InfrastructureError(f"{what}: not enough memory: {_ADVICE[errno.ENOMEM]}")
    named = f" ({error.filename})" if error.filename else ""
    advice = f": {_ADVICE[error.errno]}" if error.errno in _ADVICE else ""
    kind = DiskFull if error.errno in DISK_FULL else InfrastructureError
    return kind(f"{what}: {error.strerror or error}{named}{advice}")
