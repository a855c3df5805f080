"""kvm-unit-tests, from a tree that the user has: compiled by its own Makefile, run by QEMU in the guest.

The tree's own runner needs bash and more in the guest, so the command lines are made here, as ARM/run, x86/run and
riscv/run of the tree make them for KVM.

Left out: hyperv_connections, which does not end if the guest that runs QEMU has one CPU.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture, ArchName
from sysevent.build import toolchain
from sysevent.cache import Cache
from sysevent.digests import digest
from sysevent.errors import BuildFailed, ImageError, UsageError
from sysevent.images.debian import deb, track_resolution
from sysevent.images.debian.archive import Archive
from sysevent.images.rootfs import newc
from sysevent.images.rootfs.kits import kit
from sysevent.model import Progress
from sysevent.peers import compilation, outcome
from sysevent.peers.compilation import IN_GUEST
from sysevent.peers.drive import Case, Suite

NAME = "kvm-unit-tests"
# The QEMU in the guest (images/rootfs/kits).
VMM = "qemu-10"
_FOLDER = f"{IN_GUEST}/{NAME}"
# Variables of the tests: none of the errata that they avoid is in a kernel from 5.10 on (errata.txt).
_ENVIRONMENT = ("environ", b"ERRATA_FORCE=y\n")
# What QEMU starts the tests with: Debian's package, and the path in it. Of x86-64 what loads an ELF file with a
# multiboot header.
_FIRMWARE: dict[ArchName, dict[str, str]] = {
    "arm64": {},
    "riscv64": {},
    "x86_64": {
        "seabios": "usr/share/seabios/bios-256k.bin",
        "qemu-system-data": "usr/share/qemu/multiboot_dma.bin",
    },
}
_FIRMWARE_SUITE = "trixie"
_FORMAT = "1"
_MARKS = ("configure", "run_tests.sh", "lib/libcflat.h")


class UnitTest(msgspec.Struct, frozen=True):
    """One test on one architecture."""

    name: str
    arch: ArchName
    # The goal of make.
    file: str
    # Of QEMU, besides those of the architecture: see unittests.cfg of the tree.
    words: tuple[str, ...]


_HYPERV = ("-smp", "2", "-cpu", "host,hv_passthrough", "-device", "hyperv-testdev")
UNIT_TESTS: tuple[UnitTest, ...] = (
    UnitTest("psci", "arm64", "arm/psci.flat", ("-smp", "4")),
    UnitTest("sbi", "riscv64", "riscv/sbi.flat", ("-smp", "2")),
    UnitTest("smptest", "x86_64", "x86/smptest.flat", ("-smp", "2")),
    UnitTest("hyperv_synic", "x86_64", "x86/hyperv_synic.flat", _HYPERV),
)
# For each architecture, as its `run` in the tree.
_MACHINES: dict[ArchName, tuple[str, ...]] = {
    "arm64": (
        "-machine", "virt,gic-version=host", "-accel", "kvm", "-cpu", "host",
        "-device", "virtio-serial-device", "-device", "virtconsole,chardev=ctd", "-chardev", "testdev,id=ctd",
        "-device", "pci-testdev",
    ),
    "riscv64": ("-machine", "virt", "-accel", "kvm", "-cpu", "host"),
    "x86_64": (
        "--no-reboot", "-global", "kvm-pit.lost_tick_policy=discard", "-device", "pc-testdev",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4", "-device", "pci-testdev", "-machine", "accel=kvm",
        "-L", f"/{_FOLDER}",
    ),
}  # fmt: skip


def of(arch: str) -> Sequence[UnitTest]:
    """The tests of an architecture, in the order in which they run."""
    return [test for test in UNIT_TESTS if test.arch == arch]


def suite(
    tree: Path,
    arch: Architecture,
    archive: Archive,
    *,
    jobs: int = 0,
    log: Path | None = None,
) -> Suite:
    """Return the tests of a tree for an architecture, compiled, with the QEMU that runs them.

    jobs: of make; 0: one for each CPU. log: a file for its output. UsageError if it is no such tree, BuildFailed if it
    cannot be compiled; what kit() raises if QEMU cannot be obtained.
    """
    root = require(tree)
    vmm = kit(VMM, arch, archive.settings, archive.progress)
    firmware = _firmware(arch, archive)
    packed = compiled(root, arch, firmware, archive.cache, archive.progress, jobs=jobs, log=log)
    cases = tuple(
        Case(NAME, test.name, (vmm.program, *arguments(test)), outcome.UNIT_TESTS) for test in of(arch.name)
    )
    return Suite(f"kvm-unit-tests {tree} with QEMU {vmm.version}", cases, (packed, vmm.archive))


def require(tree: Path) -> Path:
    """Return the absolute path of a tree of kvm-unit-tests; UsageError if it is none."""
    root = tree.expanduser().resolve()
    if not all((root / name).is_file() for name in _MARKS):
        raise UsageError(f"--kvm-unit-tests {tree}: no tree of kvm-unit-tests")
    return root


def arguments(test: UnitTest) -> tuple[str, ...]:
    """Return the arguments of QEMU for a test."""
    file = f"/{_FOLDER}/{test.file.rpartition('/')[2]}"
    common = ("-nodefaults", "-display", "none", "-serial", "stdio")
    return (
        *common,
        *_MACHINES[test.arch],
        *test.words,
        "-kernel",
        file,
        "-initrd",
        f"/{_FOLDER}/{_ENVIRONMENT[0]}",
    )


def compiled(
    root: Path,
    arch: Architecture,
    firmware: dict[str, bytes],
    cache: Cache,
    progress: Progress,
    *,
    jobs: int = 0,
    log: Path | None = None,
) -> Path:
    """Return an archive with the tests, the firmware and the environment, from the cache or compiled now."""
    prefix = _prefix(arch)
    with tempfile.TemporaryDirectory(dir=cache.scratch(), prefix="kvm-unit-tests-") as folder:
        work = Path(folder) / "tree"
        shutil.copytree(
            root, work, ignore=shutil.ignore_patterns(".git", "*.o", "*.flat", "*.elf", "*.d"), symlinks=True
        )
        (work / "config.mak").unlink(missing_ok=True)
        parts = [_FORMAT, digest(work), prefix, *(test.file for test in of(arch.name))]
        parts += [hashlib.sha256(data).hexdigest() for data in firmware.values()]
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
        packed = cache.root / "peers" / f"{NAME}-{arch.name}-{key}.cpio"
        with cache.lock(f"peers-{key}", f"{NAME} for {arch.name}", progress):
            if not cache.is_intact(packed):
                progress(f"compiling {NAME} for {arch.name}")
                files = {
                    test.file.rpartition("/")[2]: data
                    for test, data in _make(work, arch, prefix, jobs, log).items()
                }
                cache.seal(packed, _pack(files | firmware | dict([_ENVIRONMENT])))
            cache.touch(packed)
    return packed


def _prefix(arch: Architecture) -> str:
    """Return the prefix of the names of gcc and its tools for an architecture, "" for this machine's own."""
    found = compilation.gcc(arch)
    return next((word.partition("=")[2] for word in found.variables if word.startswith("CROSS_COMPILE=")), "")


