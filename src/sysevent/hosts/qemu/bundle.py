"""The bundle of files and options that an L1 guest boots from, and the key of its snapshots."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES, CHANNEL_MODULES
from sysevent.build import proof
from sysevent.cache import Cache
from sysevent.decode import build_id
from sysevent.digests import digest_once
from sysevent.errors import ImageError
from sysevent.hosts.qemu import cpu_trial
from sysevent.images.kernel import vmlinux
from sysevent.images.kernel.held import HeldFile
from sysevent.images.kernel.modules import Module
from sysevent.images.rootfs import initramfs
from sysevent.model import ExpectedKernel, KernelImage, Progress
from sysevent.qemu import clock, firmware
from sysevent.qemu.accel import Accel, choose
from sysevent.qemu.argv import GuestConfig, argv
from sysevent.qemu.confinement import confinement
from sysevent.qemu.files import installed_files
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

# Part of every snapshot's key. Increment it when ready guests change in a way that no other part of the key shows.
SCHEMA = 3


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
    # What QEMU boots; None: config.kernel, as it is then.
    content: HeldFile | None = None
    # What must answer.
    expected: ExpectedKernel = ExpectedKernel()


def prepare(
    spec: TargetSpec,
    kernel: KernelImage,
    files: Mapping[str, bytes],
    settings: Settings,
    progress: Progress,
    kvm_obstacle: str = "",
    archives: Sequence[Path] = (),
) -> Bundle:
    """The bundle of a target, after building what is missing of it in the cache.

    files: content of the initramfs, path -> bytes. kvm_obstacle: the reason to use TCG, when it is known already.
    archives: more of its content, such as a kit's (images/rootfs/kits).
    Only writes files, and starts QEMU once to see how slow it is, so it may run in a thread while another guest is
    asked. Raises NoKvm for a target with `where = "kvm"` on a machine without usable KVM, and what confinement() does.
    """
    arch = ARCHITECTURES[spec.arch]
    accel = Accel("tcg", kvm_obstacle) if kvm_obstacle else choose(spec.where, arch, spec.cpu)
    cpu = spec.cpu
    if accel.fallback:
        progress(f"{spec.id}: TCG, not KVM: {accel.fallback}")
        # QEMU rejects -cpu host without KVM.
        cpu = "" if cpu.partition(",")[0] == "host" else cpu
    boot = vmlinux.boot_kernel(kernel, settings, progress)
    modules = initramfs.kernel_modules(
        kernel, arch, (*CHANNEL_MODULES, *arch.kvm_modules), settings, progress
    )
    pace = confinement(arch.qemu, kvm=False).pace if accel.name == "tcg" else ""
    if pace:
        progress(f"{spec.id}: {pace}")
    config = GuestConfig(
        arch=arch,
        accel=accel.name,
        cpu=cpu_trial.model(arch, accel.name, cpu, settings, lambda text: progress(f"{spec.id}: {text}")),
        memory=spec.memory,
        kernel=boot.path,
        initramfs=initramfs.pack(files, modules, Cache(settings.cache), archives),
        # The words of the target come last, so that they win.
        append=f"{clock.kernel_words(arch, accel.name, counted=bool(pace))} {spec.append}".strip(),
        machine=spec.machine,
        firmware=firmware.fast_firmware(arch, accel.name),
        virtio=spec.channel == "virtio",
        debug=settings.debug,
        keep=bool(settings.keep),
        counted=bool(pace),
    )
    return Bundle(
        spec,
        kernel,
        config,
        snapshot_key(config, boot.key),
        accel.fallback,
        settings.keep,
        boot.content,
        expected_kernel(kernel, boot, modules),
    )


def expected_kernel(
    kernel: KernelImage, boot: vmlinux.BootKernel, modules: Sequence[Module]
) -> ExpectedKernel:
    """What the kernel that is booted from these files must say of itself.

    ImageError for a tree whose boot image is not that of its vmlinux: the image was packed from an older kernel.
    """
    _check_tree(kernel, boot.build_id)
    content = hashlib.sha256(boot.key.encode())
    for module in modules:
        content.update(hashlib.sha256(module.data).digest())
    return ExpectedKernel(
        image=str(kernel.image),
        build_id=boot.build_id,
        obstacle=boot.obstacle,
        modules={module.name: build_id.of_elf(module.data) for module in modules},
        content=content.hexdigest(),
        release=kernel.release,
    )


def _check_tree(kernel: KernelImage, packed: str) -> None:
    """Raise ImageError if the boot image of a tree has another build ID than its vmlinux; without both, nothing."""
    kind, _, path = kernel.spec.partition(":")
    linked = proof.of_vmlinux(Path(path).expanduser() / "vmlinux") if kind == "tree" and packed else ""
    if linked and linked != packed:
        raise ImageError(
            f"{kernel.spec}: {kernel.image.name} has the build ID {packed}, and vmlinux {linked}: it holds an older "
            "kernel; run make there"
        )


def snapshot_key(config: GuestConfig, kernel: str) -> str:
    """A hash of everything that shapes a ready guest: QEMU, its command line, kernel and initramfs. 64 hex digits.

    All files are identified by their content. kernel: BootKernel.key. The name of an initramfs has the hash
    of its content, and the VMM is part of it. ImageError if a file of QEMU cannot be read.
    """
    parts = [str(SCHEMA), *argv(msgspec.structs.replace(config, kernel=Path(kernel)))]
    firmware_files = () if config.firmware is None else (config.firmware,)
    for path in (*installed_files(config.arch), *firmware_files):
        parts += [str(path), digest_once(path)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
