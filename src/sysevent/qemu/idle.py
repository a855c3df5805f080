"""Waiting until a guest is idle, as the CPU time of its QEMU shows.

QEMU 7.2 saves neither arm64's hypervisor timers nor riscv64's stimecmp: a pending timer never fires after a restore,
and an idle kernel has none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

# Seconds of one look, and how many in a row must show an idle guest.
_LOOK = 0.05
_LOOKS = 4
# Seconds. A kernel that never rests is saved all the same: its snapshot is tried afterwards.
_LIMIT = 1.0
# Share of the time in which QEMU runs, or would run if a core were free. An idle guest of Debian's needs 0.01.
_BUSY = 0.1


def wait_until_idle(
    pid: int,
    demand: Callable[[int], float] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when the guest of a QEMU has been idle for 0.2 s, and after 1 s in any case.

    pid: QEMU's process id. demand, sleep and clock are replaced by tests; demand(pid) is cpu_demand() by default.
    """
    asked = demand or cpu_demand
    begin = before = clock()
    used, idle = asked(pid), 0
    while idle < _LOOKS and before - begin < _LIMIT:
        sleep(_LOOK)
        now, more = clock(), asked(pid)
        idle = idle + 1 if more - used < _BUSY * (now - before) else 0
        before, used = now, more


def cpu_demand(pid: int) -> float:
    """Seconds in which the threads of a process have run or waited for a core; 0 if the kernel does not say.

    Source: Documentation/scheduler/sched-stats.rst, /proc/PID/schedstat, whose first two numbers are nanoseconds.
    """
    total = 0
    try:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            ran, waited, *_ = path.read_text(encoding="ascii").split()
            total += int(ran) + int(waited)
    except (OSError, ValueError):
        return 0.0
    return total / 1e9
