"""sysevent doctor: what this machine has and lacks for the main job, a line per check."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from sysevent.arches import ARCHITECTURES
from sysevent.cli import say
from sysevent.cli import show as output
from sysevent.doctor import system_packages
from sysevent.doctor.checks import CheckResult, all_checks
from sysevent.settings import from_options


def run(args: argparse.Namespace) -> int:
    """Run every check; 0 if all that the TCG targets need was found, else 1."""
    installer = system_packages.this_machine()
    missing = installer.missing_qemu(ARCHITECTURES)
    if args.install_deps and missing:
        installer.install(system_packages.qemu_keys(missing), say)
    return show(all_checks(from_options(vars(args)), installer, say))


def show(results: Iterable[CheckResult]) -> int:
    """Print each result as it comes, and a summary; 1 if something needed is missing, else 0."""
    lacking = 0
    for result in results:
        output(render(result))
        lacking += result.needed and not result.ok
    print(
        f"{lacking} of what TCG targets need is missing" if lacking else "everything TCG targets need is here"
    )
    return 1 if lacking else 0


def render(result: CheckResult) -> str:
    """The line of a result, and a second line with the fix if it is not ok."""
    word = "ok" if result.ok else "missing" if result.needed else "no"
    line = f"{word:8}{result.subject:22}{result.found}"
    return line if result.ok or not result.fix else f"{line}\n{'':30}fix: {result.fix}"
