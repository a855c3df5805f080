"""sysevent targets: the targets there are, without booting any."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sysevent.arches import ARCHITECTURES
from sysevent.qemu.version import version
from sysevent.targets import spec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which targets to list."""
    parser.add_argument("--target", metavar="GLOB", action="append", default=[], help="by name (repeatable)")
    parser.add_argument("--arch", metavar="ARCH", action="append", default=[], help="by architecture")
    parser.add_argument(
        "--targets", metavar="FILE", action="append", default=[], help="more targets, in TOML"
    )
    parser.add_argument("--kernel", metavar="SPEC", action="append", default=[], help="as for run")


def run(args: argparse.Namespace) -> int:
    """Print a row for each target."""
    known = [*spec.builtin(), *(row for file in args.targets for row in spec.read(Path(file)))]
    spec.unique(known, "--targets")
    table = Table(box=None, pad_edge=False)
    for heading in ("target", "arch", "where", "kernel", "VMM ABIs", "usable"):
        table.add_column(heading, no_wrap=True)
    for target in spec.select(known, args.target, args.arch, args.kernel):
        arch = ARCHITECTURES[target.arch]
        usable = f"QEMU {version(arch)}" if shutil.which(arch.qemu) else f"no: {arch.qemu} is not installed"
        abis = " ".join(abi.name for abi in arch.abis)
        table.add_row(target.id, target.arch, target.where, target.kernel, abis, usable)
    Console().print(table)
    return 0
