"""The choice of QEMU's accelerator: TCG on any machine, KVM where it can be nested.

A trial start of QEMU decides whether KVM works. Parameters in /sys only explain a failure, or make the trial
unnecessary.
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.errors import GuestLost, NoKvm, ToolMissing
from sysevent.process import die_with_parent
from sysevent.qemu.argv import machine_options

# Seconds for QEMU to start and carry out "quit"; 0.1 is usual.
_TRIAL = 20
# Seconds to end after SIGKILL.
_KILL = 5
_QUIT = '{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n'
_NESTED = ("/sys/module/kvm_intel/parameters/nested", "/sys/module/kvm_amd/parameters/nested")


class Accel(msgspec.Struct, frozen=True):
    """The accelerator of a guest."""

    # QEMU's -accel: "tcg" or "kvm".
    name: str
    # Why it is TCG although KVM was preferred; "" otherwise.
    fallback: str = ""


def choose(where: str, arch: Architecture, cpu: str = "") -> Accel:
    """The accelerator for a target's `where`: "tcg", "kvm", or "auto" for KVM with TCG as fallback.

    Raises NoKvm for "kvm" when KVM cannot be used.
    """
    if where == "tcg":
        return Accel("tcg")
    obstacle = kvm_obstacle(arch, cpu)
    if not obstacle:
        return Accel("kvm")
    if where == "kvm":
        raise NoKvm(f'where = "kvm": {obstacle}; where = "auto" falls back to TCG')
    return Accel("tcg", obstacle)


@functools.cache
def kvm_obstacle(arch: Architecture, cpu: str = "") -> str:
    """Why a guest of an architecture cannot run under this machine's KVM and have /dev/kvm itself; "" when it may.

    "" is not a proof: a QEMU that starts may have a guest that hangs, see hosts/qemu/nested.py.
    """
    here = platform.machine()
    if here != arch.uname_machine:
        return (
            f"KVM runs only guests of this machine's architecture, which is {here}, not {arch.uname_machine}"
        )
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm does not exist, or this user may not open it (group kvm)"
    if arch.not_nested:
        return arch.not_nested
    settings = [path.read_text(encoding="ascii").strip() for path in map(Path, _NESTED) if path.exists()]
    if settings and not any(value in ("Y", "1") for value in settings):
        return "nested virtualization is off: load kvm_intel or kvm_amd with nested=1"
    try:
        return _trial_obstacle(arch, cpu)
    except (ToolMissing, GuestLost, OSError) as error:
        return str(error)


def _trial_obstacle(arch: Architecture, cpu: str) -> str:
    """Why QEMU fails to start under KVM, without a kernel; "" when it started and carried out "quit"."""
    qemu = shutil.which(arch.qemu)
    if qemu is None:
        return f"{arch.qemu} is not installed"
    options = machine_options(arch, "kvm", cpu)
    command = [qemu, "-nodefaults", "-no-user-config", "-display", "none", *options, "-m", "64", "-S"]
    process = subprocess.Popen(
        die_with_parent([*command, "-qmp", "stdio"]),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    try:
        errors = process.communicate(_QUIT, _TRIAL)[1]
    except subprocess.TimeoutExpired:
        return f"{arch.qemu} -accel kvm did not start within {_TRIAL} s{_kill(process)}"
    if process.returncode == 0:
        return ""
    lines = errors.strip().splitlines()
    how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
    return f"{arch.qemu} -accel kvm failed with {how}{': ' + lines[-1][:200] if lines else ''}"


def _kill(process: subprocess.Popen[str]) -> str:
    """End a process with SIGKILL. "", or text for the message when it stays, as inside a KVM that hangs."""
    process.kill()
    try:
        process.communicate(timeout=_KILL)
    except subprocess.TimeoutExpired:
        return f", and pid {process.pid} has not ended {_KILL} s after SIGKILL"
    return ""
