"""The rate of the time stamp counter of a guest under TCG, which its kernel cannot always find out.

A guest's RDTSC reads the counter of this machine, unscaled (QEMU, cpu_get_host_ticks in include/qemu/timer.h): the
time stamp counter if this is an x86 machine, and nanoseconds on arm64. With a wrong rate the guest's clock and
its watchdogs have a wrong speed: 2.3 times too fast if the counter of a 2.3 GHz machine is taken for one of 1 GHz.
With -icount it counts nanoseconds everywhere.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import time
from collections.abc import Callable

from sysevent.arches import ARCHITECTURES, Architecture

_NANOSECONDS_KHZ = 1_000_000
# A guest's clock may be wrong by half of this: at most 2.5 %. Rounding keeps the words the same, which are part of
# the key of snapshots.
_ROUND_KHZ = 50_000
# Seconds between two readings of the counter.
_INTERVAL = 0.005
# Readings from which the one that took least time is used: this process can be suspended in between.
_READINGS = 5
# rdtsc; shl $32, %rdx; or %rdx, %rax; ret
_RDTSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")


def kernel_words(
    arch: Architecture, accel: str, khz: Callable[[], int] | None = None, *, counted: bool = False
) -> str:
    """The words for the command line of an L1 kernel that tell it the rate of its counter; "" if it needs none.

    khz: returns the rate in kHz, 0 if it is not known; None: that of this machine. counted: see GuestConfig.
    """
    if accel != "tcg" or not arch.counter_word:
        return ""
    rate = _NANOSECONDS_KHZ if counted else (khz or counter_khz)()
    return f"{arch.counter_word}={rate}" if rate else ""


@functools.cache
def counter_khz() -> int:
    """The rate of the counter that QEMU gives to guests on this machine, in kHz and rounded; 0 if it is not known."""
    machine = os.uname().machine
    here = {arch.host_counter for arch in ARCHITECTURES.values() if arch.uname_machine == machine}
    if here == {"nanoseconds"}:
        return _NANOSECONDS_KHZ
    if here != {"tsc"}:
        return 0
    try:
        return rounded(_measured_khz())
    except OSError:
        # This process may not map memory that it can execute.
        return 0


def rounded(khz: float) -> int:
    """The nearest multiple of 50 MHz, in kHz."""
    return round(khz / _ROUND_KHZ) * _ROUND_KHZ


def _measured_khz() -> float:
    """The rate of this machine's time stamp counter, measured against its clock. OSError if it cannot be read."""
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(_RDTSC)
        here = ctypes.c_char.from_buffer(page)
        rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(here))
        try:
            began, first = _reading(rdtsc)
            time.sleep(_INTERVAL)
            ended, last = _reading(rdtsc)
        finally:
            # The page cannot be closed before.
            del rdtsc, here
    return (last - first) * 1_000_000 / (ended - began)


def _reading(rdtsc: Callable[[], int]) -> tuple[float, int]:
    """The time in nanoseconds, and the counter at that time."""
    found = []
    for _ in range(_READINGS):
        before = time.monotonic_ns()
        ticks = rdtsc()
        after = time.monotonic_ns()
        found.append((after - before, (before + after) / 2, ticks))
    return min(found)[1:]
