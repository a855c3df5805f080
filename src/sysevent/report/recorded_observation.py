"""The recorded form of the parts of an observation: exits, answers, and the kernel's log. `observation` records."""

from __future__ import annotations

from typing import Annotated

import msgspec

from sysevent import model

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Natural = Annotated[int, msgspec.Meta(ge=0)]
Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
Hex = Annotated[str, msgspec.Meta(pattern="^(?:[0-9a-f][0-9a-f])*$")]
# The first 320 bytes of struct kvm_run: all that is compared, and what abi/kvm_run.py has offsets for.
Head = Annotated[str, msgspec.Meta(pattern="^(?:[0-9a-f][0-9a-f])*$", min_length=640, max_length=640)]


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """What one KVM_RUN left behind."""

    ret: int
    """Return value of the ioctl: 0, or -1 with `errno`."""
    errno: int
    """Error number. 0 if it succeeded."""
    kicked: bool
    """True if the watchdog ended it with a signal."""
    microseconds: Natural
    """Time that KVM_RUN took, in microseconds."""
    poison: Byte | None
    """The byte that filled all outputs before KVM_RUN. null: they held what the exit before had left."""
    head: Head
    """The first 320 bytes of struct kvm_run."""
    tail_changed: Natural
    """Number of bytes behind them, in the same page, that lost their poison."""
    tail_first: Natural
    """Offset in kvm_run of the first of these bytes. 0 if there is none."""
    registers: tuple[int, ...]
    """Registers of the vCPU, in the order of `abi/registers.py`. Empty for a vCPU that only a signal was to end, and if
    they could not be read.
    """
    tail: Hex = ""
    """The bytes behind `head` from the first to the last that lost their poison."""
    cpu_microseconds: Natural | None = None
    """CPU time that KVM_RUN used, in microseconds. null if it was not measured."""

    @classmethod
    def of(cls, raw: model.RawExit) -> Exit:
        """Return the recorded form of an exit."""
        return cls(**{**msgspec.structs.asdict(raw), "head": raw.head.hex(), "tail": raw.tail.hex()})

    def raw_exit(self) -> model.RawExit:
        """Return the exit that was recorded."""
        raw = {name: bytes.fromhex(getattr(self, name)) for name in ("head", "tail")}
        return model.RawExit(**{**msgspec.structs.asdict(self), **raw})


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a step that is not a KVM_RUN returned."""

    ret: int
    """Return value: not negative, or -1 with `errno`."""
    errno: int
    """Error number. 0 if it succeeded."""
    data: Hex
    """The buffer of the ioctl, or guest memory."""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel of the target logged: its warnings, and everything between `cut here` and `end trace`."""

    before: tuple[str, ...] = ()
    """Lines from before the scenario, since the one before it."""
    lines: tuple[str, ...] = ()
    """Lines from the time while the scenario ran. Other programs on the target may have caused them."""
    lost: bool = False
    """True if the kernel overwrote some before they were read."""
    cut: bool = False
    """True if some are missing, because there were too many."""
    taint: tuple[Natural, Natural] | None = None
    """`/proc/sys/kernel/tainted` before and after the scenario. null if it could not be read."""
    log_errno: int = 0
    """Error number of reading `/dev/kmsg`. 0 if it could be read."""

    @classmethod
    def of(cls, log: model.KernelLog) -> Log:
        """Return the recorded form of a log."""
        return cls(**msgspec.structs.asdict(log))

    def kernel_log(self) -> model.KernelLog:
        """Return the log that was recorded."""
        return model.KernelLog(**msgspec.structs.asdict(self))
