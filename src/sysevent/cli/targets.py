"""sysevent targets: the known targets, which run uses each, and whether they can be used. None is booted."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sysevent import options
from sysevent.arches import ARCHITECTURES
from sysevent.errors import NotLeased, ToolMissing
from sysevent.images.kernel import mistakes
from sysevent.qemu.version import version
from sysevent.settings import from_options
from sysevent.targets import spec
from sysevent.targets.leases import client
from sysevent.targets.leases.lease import Leases
from sysevent.targets.spec import TargetSpec
from sysevent.text import printable

_KVM = Path("/dev/kvm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    options.feed(parser, "targets")


def run(args: argparse.Namespace) -> int:
    """Print a row for each target; 1 if --check finds one that cannot be used although a run would ask it, else 0."""
    # Without --target all are listed, including those that a run would leave out.
    chosen = spec.select(spec.known(args.targets), args.target or ["*"], args.arch, args.kernel)
    for kernel in args.kernel:
        mistakes.check(kernel, dict.fromkeys(row.arch for row in chosen if row.booted))
    unreached = _unreached([row for row in chosen if row.kind.ssh]) if args.check else {}
    leases = Leases(from_options(vars(args)))
    table = Table(box=None, pad_edge=False)
    for heading in ("target", "arch", "where", "address", "tags", "kernel", "lease", "usable"):
        table.add_column(heading, no_wrap=heading != "usable")
    all_usable = True
    for target in chosen:
        why_not = unusable(target, unreached.get(target.id, ""), check=args.check)
        asked = target.default or args.target
        all_usable = all_usable and not (why_not and asked)
        table.add_row(*map(_plain, cells(target, leases, why_not, check=args.check)))
    _print(table)
    return 1 if args.check and not all_usable else 0


def _unreached(rows: Sequence[TargetSpec]) -> dict[str, str]:
    """Why each lab machine cannot be used, by the id of its target; "" if it can."""
    if not rows:
        return {}
    # Here: paramiko is slow to import.
    from sysevent.hosts.ssh import visit

    return visit.obstacles(rows)


def cells(target: TargetSpec, leases: Leases, why_not: str, *, check: bool) -> Sequence[str]:
    """The row of a target in the table. check: its lab was asked. why_not: why it cannot be used, or ""."""
    address = f"{target.address}:{target.port}" if target.port else target.address
    tags = " ".join(f"{key}={value}" for key, value in target.tags.items())
    try:
        lease = leases.state(target)
    except NotLeased as error:
        lease, why_not = "?", why_not or str(error)
    usable = f"no: {why_not}" if why_not else _how(target, check=check)
    name = target.id if target.default else f"{target.id} (by name only)"
    kernel = target.kernel or "running"
    return name, target.arch, target.where, address or target.place, tags, kernel, lease, usable


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
    if target.arch != spec.own_arch():
        return f"this machine is {spec.own_arch() or 'of another architecture'}"
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


def _plain(cell: str) -> str:
    """A cell whose text, which may come from a lab, controls neither the terminal nor rich's markup."""
    return printable(cell).replace("[", r"\[")


def _print(table: Table) -> None:
    # A pipe has no width, and a script needs whole lines.
    console = Console()
    (console if console.is_terminal else Console(width=400)).print(table)
