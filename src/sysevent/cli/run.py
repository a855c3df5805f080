"""sysevent run: the main job. It sees to QEMU, then becomes `pytest suites` with the same options."""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sysevent.arches import ARCHITECTURES
from sysevent.cli import system_packages
from sysevent.cli.engine import become_pytest
from sysevent.errors import ToolMissing, UsageError
from sysevent.model import Progress

# (option, metavar, whether it names files here, help). They are pytest's own, defined in sysevent.plugin,
# and are passed on as they are; one that names a file is made absolute, since pytest runs at the root.
_REPEATED = (
    ("--target", "GLOB", False, "targets to run on, by name; all by default"),
    ("--arch", "ARCH", False, f"targets of this architecture: {', '.join(ARCHITECTURES)}"),
    ("--kernel", "SPEC", True, "kernel to test: debian:6.12, a path to an image, or tree:PATH"),
    (
        "--require",
        "GLOB",
        False,
        "these targets must be asked: a SKIP of the whole target, or a MISS, fails the run",
    ),
)
_ONCE = (
    ("--targets", "FILE", True, "more targets, in TOML: a lab's"),
    ("--modules", "DIR", True, "kernel modules for a --kernel that is a path"),
    ("--abi", "ABI", False, "ABI of the VMM: native, or i386 on x86_64"),
    ("--floor", "RELEASE", False, "a kernel must have what mainline RELEASE has, whatever it is called"),
    ("--results", "DIR", True, "where the results go; by default results/<time>"),
    ("--mirror", "URL", False, "Debian mirror; by default the one this machine's apt uses"),
    ("--keep", "WHEN", False, "leave guests up for inspection: never (default), failed, or always"),
    ("--keep-for", "SECONDS", False, "when a kept guest ends by itself (default: 3600)"),
    ("--keyring", "FILE", True, "OpenPGP certificates that may sign Debian's release files"),
)
_FLAGS = (
    ("--offline", "use what is in the cache, never the network"),
    ("--fresh", "boot every guest, and restore none from a snapshot"),
    (
        "--gdb",
        "stop the one target before its first instruction and print the gdb line to paste; no deadlines",
    ),
    ("--strict-observed", "a changed behaviour that the kernel never promised fails, too"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of pytest that matter most, and --install-deps."""
    parser.usage = "sysevent run [options] [-- PYTEST ARGS]"
    for option, metavar, _, text in _REPEATED:
        parser.add_argument(option, metavar=metavar, action="append", default=[], help=text + " (repeatable)")
    for option, metavar, _, text in _ONCE:
        parser.add_argument(option, metavar=metavar, help=text)
    for option, text in _FLAGS:
        parser.add_argument(option, action="store_true", help=text)
    parser.add_argument(
        "--install-deps",
        action="store_true",
        help="install a QEMU that is missing with this machine's package manager (as root, or with sudo)",
    )


def run(args: argparse.Namespace) -> int:
    """See to QEMU, then become pytest on suites/."""
    archs = needed_archs(args.target, args.arch)
    explicit = bool(args.target or args.arch)
    see_to_qemu(archs, install=args.install_deps, explicit=explicit, progress=say)
    become_pytest("suites", [*pytest_options(args, Path.cwd()), *args.pytest_args])


def needed_archs(targets: Sequence[str], archs: Sequence[str]) -> tuple[str, ...]:
    """The architectures whose QEMU a selection needs, as far as the built-in TCG targets go.

    What a targets file adds may need more: then its targets say so themselves, as SKIP.
    """
    return tuple(
        name
        for name in ARCHITECTURES
        if (not archs or name in archs)
        and (not targets or any(fnmatch.fnmatchcase(f"{name}-tcg", glob) for glob in targets))
    )


def see_to_qemu(archs: Sequence[str], *, install: bool, explicit: bool, progress: Progress) -> None:
    """Have QEMU for archs, or say what is missing.

    UsageError holds the line to paste when the selection cannot run. When nothing was selected and some
    of it can run, that goes on, and progress is told what will be skipped.
    """
    missing = system_packages.missing_qemu(archs)
    if missing and install:
        system_packages.install(system_packages.qemu_keys(missing), progress)
        still = system_packages.missing_qemu(missing)
        if still:
            names = ", ".join(ARCHITECTURES[name].qemu for name in still)
            raise ToolMissing(f"installed, and yet not on PATH ({os.environ.get('PATH', '')}): {names}")
        return
    if not missing:
        return
    emulators = ", ".join(ARCHITECTURES[name].qemu for name in missing)
    line = system_packages.install_line(
        system_packages.qemu_keys(missing), system_packages.this_machine(), root=os.geteuid() == 0
    ).replace("\n", "\n    ")
    advice = f"install it with\n    {line}\nor let `sysevent run --install-deps` do that"
    if explicit or len(missing) == len(archs):
        raise UsageError(f"QEMU is missing: {emulators}; {advice}")
    progress(f"QEMU is missing: {emulators}; targets of {', '.join(missing)} are skipped; {advice}")


def pytest_options(args: argparse.Namespace, here: Path) -> list[str]:
    """The options given, as pytest takes them, with paths made absolute against here."""
    options = []
    for option, _, is_path, _ in (*_REPEATED, *_ONCE):
        given = getattr(args, option[2:].replace("-", "_"))
        for value in given if isinstance(given, list) else [given]:
            if value is not None:
                # One word, so that a value that starts with a dash stays a value.
                options.append(f"{option}={_absolute(value, here) if is_path else value}")
    return options + [option for option, _ in _FLAGS if getattr(args, option[2:].replace("-", "_"))]


def _absolute(value: str, here: Path) -> str:
    """A path, or tree:PATH, made absolute; the name of a track stays as it is."""
    scheme, colon, path = value.partition(":")
    if colon and scheme == "tree":
        return f"tree:{here / Path(path).expanduser()}"
    if colon and not (here / value).exists():
        return value  # debian:6.12
    return str(here / Path(value).expanduser())


def say(line: str) -> None:
    """Tell the person who waits; stdout is for what was asked."""
    print(f"sysevent: {line}", file=sys.stderr, flush=True)
