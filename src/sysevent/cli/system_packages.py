"""The system packages that QEMU comes in, per package manager, and how they get installed.

Nothing is installed unless the user asked for it: everybody else is given the line to paste.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.errors import ToolMissing, UsageError
from sysevent.model import Progress

OS_RELEASE = Path("/etc/os-release")
KEYRING = "debian-keyring"  # key of the certificates that sign Debian's release files
_TAIL = 20  # lines of a failed installation's output that are shown


class Manager(msgspec.Struct, frozen=True):
    """One package manager: what recognises it, how it is called, its names of our packages."""

    name: str
    program: str  # on PATH
    distributions: tuple[str, ...]  # ID or ID_LIKE in os-release
    refresh: tuple[str, ...]  # first; () when installing does it
    install: tuple[str, ...]  # never asks
    paste: str  # the line for people, without sudo: it asks before it does something
    packages: Mapping[str, tuple[str, ...]]  # by key: Architecture.qemu_package, KEYRING, or of kernel builds


# Firmware that -M virt and -M q35 load (OpenSBI, SeaBIOS) has to come along where recommended
# packages are left out: each row says how it does.
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
            "qemu-arm": ("qemu-system-arm",),
            # Provided by qemu-system-misc in Debian 12 (OpenSBI: qemu-system-data, which it depends on),
            # by qemu-system-riscv in Debian 13 (depends on opensbi).
            "qemu-riscv": ("qemu-system-riscv64",),
            "qemu-x86": ("qemu-system-x86",),  # depends on seabios
            KEYRING: ("debian-archive-keyring",),
            "kernel-build": ("git", "gcc", "libc6-dev", "make", "bc", "flex", "bison", "libelf-dev", "rsync"),
            "gcc-arm64": ("gcc-aarch64-linux-gnu",),
            "gcc-riscv64": ("gcc-riscv64-linux-gnu",),
            "gcc-x86_64": ("gcc-x86-64-linux-gnu",),
        },
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
            "qemu-arm": ("qemu-system-aarch64-core",),
            "qemu-riscv": ("qemu-system-riscv-core",),
            "qemu-x86": ("qemu-system-x86-core",),
            KEYRING: ("debian-keyring",),
            "kernel-build": ("git", "gcc", "make", "bc", "flex", "bison", "elfutils-libelf-devel", "rsync"),
            "gcc-arm64": ("gcc-aarch64-linux-gnu",),
            "gcc-riscv64": ("gcc-riscv64-linux-gnu",),
            "gcc-x86_64": ("gcc-x86_64-linux-gnu",),
        },
    ),
    Manager(
        name="pacman",
        program="pacman",
        distributions=("arch", "archarm"),
        refresh=(),  # pacman -Sy without -u makes a partial upgrade, which Arch does not support
        install=("pacman", "-S", "--needed", "--noconfirm"),
        paste="pacman -S --needed {packages}",
        packages={
            "qemu-arm": ("qemu-system-aarch64",),
            # OpenSBI is a package of its own there.
            "qemu-riscv": ("qemu-system-riscv", "qemu-system-riscv-firmware"),
            "qemu-x86": ("qemu-system-x86",),  # depends on seabios
            KEYRING: ("debian-archive-keyring",),
            "kernel-build": ("git", "gcc", "make", "bc", "flex", "bison", "libelf", "rsync"),
            "gcc-arm64": ("aarch64-linux-gnu-gcc",),
            "gcc-riscv64": ("riscv64-linux-gnu-gcc",),
            "gcc-x86_64": ("clang", "lld", "llvm"),  # no cross gcc there
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
            "qemu-arm": ("qemu-arm",),
            "qemu-riscv": ("qemu-extra",),  # every lesser architecture; holds OpenSBI too
            "qemu-x86": ("qemu-x86",),  # requires qemu-seabios
            "kernel-build": ("git", "gcc", "make", "bc", "flex", "bison", "libelf-devel", "rsync"),
            # Its cross gcc has another prefix (aarch64-suse-linux-) than the kernel's documents use.
            "gcc-arm64": ("clang", "lld", "llvm"),
            "gcc-riscv64": ("clang", "lld", "llvm"),
            "gcc-x86_64": ("clang", "lld", "llvm"),
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
            "qemu-arm": ("qemu-system-aarch64",),
            "qemu-riscv": ("qemu-system-riscv64",),
            "qemu-x86": ("qemu-system-x86_64",),
            KEYRING: ("debian-archive-keyring",),
            "kernel-build": (
                *(
                    "git",
                    "gcc",
                    "musl-dev",
                    "linux-headers",
                    "make",
                    "bc",
                    "flex",
                    "bison",
                    "elfutils-dev",
                    "rsync",
                ),
            ),
            "gcc-arm64": ("clang", "lld", "llvm"),
            "gcc-riscv64": ("clang", "lld", "llvm"),
            "gcc-x86_64": ("clang", "lld", "llvm"),
        },
    ),
)


def distribution(os_release: str) -> tuple[str, ...]:
    """ID and then ID_LIKE of the text of an os-release file, the closest first."""
    fields = {}
    for line in os_release.splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            fields[name.strip()] = value.strip().strip("\"'").lower()
    return (*fields.get("ID", "").split(), *fields.get("ID_LIKE", "").split())


def choose(ids: Iterable[str], present: Iterable[str]) -> Manager | None:
    """The manager of a distribution, else the only one whose program is present; None when neither tells.

    The distribution goes first: a Debian machine can have dnf or pacman lying around.
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
    """The package manager of this machine; None when it has none that we know."""
    text = OS_RELEASE.read_text(encoding="utf-8", errors="replace") if OS_RELEASE.is_file() else ""
    return choose(distribution(text), (m.program for m in MANAGERS if shutil.which(m.program)))


