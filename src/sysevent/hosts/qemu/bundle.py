"""All that a guest is made of, ready on this machine's disk, and the name of what it will be when it runs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES, CHANNEL_MODULES
from sysevent.images.kernel import vmlinux
from sysevent.images.rootfs import initramfs
from sysevent.model import KernelImage, Progress
from sysevent.qemu import firmware
from sysevent.qemu.accel import Accel, choose
from sysevent.qemu.argv import Machine, argv
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

# Part of every snapshot's key: raise it when a guest that is ready differs in a way that nothing else tells.
SCHEMA = 2


class Boot(msgspec.Struct, frozen=True):
    """What one guest boots from."""

    spec: TargetSpec
    kernel: KernelImage
    machine: Machine  # without the file descriptors of a running one
    key: str  # of a guest booted from exactly this; see key()
    fallback: str = ""  # why it runs under TCG when KVM was preferred
    keep: int = 0  # seconds that its QEMU may live on without us


def prepare(
    spec: TargetSpec,
    kernel: KernelImage,
    files: Mapping[str, bytes],
    settings: Settings,
    progress: Progress,
    not_kvm: str = "",
) -> Boot:
    """Build what is missing, with these programs in the guest's first file system; why it must be TCG, if known.

    Touches nothing but the disk, so that it can run in a thread while another guest is being asked.
    """
    arch = ARCHITECTURES[spec.arch]
    accel = Accel("tcg", not_kvm) if not_kvm else choose(spec.where, arch, spec.cpu)
    cpu = spec.cpu
    if accel.fallback:
        progress(f"{spec.id}: TCG, not KVM: {accel.fallback}")
        # The host's own CPU means nothing without KVM, and QEMU refuses it.
        cpu = "" if cpu.partition(",")[0] == "host" else cpu
    modules = (*CHANNEL_MODULES, *arch.kvm_modules)
    machine = Machine(
        arch=arch,
        accel=accel.name,
        cpu=cpu,
        memory=spec.memory,
        kernel=vmlinux.uncompressed(kernel, settings, progress),
        initramfs=initramfs.build(kernel, arch, files, modules, settings, progress),
        append=spec.append,
        firmware=firmware.quick(arch, accel.name),
        virtio=spec.channel == "virtio",
        debug=settings.debug,
        keep=bool(settings.keep),
    )
    return Boot(spec, kernel, machine, key(machine, settings.cache), accel.fallback, settings.keep)


def key(machine: Machine, cache: Path) -> str:
    """A hash of everything that shapes a guest that is ready: QEMU, its command line, kernel and initramfs.

    What is in the cache bears the hash of its content in its name, and the VMM is part of the initramfs. Other
    files, QEMU among them, are told by place, size and time, as make does it: hashing 40 MB at every start
    would cost more than it protects from.
    """
    parts = [str(SCHEMA), *argv(machine)]
    for path in (shutil.which(machine.arch.qemu), machine.kernel, machine.firmware):
        if path is None or Path(path).is_relative_to(cache):
            continue
        real = Path(path).resolve()
        stat = real.stat()
        parts += [str(real), str(stat.st_size), str(stat.st_mtime_ns)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
