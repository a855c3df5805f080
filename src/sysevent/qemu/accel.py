"""Under what a guest of this machine's QEMU runs: TCG anywhere, KVM where it can be nested.

Whether KVM works is found out by trying. What stands in /sys only explains a refusal, or saves the wait for one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import select
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sysevent.arches import Architecture
from sysevent.errors import GuestLost, NoKvm, ToolMissing
from sysevent.qemu.argv import machine_of
from sysevent.qemu.process import leashed

_TRIAL = 2  # seconds for the firmware's first word, which takes 0.1, as a refusal does
_WORD = b"SeaBIOS"
_END = 5  # seconds to be gone after SIGKILL
_NESTED = ("/sys/module/kvm_intel/parameters/nested", "/sys/module/kvm_amd/parameters/nested")


@dataclass(frozen=True, slots=True)
class Accel:
    """What a guest runs under."""

    name: str  # QEMU's -accel
    fallback: str = ""  # why it is not what was preferred


def choose(where: str, arch: Architecture) -> Accel:
    """What `where` of a target means on this machine; NoKvm when it insists on a KVM that is not to be had."""
    if where == "tcg":
        return Accel("tcg")
    why = refused(arch)
    if not why:
        return Accel("kvm")
    if where == "kvm":
        raise NoKvm(f'where = "kvm": {why}; where = "auto" takes TCG then')
    return Accel("tcg", why)


@functools.cache
def refused(arch: Architecture) -> str:
    """Why no guest of an architecture can run, and have a KVM itself, under this machine's; "" when it can."""
    here = platform.machine()
    if here != arch.machine:
        return f"KVM runs guests of this machine's architecture only, which is {here}, not {arch.machine}"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not there, or not for this user (group kvm)"
    if arch.name == "riscv64":
        return "RISC-V's KVM gives its guests no hypervisor extension"
    settings = [path.read_text(encoding="ascii").strip() for path in map(Path, _NESTED) if path.exists()]
    if settings and not any(value in ("Y", "1") for value in settings):
        return "nested virtualization is off: load kvm_intel or kvm_amd with nested=1"
    try:
        return _trial(arch)
    except (ToolMissing, GuestLost, OSError) as error:
        return str(error)


def _trial(arch: Architecture) -> str:
    """What stands against a machine without a kernel; "" when its firmware ran.

    Only x86's firmware says a word (SeaBIOS, on port 0x402); arm64's machine has none, and a QEMU that goes on is
    all there is to see. Whether a guest boots is seen when one does: hosts/booter.py.
    """
    qemu = shutil.which(arch.qemu)
    if qemu is None:
        return f"{arch.qemu} is not installed"
    said = ("-chardev", "stdio,id=said", "-device", "isa-debugcon,iobase=0x402,chardev=said")
    command = [
        *(qemu, "-nodefaults", "-no-user-config", "-display", "none", "-m", "64"),
        *machine_of(arch, "kvm"),
        *(said if arch.name == "x86_64" else ()),
    ]
    process = subprocess.Popen(
        leashed(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        told = _listen(process.stdout, _WORD if arch.name == "x86_64" else None)
    finally:
        process.kill()
        process.stdout.close()
        # Not even SIGKILL ends a KVM_RUN that some nested hypervisors hang in; nobody waits for that.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END)
    if told is None:
        return ""
    last = told.decode(errors="replace").strip().splitlines()[-1:]
    shown = f": {last[0][:200]}" if last else ""
    return f"{arch.qemu} -accel kvm gives up, or says nothing for {_TRIAL} s{shown}"


def _listen(source: IO[bytes], word: bytes | None) -> bytes | None:
    """None when the word came, or when without one the source is still open at the end; else all that came."""
    told, end = b"", time.monotonic() + _TRIAL
    while (left := end - time.monotonic()) > 0:
        if not select.select([source], [], [], left)[0]:
            break
        piece = os.read(source.fileno(), 65536)
        told += piece
        if word is not None and word in told:
            return None
        if not piece:
            return told
    return told if word is not None else None
