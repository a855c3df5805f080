"""Package managers: how each is recognised and called, and what it calls the packages that we need."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

OS_RELEASE = Path("/etc/os-release")
KEYRING = "debian-keyring"
"""The key of the certificates that sign Debian's release files."""
MIRROR = "debian-mirror"
"""The key of a package that names a mirror of Debian: images/debian/own_mirror.py reads it there."""

ZSTD = "zstd"
"""The key of the program that unpacks kernels, where Python does not."""


class Manager(msgspec.Struct, frozen=True):
    """One package manager."""

    name: str
    # As found on PATH.
    program: str
    # ID or ID_LIKE in os-release.
    distributions: tuple[str, ...]
    # The command to run before the installation; () if installing refreshes the lists.
    refresh: tuple[str, ...]
    # A command that asks no question.
    install: tuple[str, ...]
    # The line for a user to paste, without sudo. It asks before it changes anything.
    paste: str
    # Names separated by spaces, by key: Architecture.qemu_package, KEYRING, MIRROR, or the keys of build/toolchain.py.
    packages: Mapping[str, str]
    # Where machines of another architecture lack packages of these names: by uname -m, what replaces them.
    instead: Mapping[str, Mapping[str, str]] = {}

    def package(self, key: str, machine: str) -> str:
        """Return the names behind a key on a machine, of which uname -m is given; "" if there is none."""
        return self.instead.get(machine, {}).get(key) or self.packages.get(key, "")


# Programs that kernels are built or unpacked with, and whose packages have the same name everywhere.
_SAME = {name: name for name in ("git", "make", "bc", "flex", "bison", "rsync", ZSTD)}

