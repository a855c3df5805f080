"""The bundle of files and options that an L1 guest boots from, and the key of its snapshots."""

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
from sysevent.qemu import clock, firmware
from sysevent.qemu.accel import Accel, choose
from sysevent.qemu.argv import GuestConfig, argv
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

# Part of every snapshot's key. Increment it when ready guests change in a way that no other part of the key shows.
SCHEMA = 2


class Bundle(msgspec.Struct, frozen=True):
    """Everything that one guest boots from, on this machine's disk."""

    spec: TargetSpec
    kernel: KernelImage
    config: GuestConfig
    # Of the snapshots of guests booted from this bundle: see snapshot_key().
    key: str
    # Why the guest runs under TCG although KVM was preferred; "" otherwise.
    fallback: str = ""
    # Seconds that QEMU may run after this process has ended; 0: it ends with this process.
    keep: int = 0


def prepare(
    spec: TargetSpec,
    kernel: KernelImage,
    files: Mapping[str, bytes],
    settings: Settings,
    progress: Progress,
    kvm_obstacle: str = "",
) -> Bundle:
    """The bundle of a target, after building what is missing of it in the cache.

    files: content of the initramfs, path -> bytes. kvm_obstacle: the reason to use TCG, when it is known already.
    Only writes files, so it may run in a thread while another guest is asked.
    Raises NoKvm for a target with `where = "kvm"` on a machine without usable KVM.
    """
    arch = ARCHITECTURES[spec.arch]
    accel = Accel("tcg", kvm_obstacle) if kvm_obstacle else choose(spec.where, arch, spec.cpu)
    cpu = spec.cpu
    if accel.fallback:
        progress(f"{spec.id}: TCG, not KVM: {accel.fallback}")
        # QEMU rejects -cpu host without KVM.
        cpu = "" if cpu.partition(",")[0] == "host" else cpu
    modules = (*CHANNEL_MODULES, *arch.kvm_modules)
    config = GuestConfig(
        arch=arch,
        accel=accel.name,
        cpu=cpu,
        memory=spec.memory,
        kernel=vmlinux.kernel_file(kernel, settings, progress),
        initramfs=initramfs.build(kernel, arch, files, modules, settings, progress),
        # The words of the target come last, so that they win.
        append=f"{clock.kernel_words(arch, accel.name)} {spec.append}".strip(),
        firmware=firmware.fast_firmware(arch, accel.name),
        virtio=spec.channel == "virtio",
        debug=settings.debug,
        keep=bool(settings.keep),
    )
    return Bundle(spec, kernel, config, snapshot_key(config, settings.cache), accel.fallback, settings.keep)


def snapshot_key(config: GuestConfig, cache: Path) -> str:
    """A hash of everything that shapes a ready guest: QEMU, its command line, kernel and initramfs. 64 hex digits.

    File names in the cache contain the hash of the content, and the VMM is part of the initramfs. Other files, QEMU
    among them, are identified by path, size and modification time, as in make: hashing 40 MB at every start would cost
    more than it protects from.
    """
    parts = [str(SCHEMA), *argv(config)]
    for path in (shutil.which(config.arch.qemu), config.kernel, config.firmware):
        if path is None or Path(path).is_relative_to(cache):
            continue
        real = Path(path).resolve()
        stat = real.stat()
        parts += [str(real), str(stat.st_size), str(stat.st_mtime_ns)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
