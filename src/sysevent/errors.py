"""One exception for each meaning; the message says what was tried, what came back, what to do next."""


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
    """A kernel image could not be had."""


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
    """There is no room left: whatever follows would fail for the same reason, and says nothing of any kernel."""


class GuestLost(InfrastructureError):
    """The L1 guest panicked, rebooted, fell silent, or its QEMU ended; or a machine went away in the middle."""


class NoKvm(InfrastructureError):
    """There is no usable /dev/kvm where the VMM runs."""


class VcpuStuck(InfrastructureError):
    """A vCPU inside KVM_RUN that not even a signal brings back, as some nested software KVMs have it."""


class BadWire(InfrastructureError):
    """Bytes from a guest that are not a well-formed record."""


class HostUnreachable(InfrastructureError):
    """A lab machine cannot be reached, is not who it should be, or does not let us in."""


class WrongHost(InfrastructureError):
    """A machine is there, and is not the one that its target file describes: it is not asked."""


class NotLeased(InfrastructureError):
    """A target could not be had for this run alone: others have it, or the lab has none like it."""


class LeaseLost(InfrastructureError):
    """A target that was ours alone is so no more; what it answered since then counts for nothing."""


class HarnessError(SyseventError):
    """Our own scenario or VMM did something it must not do (verdict ERROR)."""


class StepRefused(HarnessError):
    """The kernel refused a step that sets a scenario up; what it has must not refuse it, and what it lacks may."""