# Recommended packages are left out, but the firmware that -M virt and -M q35 load (OpenSBI, SeaBIOS) is needed: each
# row says what brings it.
MANAGERS = (
    Manager(
        name="apt",
        program="apt-get",
        distributions=("debian", "ubuntu"),
        refresh=("apt-get", "update"),
        # Wait for another apt, such as a machine's daily one, instead of failing at once (apt 1.9.11).
        install=("apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends"),
        paste="apt-get update && apt-get install --no-install-recommends {packages}",
        packages={
            "qemu-arm": "qemu-system-arm",
            # Provided by qemu-system-misc in Debian 12 (OpenSBI: qemu-system-data, which it depends on),
            # by qemu-system-riscv in Debian 13 (depends on opensbi).
            "qemu-riscv": "qemu-system-riscv64",
            # Depends on seabios.
            "qemu-x86": "qemu-system-x86",
            KEYRING: "debian-archive-keyring",
            MIRROR: "debootstrap",
            **_SAME,
            "gcc": "gcc libc6-dev",
            "libelf": "libelf-dev",
            "gcc-arm64": "gcc-aarch64-linux-gnu",
            "gcc-riscv64": "gcc-riscv64-linux-gnu",
            "gcc-x86_64": "gcc-x86-64-linux-gnu",
        },
        # Debian 13 has no cross gcc for riscv64 machines; for arm64 machines it has all.
        instead={"riscv64": {"gcc-arm64": "clang lld llvm", "gcc-x86_64": "clang lld llvm"}},
    ),
    Manager(
        name="dnf",
        program="dnf",
        distributions=("fedora", "rhel", "centos"),
        refresh=(),
        install=("dnf", "install", "-y", "--setopt=install_weak_deps=False"),
        paste="dnf install {packages}",
        # Fedora's qemu.spec: -core leaves out user interfaces; riscv's holds OpenSBI, x86's needs SeaBIOS.
        packages={
            "qemu-arm": "qemu-system-aarch64-core",
            "qemu-riscv": "qemu-system-riscv-core",
            "qemu-x86": "qemu-system-x86-core",
            KEYRING: "debian-keyring",
            MIRROR: "debootstrap",
            **_SAME,
            "gcc": "gcc",
            "libelf": "elfutils-libelf-devel",
            "gcc-arm64": "gcc-aarch64-linux-gnu",
            "gcc-riscv64": "gcc-riscv64-linux-gnu",
            "gcc-x86_64": "gcc-x86_64-linux-gnu",
        },
    ),
    Manager(
        name="pacman",
        program="pacman",
        distributions=("arch", "archarm"),
        # pacman -Sy without -u makes a partial upgrade, which Arch does not support.
        refresh=(),
        install=("pacman", "-S", "--needed", "--noconfirm"),
        paste="pacman -S --needed {packages}",
        packages={
            "qemu-arm": "qemu-system-aarch64",
            # Arch Linux has OpenSBI in a package of its own.
            "qemu-riscv": "qemu-system-riscv qemu-system-riscv-firmware",
            # Depends on seabios.
            "qemu-x86": "qemu-system-x86",
            KEYRING: "debian-archive-keyring",
            MIRROR: "debootstrap",
            **_SAME,
            "gcc": "gcc",
            "libelf": "libelf",
            "gcc-arm64": "aarch64-linux-gnu-gcc",
            "gcc-riscv64": "riscv64-linux-gnu-gcc",
            # Arch Linux has no cross gcc for x86-64.
            "gcc-x86_64": "clang lld llvm",
        },
    ),
    Manager(
        name="zypper",
        program="zypper",
        distributions=("opensuse", "suse", "sles"),
        refresh=(),
        install=("zypper", "--non-interactive", "install", "--no-recommends"),
        paste="zypper install --no-recommends {packages}",
        packages={
            "qemu-arm": "qemu-arm",
            # Holds the less common architectures, and OpenSBI.
            "qemu-riscv": "qemu-extra",
            # Requires qemu-seabios.
            "qemu-x86": "qemu-x86",
            **_SAME,
            "gcc": "gcc",
            "libelf": "libelf-devel",
            # openSUSE's cross gcc has another prefix (aarch64-suse-linux-) than the kernel's documents use.
            "gcc-arm64": "clang lld llvm",
            "gcc-riscv64": "clang lld llvm",
            "gcc-x86_64": "clang lld llvm",
        },
    ),
    Manager(
        name="apk",
        program="apk",
        distributions=("alpine",),
        refresh=(),
        install=("apk", "add", "--update-cache"),
        paste="apk add --update-cache {packages}",
        # Each needs the package qemu, which holds the firmware of all.
        packages={
            "qemu-arm": "qemu-system-aarch64",
            "qemu-riscv": "qemu-system-riscv64",
            "qemu-x86": "qemu-system-x86_64",
            KEYRING: "debian-archive-keyring",
            MIRROR: "debootstrap",
            **_SAME,
            "gcc": "gcc musl-dev linux-headers",
            "libelf": "elfutils-dev",
            "gcc-arm64": "clang lld llvm",
            "gcc-riscv64": "clang lld llvm",
            "gcc-x86_64": "clang lld llvm",
        },
    ),
)


def distribution(os_release: str) -> tuple[str, ...]:
    """ID and then the words of ID_LIKE in the text of an os-release file: the closest distribution first."""
    fields = {}
    for line in os_release.splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            fields[name.strip()] = value.strip().strip("\"'").lower()
    return (*fields.get("ID", "").split(), *fields.get("ID_LIKE", "").split())


def choose(ids: Iterable[str], present: Iterable[str]) -> Manager | None:
    """The manager of the distribution with these ids, else the only one whose program is present, else None.

    The distribution decides first, because a Debian machine can have dnf or pacman installed as well.
    """
    for one in ids:
        for manager in MANAGERS:
            # openSUSE calls itself opensuse-leap, opensuse-tumbleweed, opensuse-slowroll.
            if one.partition("-")[0] in manager.distributions:
                return manager
    here = set(present)
    found = [manager for manager in MANAGERS if manager.program in here]
    return found[0] if len(found) == 1 else None


def this_machine() -> Manager | None:
    """The package manager of this machine; None if it is not in MANAGERS."""
    text = OS_RELEASE.read_text(encoding="utf-8", errors="replace") if OS_RELEASE.is_file() else ""
    return choose(distribution(text), (m.program for m in MANAGERS if shutil.which(m.program)))
