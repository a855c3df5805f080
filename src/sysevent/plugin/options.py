"""The command line that others script against, as pytest options."""

from __future__ import annotations

import gc
import glob
from pathlib import Path

import pytest

from sysevent import settings
from sysevent.contract import kernel_release
from sysevent.contract.terms import Terms
from sysevent.errors import UsageError
from sysevent.plugin import results
from sysevent.settings import Settings
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec

TARGETS = pytest.StashKey[list[TargetSpec]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sysevent", "the KVM system-event ABI")
    group.addoption(
        "--target", metavar="GLOB", action="append", default=[], help="targets to run on, by name"
    )
    group.addoption(
        "--arch", metavar="ARCH", action="append", default=[], help="targets of this architecture"
    )
    group.addoption("--targets", metavar="FILE", action="append", default=[], help="more targets, in TOML")
    group.addoption(
        "--kernel",
        metavar="SPEC",
        action="append",
        default=[],
        help="kernel to test: debian:6.12, a path to an image, or tree:PATH; repeatable",
    )
    group.addoption("--modules", metavar="DIR", help="kernel modules for a --kernel that is a path")
    group.addoption("--abi", metavar="ABI", action="append", default=[], help="ABI of the VMM: native, i386")
    group.addoption(
        "--require",
        metavar="GLOB",
        action="append",
        default=[],
        help="these targets must be asked: a SKIP of the whole target, or a MISS, fails the run",
    )
    group.addoption("--results", metavar="DIR", help="where the results go; default results/<time>")
    group.addoption(
        "--floor",
        metavar="RELEASE",
        help="a kernel must have what mainline RELEASE has, whatever it is called",
    )
    group.addoption(
        "--strict-observed", action="store_true", help="a change of what was never promised fails, too"
    )
    group.addoption(
        "--mirror", metavar="URL", help="Debian mirror; default: this machine's apt configuration"
    )
    group.addoption("--keyring", metavar="FILE", help="certificates that may sign Debian's release files")
    group.addoption(
        "--fresh",
        action="store_true",
        help="boot every guest; by default one that was ready before is restored from a snapshot of it",
    )
    group.addoption(
        "--keep",
        choices=("never", "failed", "always"),
        default="never",
        help="leave guests up for inspection: those with a FAIL, ERROR or MISS, or all that answered to the end",
    )
    group.addoption(
        "--keep-for",
        metavar="SECONDS",
        type=int,
        default=3600,
        help="when a kept guest ends by itself, counted from its start (default: 3600)",
    )
    group.addoption(
        "--gdb",
        action="store_true",
        help="stop the one target before its first instruction and print the gdb line to paste; no deadlines",
    )
    group.addoption("--offline", action="store_true", help="use what is cached, never the network")


def pytest_configure(config: pytest.Config) -> None:
    # Modules live to the end, and pytest collects garbage five times on its way out, 20 ms each with them. Records
    # live long, too: looking for garbage after every 700 objects takes 5 % of a run.
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()
    try:
        known = [
            *spec.builtin(),
            *(row for file in config.getoption("targets") for row in spec.read(Path(file))),
        ]
        spec.unique(known, "--targets")
        config.stash[TARGETS] = spec.select(
            known, config.getoption("target"), config.getoption("arch"), config.getoption("kernel")
        )
        # A row's own `require` is as if the option named it.
        config.option.require = [
            *config.getoption("require"),
            *(glob.escape(row.id) for row in config.stash[TARGETS] if row.require),
        ]
        terms(config)
        results.refuse_unusable(config)
        if config.getoption("gdb"):
            _one_in_a_debugger(config.stash[TARGETS], config.getoption("numprocesses", None))
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


def _one_in_a_debugger(chosen: list[TargetSpec], workers: object) -> None:
    """UsageError unless --gdb means one guest, and somebody sees the line to paste."""
    if len(chosen) != 1:
        names = ", ".join(row.id for row in chosen)
        raise UsageError(f"--gdb takes one target with one kernel, and these are selected: {names}")
    if not chosen[0].booted:
        raise UsageError(
            f"--gdb: {chosen[0].name} is no guest of this machine's QEMU, so nothing can stop it"
        )
    if workers:
        raise UsageError("--gdb is for one process: leave out -n")


def terms(config: pytest.Config) -> Terms:
    """The terms of --floor and --strict-observed; UsageError when the floor is not a release."""
    floor = config.getoption("floor")
    return Terms(
        floor=kernel_release.floor(floor) if floor else (0, 0),
        strict_observed=config.getoption("strict_observed"),
    )


def of(config: pytest.Config) -> Settings:
    """The settings of this session."""
    return settings.from_environment(
        mirror=config.getoption("mirror"),
        keyring=config.getoption("keyring"),
        offline=config.getoption("offline"),
        snapshots=not config.getoption("fresh"),
        debug=config.getoption("gdb"),
        keep=max(1, config.getoption("keep_for")) if config.getoption("keep") != "never" else 0,
    )
