"""Reads targets from TOML files, and selects the ones to ask."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from sysevent import nearest
from sysevent.arches import ARCHITECTURES, ArchName
from sysevent.errors import BadTargetFile, UsageError
from sysevent.reading import read_file
from sysevent.targets.kinds import KINDS, Kind, KindName
from sysevent.targets.names import builtin_text, own_arch, require_matches
from sysevent.targets.rules import first_violation, suggestion
from sysevent.text import one_line

# Bytes of a target file; one with a thousand targets has 0.2 MB.
_FILE_MAX = 4 << 20
# Seconds until a kernel with our own configuration must have answered; it takes less than one.
_OWN_BOOT = 60
# Characters of one value, or of what is wrong with it, in a message.
_SHOWN_MAX = 400

_Seconds = Annotated[int, msgspec.Meta(ge=1, le=86400)]


class TargetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of a target file: a guest or a machine whose KVM can be asked."""

    name: str
    arch: ArchName
    where: KindName
    # QEMU's -cpu; "": the default of qemu/argv.py.
    cpu: str = ""
    # Properties of QEMU's -machine besides those of qemu/argv.py.
    machine: str = ""
    # MiB.
    memory: Annotated[int, msgspec.Meta(ge=64)] = 512
    # A kernel without virtio is reached by serial in any case.
    channel: Literal["virtio", "serial"] = "virtio"
    # Seconds from the start of QEMU to the guest's first frame; a loaded laptop needs ten times the usual.
    boot: _Seconds = 180
    # The kernel to boot, as for --kernel; "" if the target runs one already.
    kernel: str = "debian:6.12"
    # Further words for the kernel's command line.
    append: str = ""
    # Of a lab machine: a name, an IP address, or a Host of ~/.ssh/config.
    address: str = ""
    # 0: as in ~/.ssh/config, else 22.
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    # "": as in ~/.ssh/config, else this machine's user.
    user: str = ""
    # File of a private key; "": those of the agent, and the default ones.
    identity: str = ""
    # Jump host, [user@]host[:port]; "": as in ~/.ssh/config.
    jump: str = ""
    # "": ~/.ssh/known_hosts and this machine's global file.
    known_hosts: str = ""
    # Directory of a lab machine in which the VMM is put.
    directory: str = "/tmp"
    # With labgrid the tags that a place must have; otherwise a note for people.
    tags: dict[str, str] = {}
    # labgrid: the place to acquire, instead of any with these tags.
    place: str = ""
    # labgrid: HOST[:PORT]; "": that of [labgrid] in the file, else LG_COORDINATOR.
    coordinator: str = ""
    # Facts of the running kernel -> glob; a machine with other facts is not asked.
    expect: dict[str, str] = {}
    # Seconds until a lab machine must have accepted the connection.
    connect: _Seconds = 20
    # Seconds to wait for a target that another run has.
    lease: _Seconds = 600
    # True: as if --require named it.
    require: bool = False
    # True: asked even if no --target is given.
    default: bool = True
    # Set if one target is asked with several kernels, whose test ids must differ.
    label: str = ""

    @property
    def id(self) -> str:
        """The target's name in test ids: with the label, if there is one."""
        return f"{self.name}@{self.label}" if self.label else self.name

    @property
    def kind(self) -> Kind:
        """The row of its kind of host."""
        return KINDS[self.where]

    @property
    def booted(self) -> bool:
        """True if the target is a guest that this machine boots, so that --kernel chooses its kernel."""
        return self.kind.booted


class _Labgrid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    coordinator: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    target: list[TargetSpec]
    labgrid: _Labgrid = _Labgrid()


def builtin() -> list[TargetSpec]:
    """Return the built-in targets; `local` only if this machine's architecture is supported."""
    return parse(builtin_text(), "builtin.toml")


def read(path: Path) -> list[TargetSpec]:
    """Return the targets of a file; BadTargetFile names the key and the row that are wrong."""
    try:
        return parse(read_file(path, _FILE_MAX), str(path))
    except OSError as error:
        raise BadTargetFile(f"the target file {path} cannot be read: {error.strerror}") from None


def parse(text: bytes, origin: str) -> list[TargetSpec]:
    """Return the targets in the text of a TOML file; origin names it in the message of BadTargetFile."""
    try:
        raw = msgspec.toml.decode(text)
    except UnicodeDecodeError as error:
        raise BadTargetFile(f"{origin}: not a text file: {error}") from None
    # ValueError: of an integer with thousands of digits.
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise BadTargetFile(f"{origin}: {one_line(error)[:_SHOWN_MAX]}") from None
    rows = raw.get("target")
    own_kvm = [kind.name for kind in KINDS.values() if kind.own_kvm]
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("where") in own_kvm and own_arch():
            row.setdefault("arch", own_arch())
    try:
        found = msgspec.convert(raw, _File)
    except msgspec.ValidationError as error:
        raise BadTargetFile(f"{origin}: {_explain(str(error), raw)}") from None
    for index, row in enumerate(raw["target"]):
        violation = first_violation(row)
        if violation:
            key, problem = violation
            raise BadTargetFile(
                f"{origin}: {problem[:_SHOWN_MAX]} - at `$.target[{index}].{key[:80]}`{_row_name(row)}"
            )
        if "label" in row:
            at = f"`$.target[{index}].label`{_row_name(row)}"
            raise BadTargetFile(f"{origin}: `label` cannot be set in a file: --kernel sets it - at {at}")
    require_unique_names(found.target, origin)
    return [_with_defaults(spec, found.labgrid) for spec in found.target]


