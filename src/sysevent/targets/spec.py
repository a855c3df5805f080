"""Targets: rows of TOML into frozen values, and the choice among them."""

from __future__ import annotations

import fnmatch
import importlib.resources
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from sysevent.arches import ARCHITECTURES, ArchName, of_machine
from sysevent.errors import BadTargetFile, UsageError
from sysevent.targets.rules import BOOTED, broken, meant

_Seconds = Annotated[int, msgspec.Meta(ge=1, le=86400)]


class TargetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place where one kernel's KVM can be asked, as a target file describes it."""

    name: str
    arch: ArchName
    # A QEMU of this machine (tcg, kvm, or auto: kvm where that works), this machine itself, a lab machine over
    # SSH, or one that labgrid hands out.
    where: Literal["tcg", "kvm", "auto", "local", "ssh", "labgrid"]
    cpu: str = ""  # QEMU's -cpu; empty: the one that qemu/argv.py knows to work
    memory: Annotated[int, msgspec.Meta(ge=64)] = 512  # MiB
    channel: Literal["virtio", "serial"] = "virtio"  # virtio falls back to serial by itself
    boot: _Seconds = 180  # seconds until the guest must have answered; a loaded laptop is ten times slower
    kernel: str = "debian:6.12"  # what to boot, as --kernel takes it; "" where one runs already
    append: str = ""  # more words for the kernel's command line
    address: str = ""  # of a lab machine: a name, an IP address, or a Host of ~/.ssh/config
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0  # 0: as ~/.ssh/config has it, else 22
    user: str = ""  # empty: as ~/.ssh/config has it, else the user of this machine
    identity: str = ""  # a private key's file; empty: the agent's and the usual ones
    jump: str = ""  # [user@]host[:port] to go through; empty: as ~/.ssh/config has it
    known_hosts: str = ""  # empty: ~/.ssh/known_hosts and the machine's own
    directory: str = "/tmp"  # where a lab machine has room for the VMM
    tags: dict[str, str] = {}  # labgrid: what a place must have; elsewhere: for people
    place: str = ""  # labgrid: the one place to take, instead of any with these tags
    coordinator: str = ""  # labgrid: HOST[:PORT]; empty: of [labgrid] in the file, else LG_COORDINATOR
    expect: dict[str, str] = {}  # facts of the running kernel, as globs: a machine that differs is not asked
    connect: _Seconds = 20  # seconds until a lab machine must have let us in
    lease: _Seconds = 600  # seconds to wait for one that somebody else has
    require: bool = False  # as if --require named it
    default: bool = True  # whether it is asked when no --target is given
    label: str = ""  # set when one target is asked with several kernels: then ids must differ

    @property
    def id(self) -> str:
        """What stands in a test's id."""
        return f"{self.name}@{self.label}" if self.label else self.name

    @property
    def booted(self) -> bool:
        """Whether we boot its kernel, and so choose it."""
        return self.where in BOOTED


class _Labgrid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    coordinator: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    target: list[TargetSpec]
    labgrid: _Labgrid = _Labgrid()


def own_arch() -> str:
    """This machine's architecture; "" when it is none of ours."""
    found = of_machine(platform.machine())
    return found.name if found else ""


def builtin() -> list[TargetSpec]:
    """The targets that come with the project; `local` only where the machine can be asked at all."""
    text = importlib.resources.files("sysevent.targets").joinpath("builtin.toml").read_bytes()
    if not own_arch():
        text = text.partition(b"# local")[0]
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
        raw = msgspec.toml.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadTargetFile(f"{origin}: {error}") from error
    except UnicodeDecodeError as error:
        raise BadTargetFile(f"{origin}: not a text file: {error}") from error
    rows = raw.get("target")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("where") == "local" and own_arch():
            row.setdefault("arch", own_arch())
    try:
        found = msgspec.convert(raw, _File)
    except msgspec.ValidationError as error:
        raise BadTargetFile(f"{origin}: {_explained(str(error), raw)}") from error
    for index, row in enumerate(raw["target"]):
        wrong = broken(row)
        if wrong:
            raise BadTargetFile(f"{origin}: {wrong[1]} - at `$.target[{index}].{wrong[0]}`{_named(row)}")
        if "label" in row:
            raise BadTargetFile(
                f"{origin}: `label` is not for files: --kernel sets it - at `$.target[{index}].label`{_named(row)}"
            )
    unique(found.target, origin)
    return [_completed(spec, found.labgrid) for spec in found.target]


def _completed(spec: TargetSpec, labgrid: _Labgrid) -> TargetSpec:
    """With what does not stand in its row."""
    if spec.booted:
        return spec
    coordinator = (spec.coordinator or labgrid.coordinator) if spec.where == "labgrid" else ""
    return msgspec.structs.replace(spec, kernel="", coordinator=coordinator)


def _explained(message: str, raw: dict[str, Any]) -> str:
    """What msgspec says is wrong, with what was meant and the name of the row."""
    at = re.search(r"`\$\.target\[(\d+)\]", message)
    kind: type[msgspec.Struct] = TargetSpec if at else _Labgrid if "`$.labgrid" in message else _File
    row = raw["target"][int(at[1])] if at else None
    return message + meant(message, kind.__struct_fields__) + _named(row)


def _named(row: object) -> str:
    name = row.get("name") if isinstance(row, dict) else None
    return f" (target {name!r})" if isinstance(name, str) else ""


def known(files: Iterable[str]) -> list[TargetSpec]:
    """The built-in targets and those of TOML files; BadTargetFile for a file that is not one, or a repeated name."""
    found = [*builtin(), *(row for file in files for row in read(Path(file)))]
    unique(found, "--targets")
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

    Without a glob, those that are asked by default; `*` is all of them. A target whose kernel runs already stays
    as it is, whatever kernels are named.

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
        if (any(fnmatch.fnmatchcase(spec.name, glob) for glob in globs) if globs else spec.default)
        and (not archs or spec.arch in archs)
    ]
    if not chosen:
        raise UsageError(
            f"no target matches both --target {' '.join(globs)} and --arch {' '.join(archs)}: {names}"
        )
    if not kernels:
        return chosen
    if not any(spec.booted for spec in chosen):
        raise UsageError(
            f"--kernel {' '.join(kernels)}: {', '.join(spec.name for spec in chosen)} cannot boot it, and is asked "
            "about the kernel that runs there; leave out --kernel, or select a target of QEMU's as well"
        )
    if len(set(kernels)) == 1:
        return [msgspec.structs.replace(spec, kernel=kernels[0]) if spec.booted else spec for spec in chosen]
    # In the order of kernels within a target: what differs between two kernels stands side by side.
    return [
        msgspec.structs.replace(spec, kernel=kernel, label=label)
        for spec in chosen
        for kernel, label in (_labels(kernels).items() if spec.booted else [("", "")])
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
