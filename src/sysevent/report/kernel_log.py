"""The recorded form of what a kernel logged around one scenario: a part of `observation` records."""

from __future__ import annotations

from typing import Annotated

import msgspec

from sysevent import model

Natural = Annotated[int, msgspec.Meta(ge=0)]


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
