"""sysevent run: the main job. It checks that QEMU is installed, then becomes `pytest suites` with the same options."""

from __future__ import annotations

import argparse
from pathlib import Path

from sysevent import options
from sysevent.cli import say
from sysevent.doctor.requirements import ensure_qemu, needed_architectures
from sysevent.options import Option
from sysevent.pytest_process import become_pytest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb: those of the pytest plugin, and --install-deps."""
    parser.usage = "sysevent run [options] [-- PYTEST ARGS]"
    options.feed(parser, "run")


def run(args: argparse.Namespace) -> int:
    """Check that QEMU is installed, then become pytest on suites/."""
    archs = needed_architectures(args.target, args.arch)
    ensure_qemu(archs, say, install=args.install_deps, explicit=bool(args.target or args.arch))
    become_pytest("suites", [*pytest_options(args, Path.cwd()), *args.pytest_args])


def pytest_options(args: argparse.Namespace, here: Path) -> list[str]:
    """The options given, as pytest takes them, with paths made absolute against here: pytest runs at the root."""
    return options.spelled(vars(args), lambda option, value: _absolute(option, value, here))


def _absolute(option: Option, value: str, here: Path) -> str:
    """A path, or tree:PATH, made absolute; the name of a kernel track stays as it is."""
    if option.kind == "kernel":
        scheme, colon, path = value.partition(":")
        if colon and scheme == "tree":
            return f"tree:{here / Path(path).expanduser()}"
        if colon and not (here / value).exists():
            return value
    return str(here / Path(value).expanduser())
