"""Whether this machine's QEMU can use this machine's KVM: found out by doing it, under a deadline.

cpuinfo and module parameters explain a refusal, and prove nothing: there are KVMs that make a VM and have QEMU
abort on the first MSR. What came of a trial is remembered until the machine is rebooted, QEMU is replaced, or
nesting is switched; a failure for an hour, since it may have been a matter of load.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shlex
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from sysevent import wire
from sysevent.arches import ARCHITECTURES
from sysevent.errors import NoKvm, SyseventError
from sysevent.hosts.boot import Boot
from sysevent.hosts.qemu import QemuGuest
from sysevent.images.cache import Cache
from sysevent.model import Progress
from sysevent.qemu.argv import model
from sysevent.qemu.process import leashed
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec, own_arch

KVM = Path("/dev/kvm")
_START = 20  # seconds for a QEMU to start and quit; it takes 0.1
_GONE = 5  # seconds to be gone after SIGKILL
_BOOT = 30  # seconds for a guest with KVM to answer; a sound one takes two
_ANSWER = 10  # seconds for a VM to be made in the guest
_STALE = 3600  # seconds until a failure is tried again
_NESTED = (Path("/sys/module/kvm_intel/parameters/nested"), Path("/sys/module/kvm_amd/parameters/nested"))
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_QUIT = b'{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n'


class _Tried(msgspec.Struct, frozen=True):
    """What came of a trial."""

    why_not: str  # "": it works
    at: float


def why_not(spec: TargetSpec, settings: Settings, *, anew: bool = False) -> str:
    """Why this machine's QEMU cannot run a target with KVM; "" when one started that had it."""
    arch = ARCHITECTURES[spec.arch]
    if spec.arch != own_arch():
        return f"this machine is {os.uname().machine}, and its KVM runs no {arch.name} guests"
    if not KVM.exists():
        return f"there is no {KVM} here"
    if not os.access(KVM, os.R_OK | os.W_OK):
        return f"this user may not open {KVM} (`ls -l {KVM}` shows who may)"
    qemu = shutil.which(arch.qemu)
    if qemu is None:
        return f"{arch.qemu} is not installed"
    machine, cpu = model(arch.name, "kvm")
    words = ["-machine", machine, "-accel", "kvm", "-cpu", spec.cpu or cpu]
    stat = Path(qemu).resolve().stat()
    parts = ["start", qemu, str(stat.st_size), str(stat.st_mtime_ns), *words]
    return _remembered(settings, parts, lambda: _starts(qemu, words), anew=anew)


def why_not_nested(boot: Boot, settings: Settings, progress: Progress) -> str:
    """Why a guest with KVM cannot make a VM of its own; "" when it did. Boots it, and ends it."""
    return _remembered(settings, ["nested", boot.key], lambda: _nests(boot, progress))


def _starts(qemu: str, words: list[str]) -> str:
    """Why a QEMU with an empty machine does not come as far as to be told to quit."""
    command = [qemu, "-nodefaults", "-no-user-config", "-display", "none", *words, "-m", "64", "-S"]
    shown = shlex.join([Path(qemu).name, *words[2:]])
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            leashed([*command, "-qmp", "stdio"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        try:
            process.communicate(_QUIT, _START)
        except subprocess.TimeoutExpired:
            return f"`{shown}` did not start within {_START} s{_killed(process)}"
        said.seek(0)
        lines = [
            line.strip() for line in said.read(4096).decode(errors="replace").splitlines() if line.strip()
        ]
    if process.returncode == 0:
        return ""
    how = f"with exit code {process.returncode}"
    if process.returncode < 0:
        with contextlib.suppress(ValueError):
            how = f"by {signal.Signals(-process.returncode).name}"
    return f"`{shown}` ended at once {how}{f': {lines[0]}' if lines else ''}"


def _killed(process: subprocess.Popen[bytes]) -> str:
    """Kill it; what to say when not even that ends it."""
    process.kill()
    try:
        process.wait(_GONE)
    except subprocess.TimeoutExpired:
        return f", and pid {process.pid} does not die of SIGKILL"
    return ""


def _nests(boot: Boot, progress: Progress) -> str:
    progress(f"{boot.spec.id}: trying whether a guest with KVM has a KVM of its own")
    with tempfile.TemporaryDirectory(prefix="sysevent-kvm-") as logs:
        spec = msgspec.structs.replace(boot.spec, boot=min(boot.spec.boot, _BOOT))
        guest = QemuGuest(dataclasses.replace(boot, spec=spec), Path(logs), lambda _: None)
        try:
            guest.start()
            guest.hello()
            steps = [
                wire.pack_step(wire.Op.VM, struct.pack("<Q", 0), required=True),
            ]
            request = wire.pack_request(_ANSWER * 1000, steps)
            reply = guest.reply(guest.send(request, boot.machine.arch.abis[0].number), 2 * _ANSWER)
        except SyseventError as error:
            return f"a guest with KVM was lost: {str(error).splitlines()[0]}"
        finally:
            guest.close()
    if reply.state is wire.State.DONE:
        return ""
    return f"a guest with KVM has no KVM of its own: nested virtualization is off here{_explained()}"


def _explained() -> str:
    """What the modules say of nesting, where they say anything."""
    found = [f"{path} is {path.read_text().strip()}" for path in _NESTED if path.exists()]
    return f" ({', '.join(found)})" if found else ""


def _remembered(settings: Settings, parts: list[str], trial: Callable[[], str], *, anew: bool = False) -> str:
    """What a trial gave on this machine since it was started, or gives now."""
    boot_id = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    key = hashlib.sha256("\0".join([*parts, boot_id, _explained()]).encode()).hexdigest()
    cache = Cache(settings.cache)
    path = settings.cache / "accel" / f"{key}.json"
    known = None if anew else cache.read(path, _Tried)
    if known is not None and (not known.why_not or 0 <= time.time() - known.at < _STALE):
        return known.why_not
    found = trial()
    cache.record(path, _Tried(found, time.time()))
    return found


def chosen(spec: TargetSpec, settings: Settings, progress: Progress) -> tuple[TargetSpec, str]:
    """A booted target with `where` = what its QEMU runs with, and why that is not KVM where it might have been.

    NoKvm when KVM was asked for and cannot be had: nobody who did wants to hear about another machine.
    """
    if spec.where not in ("kvm", "auto"):
        return spec, ""
    lacks = why_not(spec, settings)
    if not lacks:
        return msgspec.structs.replace(spec, where="kvm"), ""
    if spec.where == "kvm":
        raise NoKvm(f'{spec.id}: where = "kvm", and {lacks}; where = "auto" takes TCG instead')
    return without(spec, lacks, progress), lacks


def without(spec: TargetSpec, why: str, progress: Progress) -> TargetSpec:
    """The same target without KVM, and the reason told."""
    progress(f"{spec.id}: TCG, not KVM: {why}")
    # -cpu host means nothing without KVM.
    cpu = "" if spec.cpu.partition(",")[0] == "host" else spec.cpu
    return msgspec.structs.replace(spec, where="tcg", cpu=cpu)
