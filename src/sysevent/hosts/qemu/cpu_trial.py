"""Whether a part of QEMU's CPU works: a small program is booted instead of a kernel, and its exit code says so.

Versions do not tell: distributions fix defects without another one. The kernel to be tested is not asked either, since
a broken one would then look like a broken QEMU. The result is kept in the cache as long as QEMU is the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import msgspec

from sysevent.arches import Architecture
from sysevent.build import programs
from sysevent.cache import Cache
from sysevent.digests import digest_once
from sysevent.errors import SyseventError
from sysevent.model import Progress
from sysevent.process import die_with_parent, executable_in_memory
from sysevent.qemu import cpu as cpu_model
from sysevent.qemu import firmware
from sysevent.qemu.argv import machine_options
from sysevent.qemu.files import installed_files
from sysevent.settings import Settings

# Seconds for the program; 0.1 is usual, and machines where it takes longer need the result as much.
_PATIENCE = 120
# MiB of its memory.
_MEMORY = 32
# The device by which it ends QEMU. The exit code is twice the number that it writes, plus one.
_EXIT = "isa-debug-exit,iobase=0xf4,iosize=4"
# Its results, by exit code: whether that part of the CPU works.
_RESULTS = {33: True, 35: False}


class _Trial(msgspec.Struct, frozen=True):
    """The result of a trial, a file in the cache."""

    works: bool


def model(arch: Architecture, accel: str, wanted: str, settings: Settings, progress: Progress) -> str:
    """Return the words of -cpu, as qemu/cpu.py does, without the part that does not work in this QEMU.

    If there is one, progress is given a line.
    """
    words, trial = cpu_model.model(arch, accel, wanted), arch.qemu_trial
    if wanted or accel != "tcg" or trial is None or works(arch, settings):
        return words
    progress(f"{arch.qemu}: {trial.text}: the guest runs without them ({trial.word})")
    return f"{words or arch.qemu_cpu},{trial.word}"


def works(arch: Architecture, settings: Settings) -> bool:
    """Return whether the part of the CPU that the trial of an architecture is about works, or whether it is unknown.

    True as well if there is no trial, or no QEMU.
    """
    qemu = shutil.which(arch.qemu)
    if arch.qemu_trial is None or qemu is None:
        return True
    cache = Cache(settings.cache)
    try:
        program = programs.cpu_trial(arch, settings)
        command = _command(arch, qemu)
        parts = [*command, program.build_id]
        parts += [f"{path} {digest_once(path)}" for path in installed_files(arch)]
    except SyseventError:
        # Whatever else needs a compiler or QEMU says so.
        return True
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    path = cache.root / "nested" / f"cpu-{name}.json"
    known = cache.read(path, _Trial)
    if known is not None:
        return known.works
    result = _RESULTS.get(_exit_code(command, program.content))
    if result is None:
        return True
    cache.record(path, _Trial(result))
    return result


def _command(arch: Architecture, qemu: str) -> list[str]:
    quick = firmware.fast_firmware(arch, "tcg")
    return [
        *(qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *machine_options(arch, "tcg", cpu_model.model(arch, "tcg")),
        *("-m", str(_MEMORY), "-device", _EXIT),
        *(("-bios", str(quick)) if quick else ()),
    ]


def _exit_code(command: list[str], program: bytes) -> int:
    """Return the exit code of a QEMU that boots a program; -1 if it did not start or end."""
    file = -1
    try:
        # The cache may have no copy.
        file = executable_in_memory(program)
        return subprocess.run(
            die_with_parent([*command, "-kernel", f"/proc/self/fd/{file}"]),
            pass_fds=(file,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        ).returncode
    except (OSError, SyseventError, subprocess.TimeoutExpired):
        return -1
    finally:
        if file >= 0:
            os.close(file)
