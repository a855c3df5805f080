"""The options of the pytest plugin, which are rows of sysevent.options: declared, checked, and made into settings."""

from __future__ import annotations

import gc
import glob
import os
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sysevent import option_values, options, settings
from sysevent.contract.terms import Terms
from sysevent.errors import UsageError
from sysevent.plugin import formats, mistakes, results
from sysevent.settings import Settings
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec
from sysevent.text import escape

TARGETS = pytest.StashKey[list[TargetSpec]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sysevent", "the KVM system-event ABI")
    for flag, keywords in options.arguments(options.PYTEST):
        if "type" in keywords:
            keywords["type"] = _in_one_line(flag, keywords["type"])
        group.addoption(flag, **keywords)


def _in_one_line(flag: str, convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a converter whose error is one line: pytest's parser would add its usage, and where it is configured."""

    def converted(word: str) -> Any:
        try:
            return convert(word)
        except ArgumentTypeError as error:
            raise pytest.UsageError(escape(f"{flag} {error}")) from None

    return converted


def pytest_collection_finish() -> None:
    """Claims and tests live to the end, too: see pytest_configure()."""
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish() -> Iterator[None]:
    """So does all else that is left: the collector would look at it for 0.2 s, also after the last line."""
    gc.freeze()
    try:
        return (yield)
    finally:
        gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    # Modules live to the end, and pytest collects garbage five times when it ends, at 20 ms each with them. Records
    # live long as well: a collection after every 700 objects, Python's default, takes 5 % of a run.
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()
    try:
        option_values.check(options.of(options.PYTEST), vars(config.option))
        config.stash[TARGETS] = chosen = _targets(config)
        mistakes.check_places(config.getoption("require"), config.getoption("abi"), chosen)
        # A row with `require = true` counts as named by the option.
        config.option.require = [
            *config.getoption("require"),
            *(glob.escape(row.id) for row in config.stash[TARGETS] if row.require),
        ]
        _check_images(config)
        _check_vmm(config)
        terms(config)
        if config.getoption("gdb"):
            _one_in_a_debugger(config.stash[TARGETS], config.getoption("numprocesses", None))
        formats.asked(config)
        results.reserve(config)
        formats.remove_old(config)
    except UsageError as error:
        raise pytest.UsageError(escape(str(error))) from error


def _targets(config: pytest.Config) -> list[TargetSpec]:
    """The selected targets, with the kernels of --kernel or --build."""
    known = spec.known(config.getoption("targets"))
    selected = spec.select(
        known, config.getoption("target"), config.getoption("arch"), config.getoption("kernel")
    )
    if not config.getoption("build"):
        return selected
    # Here: most runs build nothing.
    from sysevent.targets import built

    return built.on_targets(selected, os.environ)


def _check_vmm(config: pytest.Config) -> None:
    """Raise UsageError if --vmm names a program or a tree that cannot be used. Nothing is fetched."""
    if vmm := config.getoption("vmm"):
        # Here: few runs have a VMM.
        from sysevent.images.rootfs import kits

        kits.wanted([vmm])


def _check_images(config: pytest.Config) -> None:
    """UsageError for a kernel that no target can boot, and for what no kernel can be obtained with.

    One line before anything runs, instead of one for each claim.
    """
    chosen, named, modules = config.stash[TARGETS], config.getoption("kernel"), config.getoption("modules")
    found = of(config)
    # Imported here: most runs name none of these.
    if named or modules:
        from sysevent.images.kernel import mistakes as of_kernels

        archs = dict.fromkeys(row.arch for row in chosen if row.booted)
        for kernel in named:
            of_kernels.check(kernel, archs)
        if modules:
            of_kernels.check_modules(modules, [row.kernel for row in chosen if row.booted])
    if found.mirror:
        option_values.mirror(found.mirror)
    if found.keyring:
        from sysevent.images.debian import keyring

        keyring.load(found)


def _one_in_a_debugger(chosen: list[TargetSpec], workers: object) -> None:
    """UsageError unless --gdb selects one guest, and this process is the one whose output the user sees."""
    if len(chosen) != 1:
        names = ", ".join(row.id for row in chosen)
        raise UsageError(f"--gdb takes one target with one kernel, and these are selected: {names}")
    if not chosen[0].booted:
        raise UsageError(
            f"--gdb: {chosen[0].name} is not a guest of this machine's QEMU, which could stop it"
        )
    if workers:
        raise UsageError("--gdb works in one process: leave out -n")


def terms(config: pytest.Config) -> Terms:
    """The terms of --floor and of both --strict options; UsageError if the floor is not a release."""
    asked = (config.getoption(name) for name in ("floor", "strict_observed", "strict_errata"))
    return Terms.of(*asked)


def of(config: pytest.Config) -> Settings:
    """The settings of this session."""
    return settings.from_options(vars(config.option))
