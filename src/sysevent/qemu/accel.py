"""Under what a guest of this machine's QEMU runs: TCG anywhere, KVM where it can be nested.

Whether KVM works is found out by trying. What stands in /sys only explains a refusal, or saves the wait for one.
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
from sysevent.qemu.argv import machine_of

_TRIAL = 20  # seconds for a QEMU to start its machine and take the word to quit; it takes 0.1
_GONE = 5  # seconds to be gone after SIGKILL
_QUIT = '{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n'
_NESTED = ("/sys/module/kvm_intel/parameters/nested", "/sys/module/kvm_amd/parameters/nested")


class Accel(msgspec.Struct, frozen=True):
    """What a guest runs under."""

    name: str  # QEMU's -accel
    fallback: str = ""  # why it is not what was preferred


def choose(where: str, arch: Architecture, cpu: str = "") -> Accel:
    """What `where` of a target means on this machine; NoKvm when it insists on a KVM that is not to be had."""
    if where == "tcg":
        return Accel("tcg")
    why = refused(arch, cpu)
    if not why:
        return Accel("kvm")
    if where == "kvm":
        raise NoKvm(f'where = "kvm": {why}; where = "auto" takes TCG then')
    return Accel("tcg", why)


@functools.cache
def refused(arch: Architecture, cpu: str = "") -> str:
    """Why no guest of an architecture can run, and have a KVM itself, under this machine's; "" when it may.

    A QEMU that starts is no proof: see hosts/qemu/nested.py.
    """
    here = platform.machine()
    if here != arch.machine:
        return f"KVM runs guests of this machine's architecture only, which is {here}, not {arch.machine}"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not there, or not for this user (group kvm)"
    if arch.not_nested:
        return arch.not_nested
    settings = [path.read_text(encoding="ascii").strip() for path in map(Path, _NESTED) if path.exists()]
    if settings and not any(value in ("Y", "1") for value in settings):
        return "nested virtualization is off: load kvm_intel or kvm_amd with nested=1"
    try:
        return _trial(arch, cpu)
    except (ToolMissing, GuestLost, OSError) as error:
        return str(error)


def _trial(arch: Architecture, cpu: str) -> str:
    """What QEMU says when it gives up on a machine without a kernel; "" when it comes as far as to be told to quit."""
    qemu = shutil.which(arch.qemu)
    if qemu is None:
        return f"{arch.qemu} is not installed"
    machine = machine_of(arch, "kvm", cpu)
    command = [qemu, "-nodefaults", "-no-user-config", "-display", "none", *machine, "-m", "64", "-S"]
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
        said = process.communicate(_QUIT, _TRIAL)[1]
    except subprocess.TimeoutExpired:
        return f"{arch.qemu} -accel kvm does not start within {_TRIAL} s{_killed(process)}"
    if process.returncode == 0:
        return ""
    told = said.strip().splitlines()
    how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
    return f"{arch.qemu} -accel kvm gives up with {how}{': ' + told[-1][:200] if told else ''}"


def _killed(process: subprocess.Popen[str]) -> str:
    """End it; what to say when not even SIGKILL does, as inside a KVM that keeps it."""
    process.kill()
    try:
        process.communicate(timeout=_GONE)
    except subprocess.TimeoutExpired:
        return f", and pid {process.pid} does not die of SIGKILL"
    return ""
