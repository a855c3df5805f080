"""sysevent targets: the targets there are, who has them, and whether they can be used. Boots none."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sysevent import settings
from sysevent.arches import ARCHITECTURES
from sysevent.errors import NotLeased, ToolMissing
from sysevent.qemu.version import version
from sysevent.targets import spec
from sysevent.targets.leases import client
from sysevent.targets.leases.lease import Leases
from sysevent.targets.spec import TargetSpec

_KVM = Path("/dev/kvm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which targets to list."""
    parser.add_argument("--target", metavar="GLOB", action="append", default=[], help="by name (repeatable)")
    parser.add_argument("--arch", metavar="ARCH", action="append", default=[], help="by architecture")
    parser.add_argument(
        "--targets", metavar="FILE", action="append", default=[], help="more targets, in TOML"
    )
    parser.add_argument("--kernel", metavar="SPEC", action="append", default=[], help="as for run")
    parser.add_argument(
        "--check",
        action="store_true",
        help="log in to lab machines, and ask labgrid for places; nothing is asked of their KVM",
    )


def run(args: argparse.Namespace) -> int:
    """Print a row for each target; 1 when --check finds one that cannot be used."""
    known = [*spec.builtin(), *(row for file in args.targets for row in spec.read(Path(file)))]
    spec.unique(known, "--targets")
    # Without a --target all are listed, also those that a run would leave out.
    chosen = spec.select(known, args.target or ["*"], args.arch, args.kernel)
    checks = _visited([row for row in chosen if row.where == "ssh"]) if args.check else {}
    leases = Leases(settings.from_environment())
    table = Table(box=None, pad_edge=False)
    for heading in ("target", "arch", "where", "address", "tags", "kernel", "lease", "usable"):
        table.add_column(heading, no_wrap=heading != "usable")
    well = True
    for target in chosen:
        why_not = unusable(target, checks.get(target.id, ""), check=args.check)
        # A target that runs leave out unless it is named need not be usable, unless it is named.
        well = well and (not why_not or not (target.default or args.target))
        table.add_row(*map(_plain, cells(target, leases, why_not, check=args.check)))
    _print(table)
    return 1 if args.check and not well else 0


def _visited(rows: Sequence[TargetSpec]) -> dict[str, str]:
    if not rows:
        return {}
    from sysevent.hosts.ssh import visit  # here: paramiko is slow to import

    return visit.obstacles(rows)


def cells(target: TargetSpec, leases: Leases, why_not: str, *, check: bool) -> Sequence[str]:
    """A row of the table."""
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
    """Why a target cannot be used, as far as can be told from here; "" when nothing speaks against it."""
    if target.booted:
        qemu = ARCHITECTURES[target.arch].qemu
        if shutil.which(qemu) is None:
            return f"{qemu} is not installed (`sysevent doctor` gives the line)"
        return kvm_unusable(target) if target.where == "kvm" else ""
    if target.where == "local":
        return kvm_unusable(target)
    if target.where == "labgrid":
        return _unusable_lab(target, check=check)
    return unreached


def kvm_unusable(target: TargetSpec, device: Path = _KVM) -> str:
    """Why this machine's KVM cannot be used; "" says only that it can be opened: `sysevent doctor` runs a VM."""
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
    """What there is, of a target that can be used."""
    if target.where in ("tcg", "auto", "kvm"):
        return f"QEMU {version(ARCHITECTURES[target.arch])}"
    if target.where == "local":
        return f"{_KVM} opens (`sysevent doctor` runs a VM)"
    if not check:
        return "not tried (--check does)"
    return "a place has the tags" if target.where == "labgrid" else "lets us in, and has /dev/kvm"


def _plain(cell: str) -> str:
    """What a lab says may not drive the terminal, nor rich's markup."""
    return "".join(c if c.isprintable() else "?" for c in cell).replace("[", r"\[")


def _print(table: Table) -> None:
    # A pipe has no width: a script wants whole lines.
    console = Console()
    (console if console.is_terminal else Console(width=400)).print(table)