def _make(work: Path, arch: Architecture, prefix: str, jobs: int, log: Path | None) -> dict[UnitTest, bytes]:
    """Configure and make the tests in a copy of the tree; BuildFailed with the first error if one is not made."""
    environment = toolchain.plain_environment()
    configure = ["bash", "./configure", f"--arch={arch.name}", f"--cross-prefix={prefix}"]
    goals = [test.file for test in of(arch.name)]
    said = compilation.make(configure, work, environment)
    said += compilation.make(["make", f"-j{jobs or os.cpu_count() or 1}", *goals], work, environment)
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(said, encoding="utf-8")
    missing = [name for name in goals if not (work / name).is_file()]
    if missing:
        error = re.search(r".*(?:error|Error).*", said)
        raise BuildFailed(
            f"{NAME}: {missing[0]} cannot be compiled: {error[0].strip() if error else 'see its log'}"
        )
    return {test: (work / test.file).read_bytes() for test in of(arch.name)}


def _pack(files: dict[str, bytes]) -> bytes:
    folders = [newc.directory(IN_GUEST), newc.directory(_FOLDER)]
    return newc.archive(
        [*folders, *(newc.plain(f"{_FOLDER}/{name}", data) for name, data in sorted(files.items()))]
    )


def _firmware(arch: Architecture, archive: Archive) -> dict[str, bytes]:
    """Return the files of Debian's packages that QEMU starts the tests with, by their names; ImageError."""
    paths = _FIRMWARE[arch.name]
    if not paths:
        return {}
    cached = archive.cache.root / "peers" / f"firmware-{_FIRMWARE_SUITE}-{arch.name}.bin"
    if (data := archive.cache.content(cached)) is not None:
        return msgspec.msgpack.decode(data, type=dict[str, bytes])
    names = "|".join(map(re.escape, paths))
    wanted = re.compile(rb"^Package: (?:%s)$" % names.encode(), re.MULTILINE)
    _, listed = track_resolution.fetch_listing(_FIRMWARE_SUITE, arch, archive, refresh=False, wanted=wanted)
    packages = {package.name: package for package in listed.packages} if listed else {}
    found: dict[str, bytes] = {}
    for name, path in paths.items():
        if name not in packages:
            raise ImageError(f"Debian {_FIRMWARE_SUITE} has no package {name}")
        blob = archive.deb(packages[name], f"firmware for {NAME}")
        with deb.opened(blob, re.compile(rf"(?:\./)?{re.escape(path)}")) as file:
            found[path.rpartition("/")[2]] = file.read()
    archive.cache.keep(cached, msgspec.msgpack.encode(found))
    return found
