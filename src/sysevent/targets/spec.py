"""Targets: rows of TOML into frozen values, and the choice among them."""

from __future__ import annotations

import fnmatch
import importlib.resources
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.errors import BadTargetFile, UsageError


class TargetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place where one kernel's KVM can be asked, as a target file describes it."""

    name: str
    arch: Literal["arm64", "riscv64", "x86_64"]
    # A QEMU of this machine (tcg, kvm, or auto: kvm where that works), this machine itself, a lab machine over
    # SSH, or one that labgrid hands out.
    where: Literal["tcg", "kvm", "auto", "local", "ssh", "labgrid"]
    cpu: str = ""  # QEMU's -cpu; empty: the one that qemu/argv.py knows to work
    memory: int = 512  # MiB
    channel: Literal["virtio", "serial"] = "virtio"  # virtio falls back to serial by itself
    boot: int = 180  # seconds until the guest must have answered; a loaded laptop is ten times slower
    kernel: str = "debian:6.12"  # what to boot, as --kernel takes it
    append: str = ""  # more words for the kernel's command line
    address: str = ""  # of a lab machine: a name, an IP address, or a Host of ~/.ssh/config
    port: int = 0  # 0: as ~/.ssh/config has it, else 22
    user: str = ""  # empty: as ~/.ssh/config has it, else the user of this machine
    identity: str = ""  # a private key's file; empty: the agent's and the usual ones
    jump: str = ""  # [user@]host[:port] to go through; empty: as ~/.ssh/config has it
    known_hosts: str = ""  # empty: ~/.ssh/known_hosts and the machine's own
    directory: str = "/tmp"  # where a lab machine has room for the VMM
    tags: dict[str, str] = {}  # labgrid: what a place must have; elsewhere: for people
    expect: dict[str, str] = {}  # facts of the running kernel, as globs: a machine that differs is not asked
    connect: int = 20  # seconds until a lab machine must have let us in
    lease: int = 600  # seconds to wait for one that somebody else has
    require: bool = False  # as if --require named it
    label: str = ""  # set when one target is asked with several kernels: then ids must differ

    @property
    def id(self) -> str:
        """What stands in a test's id."""
        return f"{self.name}@{self.label}" if self.label else self.name


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    target: list[TargetSpec]


def builtin() -> list[TargetSpec]:
    """The targets that come with the project."""
    text = importlib.resources.files("sysevent.targets").joinpath("builtin.toml").read_bytes()
    return parse(text, "builtin.toml")


def read(path: Path) -> list[TargetSpec]:
    """The targets of a file; BadTargetFile says which key of which row is wrong."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise BadTargetFile(f"the target file {path} cannot be read: {error.strerror}") from error


def parse(text: bytes, origin: str) -> list[TargetSpec]:
    """The targets in the text of a TOML file."""
    try:
        found = msgspec.toml.decode(text, type=_File).target
    except msgspec.DecodeError as error:  # ValidationError is one of them
        raise BadTargetFile(f"{origin}: {error}") from error
    except UnicodeDecodeError as error:
        raise BadTargetFile(f"{origin}: not a text file: {error}") from error
    unique(found, origin)
    return found


def unique(specs: Iterable[TargetSpec], origin: str) -> None:
    """BadTargetFile when two targets have one name."""
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise BadTargetFile(f"{origin}: two targets are called {spec.name!r}")
        seen.add(spec.name)


def select(
    specs: Sequence[TargetSpec], globs: Sequence[str], archs: Sequence[str], kernels: Sequence[str]
) -> list[TargetSpec]:
    """The targets whose names match a glob and whose architecture is asked for, each with each kernel.

    UsageError for a glob or an architecture that matches nothing: a typing error must not become a green run.
    """
    for arch in archs:
        if arch not in ARCHITECTURES:
            raise UsageError(f"--arch {arch}: there are {', '.join(ARCHITECTURES)}")
    names = ", ".join(spec.name for spec in specs)
    for glob in globs:
        if not any(fnmatch.fnmatchcase(spec.name, glob) for spec in specs):
            raise UsageError(f"--target {glob} matches none of the targets: {names}")
    chosen = [
        spec
        for spec in specs
        if (not globs or any(fnmatch.fnmatchcase(spec.name, glob) for glob in globs))
        and (not archs or spec.arch in archs)
    ]
    if not chosen:
        raise UsageError(
            f"no target matches both --target {' '.join(globs)} and --arch {' '.join(archs)}: {names}"
        )
    if not kernels:
        return chosen
    if len(set(kernels)) == 1:
        return [msgspec.structs.replace(spec, kernel=kernels[0]) for spec in chosen]
    # In the order of kernels within a target: what differs between two kernels stands side by side.
    return [
        msgspec.structs.replace(spec, kernel=kernel, label=label)
        for spec in chosen
        for kernel, label in _labels(kernels).items()
    ]


def _labels(kernels: Sequence[str]) -> dict[str, str]:
    """A short name for each kernel, distinct, and free of what pytest ids use themselves."""
    labels: dict[str, str] = {}
    for kernel in kernels:
        short = (
            kernel if ":" in kernel and "/" not in kernel else Path(kernel.partition(":")[2] or kernel).name
        )
        names = (short, *(f"{short}~{number}" for number in range(2, len(kernels) + 2)))
        labels.setdefault(kernel, next(name for name in names if name not in labels.values()))
    return labels