def _with_defaults(spec: TargetSpec, labgrid: _Labgrid) -> TargetSpec:
    """Return a target with the defaults that depend on other keys: no kernel, and the file's coordinator."""
    if spec.booted:
        return spec
    coordinator = (spec.coordinator or labgrid.coordinator) if "coordinator" in spec.kind.keys else ""
    return msgspec.structs.replace(spec, kernel="", coordinator=coordinator)


def _explain(message: str, raw: dict[str, Any]) -> str:
    """Return msgspec's message with the key that was probably meant and the name of the row."""
    at = re.search(r"`\$\.target\[(\d+)\]", message)
    kind: type[msgspec.Struct] = TargetSpec if at else _Labgrid if "`$.labgrid" in message else _File
    row = raw["target"][int(at[1])] if at else None
    return message[:_SHOWN_MAX] + suggestion(message, kind.__struct_fields__) + _row_name(row)


def _row_name(row: object) -> str:
    name = row.get("name") if isinstance(row, dict) else None
    return f" (target {name[:_SHOWN_MAX]!r})" if isinstance(name, str) else ""


def known(files: Iterable[str]) -> list[TargetSpec]:
    """Return the built-in targets and those of TOML files; BadTargetFile for an invalid file or a repeated name."""
    found = [*builtin(), *(row for file in files for row in read(Path(file)))]
    require_unique_names(found, "--targets")
    return found


def require_unique_names(specs: Iterable[TargetSpec], origin: str) -> None:
    """Raise BadTargetFile when two targets have the same name; origin is for its message."""
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise BadTargetFile(f"{origin}: two targets are called {spec.name!r}")
        seen.add(spec.name)


def select(
    specs: Sequence[TargetSpec], globs: Sequence[str], archs: Sequence[str], kernels: Sequence[str]
) -> list[TargetSpec]:
    """Return the targets that match one of the globs and one of the architectures, each with each kernel.

    Without globs, the default targets; `*` matches all. Without archs, every architecture. A target whose kernel
    runs already is returned unchanged, whatever kernels are named.

    UsageError for a glob or an architecture that matches nothing: a typing error must not become a green run.
    """
    for arch in archs:
        if arch not in ARCHITECTURES:
            hint = nearest.hint(arch, ARCHITECTURES)
            raise UsageError(f"--arch {arch}{hint}; expected one of {', '.join(ARCHITECTURES)}")
    names = [spec.name for spec in specs]
    require_matches(globs, names)
    chosen = [
        spec
        for spec in specs
        if (any(fnmatch.fnmatchcase(spec.name, glob) for glob in globs) if globs else spec.default)
        and (not archs or spec.arch in archs)
    ]
    if not chosen:
        raise UsageError(
            f"no target matches both --target {' '.join(globs)} and --arch {' '.join(archs)}: {', '.join(names)}"
        )
    if not kernels:
        return chosen
    if not any(spec.booted for spec in chosen):
        raise UsageError(
            f"--kernel {' '.join(kernels)}: {', '.join(spec.name for spec in chosen)} cannot boot it, but is asked "
            "about the kernel that runs there; leave out --kernel, or select a target in QEMU as well"
        )
    if len(set(kernels)) == 1:
        return [msgspec.structs.replace(spec, kernel=kernels[0]) if spec.booted else spec for spec in chosen]
    # Kernel by kernel within a target, so that reports show two kernels' results side by side.
    return [
        msgspec.structs.replace(spec, kernel=kernel, label=label)
        for spec in chosen
        for kernel, label in (_labels(kernels).items() if spec.booted else [("", "")])
    ]


def _labels(kernels: Sequence[str]) -> dict[str, str]:
    """Return kernel -> short name; the names differ, and lack the characters that pytest uses in ids."""
    labels: dict[str, str] = {}
    for kernel in kernels:
        is_track = ":" in kernel and "/" not in kernel
        short = kernel if is_track else Path(kernel.partition(":")[2] or kernel).name
        names = (short, *(f"{short}~{number}" for number in range(2, len(kernels) + 2)))
        labels.setdefault(kernel, next(name for name in names if name not in labels.values()))
    return labels


def with_own_configuration(target: TargetSpec) -> TargetSpec:
    """The target changed for kernels that are built with our configuration, which has no virtio to wait for."""
    words = f"{target.append} {ARCHITECTURES[target.arch].own_kernel_words}".strip()
    return msgspec.structs.replace(target, append=words, channel="serial", boot=min(target.boot, _OWN_BOOT))