def missing_qemu(archs: Iterable[str]) -> tuple[str, ...]:
    """Those of archs whose QEMU is not on PATH, in the order of the table."""
    wanted = set(archs)
    return tuple(
        name for name, arch in ARCHITECTURES.items() if name in wanted and not shutil.which(arch.qemu)
    )


def qemu_keys(archs: Iterable[str]) -> tuple[str, ...]:
    """The package keys of the QEMU of archs, each once."""
    return tuple(dict.fromkeys(ARCHITECTURES[name].qemu_package for name in archs))


def package_names(manager: Manager, keys: Iterable[str]) -> tuple[str, ...]:
    """What manager calls the packages of keys; those it has no name for are left out."""
    return tuple(name for key in keys for name in manager.packages.get(key, ()))


def install_line(keys: Sequence[str], manager: Manager | None, *, root: bool) -> str:
    """The one line to paste; for a machine without a manager that we know, one per manager."""
    if manager is None:
        return "\n".join(f"{m.name:8}{install_line(keys, m, root=root)}" for m in MANAGERS)
    names = package_names(manager, keys)
    if not names:
        return f"({manager.name} has no package of {', '.join(keys)} that we know of)"
    line = manager.paste.format(packages=" ".join(names))
    return line if root else " && ".join(f"sudo {part}" for part in line.split(" && "))


def install(keys: Sequence[str], progress: Progress) -> None:
    """Install the packages of keys, with sudo when not root; ToolMissing holds the manager's own words."""
    manager, root = this_machine(), os.geteuid() == 0
    if manager is None:
        raise UsageError(
            f"--install-deps knows apt, dnf, pacman, zypper and apk, and cannot tell which of them is this "
            f"machine's; install by hand:\n{install_line(keys, None, root=root)}"
        )
    names = package_names(manager, keys)
    line = install_line(keys, manager, root=root)
    if not names:
        raise UsageError(f"--install-deps: {line}")
    if not root and not shutil.which("sudo"):
        raise ToolMissing(f"--install-deps needs root, and sudo is not there; as root: {line}")
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if manager.refresh:
        progress(f"{manager.name}: refreshing the package lists")
        # A source that cannot be reached need not matter: what counts is whether the packages come.
        _run(privileged(manager.refresh, root=root, terminal=terminal))
    progress(f"{manager.name}: installing {' '.join(names)}")
    code, output = _run(privileged((*manager.install, *names), root=root, terminal=terminal))
    if code:
        tail = "\n  ".join(output.strip().splitlines()[-_TAIL:])
        raise ToolMissing(f"{manager.name} could not install {' '.join(names)} (exit code {code}):\n  {tail}")


def privileged(command: Sequence[str], *, root: bool, terminal: bool) -> tuple[str, ...]:
    """The command as root, in an environment where it asks nothing.

    sudo asks for a password only where there is a terminal to type it on. It drops the environment, so
    that env stands on its other side.
    """
    sudo = () if root else ("sudo",) if terminal else ("sudo", "-n")
    return (*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", *command)


def _run(argv: Sequence[str]) -> tuple[int, str]:
    """Exit code and output of a command."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise ToolMissing(f"{shlex.join(argv)}: {error}") from error
    return done.returncode, done.stdout
