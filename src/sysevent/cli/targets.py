"""sysevent targets: the known targets, which run uses each, and whether they can be used. None is booted."""

from __future__ import annotations

import argparse
import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from sysevent.arches import ARCHITECTURES
from sysevent.cli import show
from sysevent.errors import NotLeased, ToolMissing
from sysevent.images.kernel import mistakes
from sysevent.qemu.version import version
from sysevent.settings import from_options
from sysevent.targets import spec
from sysevent.targets.kinds import KINDS
from sysevent.targets.leases import client
from sysevent.targets.leases.lease import Leases
from sysevent.targets.names import own_arch
from sysevent.targets.spec import TargetSpec
from sysevent.text import printable

_KVM = Path("/dev/kvm")
_INDENT = " " * 9


class Row(msgspec.Struct, frozen=True):
    """One target as it is listed; each text fits a line, and cannot act on a terminal."""

    # "yes", "no", or "untried" if only --check finds that out.
    usable: str
    target: str
    arch: str
    where: str
    address: str
    tags: str
    kernel: str
    lease: str
    # "by default" or "by name only".
    asked: str
    # Why it cannot be used, or what was found.
    note: str


# What stands in the columns on a terminal; the rest is below, where there is any.
_COLUMNS = ("usable", "target", "arch", "where", "kernel", "lease")
_BY_NAME = "by name only"
_STYLES = {"yes": "green", "no": "red bold", "untried": "yellow"}


def run(args: argparse.Namespace) -> int:
    """Print a row for each target; 1 if --check finds one that cannot be used although a run would ask it, else 0."""
    # Without --target all are listed, including those that a run would leave out.
    chosen = spec.select(spec.known(args.targets), args.target or ["*"], args.arch, args.kernel)
    for kernel in args.kernel:
        mistakes.check(kernel, dict.fromkeys(row.arch for row in chosen if row.booted))
    unreached = _unreached([row for row in chosen if row.kind.ssh]) if args.check else {}
    leases = Leases(from_options(vars(args)))
    rows = []
    all_usable = True
    for target in chosen:
        why_not = unusable(target, unreached.get(target.id, ""), check=args.check)
        asked = target.default or args.target
        all_usable = all_usable and not (why_not and asked)
        rows.append(row_of(target, leases, why_not, check=args.check))
    console = Console(highlight=False)
    if console.is_terminal:
        for text, style in lines(rows, console.width):
            console.print(text, style=style, markup=False, soft_wrap=True)
    else:
        show(piped(rows))
    return 1 if args.check and not all_usable else 0


def piped(rows: Sequence[Row]) -> str:
    """A line of names, then a line for each target, with tabs between the fields: for grep, cut and awk."""
    names = Row.__struct_fields__
    return "\n".join("\t".join(fields) for fields in (names, *map(msgspec.structs.astuple, rows)))


def lines(rows: Sequence[Row], width: int) -> Iterator[tuple[str, str]]:
    """The lines for a terminal of this width, each with its style: those that a run leaves out are the last.

    What has no space in a column is below its target, as is what only some targets have.
    """
    columns = list(_COLUMNS)
    while len(columns) > 2 and sum(_width(rows, name) + 2 for name in columns) - 2 > width:
        columns.pop()
    yield _aligned(columns, rows, columns), "bold"
    for row in sorted(rows, key=lambda row: row.asked == _BY_NAME):
        if row.asked == _BY_NAME and row is next(one for one in rows if one.asked == _BY_NAME):
            yield "asked by name only, with --target:", "bold"
        yield _aligned([getattr(row, name) for name in columns], rows, columns), _STYLES[row.usable]
        for text in _below(row, columns):
            yield textwrap.fill(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT), ""


def _width(rows: Sequence[Row], name: str) -> int:
    return max(len(name), *(len(getattr(row, name)) for row in rows))


def _aligned(cells: Sequence[str], rows: Sequence[Row], columns: Sequence[str]) -> str:
    widths = [_width(rows, name) for name in columns]
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _below(row: Row, columns: Sequence[str]) -> Iterator[str]:
    """What a terminal shows below a target, a line each; QEMU's version, which all guests have, is left out."""
    if row.usable == "no" or row.address or not KINDS[row.where].booted:
        yield row.note
    left = [("at", row.address), ("tags", row.tags)]
    left += [(name, getattr(row, name)) for name in _COLUMNS if name not in columns]
    if text := ", ".join(f"{name} {value}" for name, value in left if value):
        yield text


def _unreached(rows: Sequence[TargetSpec]) -> dict[str, str]:
    """Why each lab machine cannot be used, by the id of its target; "" if it can."""
    if not rows:
        return {}
    # Here: paramiko is slow to import.
    from sysevent.hosts.ssh import visit

    return visit.obstacles(rows)


def row_of(target: TargetSpec, leases: Leases, why_not: str, *, check: bool) -> Row:
    """The row of a target. check: its lab was asked. why_not: why it cannot be used, or ""."""
    try:
        lease = leases.state(target)
    except NotLeased as error:
        lease, why_not = "?", why_not or str(error)
    untried = target.kind.needs_check and not check
    address = f"{target.address}:{target.port}" if target.port else target.address
    fields = {
        "usable": "no" if why_not else "untried" if untried else "yes",
        "target": target.id,
        "arch": target.arch,
        "where": target.where,
        "address": address or target.place,
        "tags": " ".join(f"{key}={value}" for key, value in target.tags.items()),
        "kernel": target.kernel or "running",
        "lease": lease,
        "asked": "by default" if target.default else _BY_NAME,
        "note": why_not or _how(target, check=check),
    }
    return Row(**{name: printable(value) for name, value in fields.items()})


def unusable(target: TargetSpec, unreached: str, *, check: bool) -> str:
    """Why a target cannot be used, as far as this machine can tell; "" if nothing was found.

    unreached is what the login to a lab machine found. check: ask labgrid for places.
    """
    if target.booted:
        qemu = ARCHITECTURES[target.arch].qemu
        if shutil.which(qemu) is None:
            return f"{qemu} is not installed (`sysevent doctor` shows how to install it)"
        return kvm_unusable(target) if target.where == "kvm" else ""
    if target.kind.own_kvm:
        return kvm_unusable(target)
    if target.where == "labgrid":
        return _unusable_lab(target, check=check)
    return unreached


def kvm_unusable(target: TargetSpec, device: Path = _KVM) -> str:
    """Why this machine's KVM cannot be used; "" if it can be opened. Only `sysevent doctor` runs a VM on it."""
    if target.arch != own_arch():
        return f"this machine is {own_arch() or 'of another architecture'}"
    if not device.exists():
        return f"{device} is missing: load the module kvm_intel or kvm_amd, or allow nesting"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"no permission for {device}: join the group that owns it (`ls -l {device}`)"
    return ""


def _unusable_lab(target: TargetSpec, *, check: bool) -> str:
    try:
        if not check:
            client.program()
            return ""
        asked = client.Client(target.coordinator)
        wanted = {**target.tags, **({"name": target.place} if target.place else {})}.items()
        fit = [place for place in asked.places() if wanted <= {**place.tags, "name": place.name}.items()]
    except (ToolMissing, NotLeased) as error:
        return str(error)
    if not fit:
        return f"no place of {asked.coordinator} has {' '.join(f'{key}={value}' for key, value in wanted)}"
    return ""


def _how(target: TargetSpec, *, check: bool) -> str:
    """What was found of a target that can be used."""
    if target.kind.needs_check and not check:
        return "not tried (use --check)"
    return target.kind.usable or f"QEMU {version(ARCHITECTURES[target.arch])}"
