"""sysevent sensitivity: kernels with one edit each, and the claims that notice it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from sysevent import options, tool_paths
from sysevent.arches import ARCHITECTURES, Architecture, ArchName, architecture
from sysevent.build import source_tree
from sysevent.build.kernel import KernelBuilder
from sysevent.cache import Cache
from sysevent.checkout import results_home
from sysevent.cli import say, show
from sysevent.contract import catalogue
from sysevent.doctor.requirements import ensure_kernel_build, ensure_qemu
from sysevent.errors import NotApplicable, UsageError
from sysevent.images.debian.archive import Archive
from sysevent.images.kernel.identity import file_build_id
from sysevent.images.rootfs import kits, vmm_guest
from sysevent.peers import session, unit_tests
from sysevent.peers.drive import Suite
from sysevent.peers.guests import EngineGuest
from sysevent.peers.source import of_tree
from sysevent.sensitivity import ask, beside, drive, equivalent, mutants, places, report
from sysevent.sensitivity.beside import Beside, Guests, ProgramAsker
from sysevent.sensitivity.drive import Measurement, Workshop
from sysevent.sensitivity.mutants import Found
from sysevent.sensitivity.state import State
from sysevent.sensitivity.tree import TreeCopy
from sysevent.sensitivity.vmms import VmmAsker
from sysevent.settings import Settings, from_options
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec


def run(args: argparse.Namespace) -> int:
    """Measure one architecture after the other, and print a report for each."""
    if not args.tree:
        raise UsageError("needs --tree DIR, the source of a kernel")
    source = source_tree.require(Path(args.tree), f"--tree {args.tree}")
    archs = cast("list[ArchName]", [args.arch] if args.arch else list(ARCHITECTURES))
    chosen = {arch.name: arch for arch in map(architecture, archs)}
    # Before the source is read, which takes seconds.
    targets = {name: _target(args, name) for name in chosen}
    found = {name: mutants.find(source, places.select(name, args.function)) for name in chosen}
    found = {name: one.sample(args.sample) for name, one in found.items()}
    if args.list:
        for one in (one for name in found for one in found[name].mutants):
            show(
                f"{one.key} {one.file}:{one.line} {one.function}: {one.operator}: {one.before} -> {one.after}"
            )
        return 0
    kits.wanted(args.vmm or ())
    ensure_qemu(list(chosen), say)
    for arch in chosen.values():
        ensure_kernel_build(arch)
    settings = from_options(vars(args))
    results = Path(args.results).expanduser().resolve() if args.results else results_home() / "sensitivity"
    printed: list[dict[str, Any]] = []
    for name, arch in chosen.items():
        measured = _measure(args, source, arch, found[name], targets[name], results / name, settings)
        printed.append(_write(measured, name, results / name))
    if args.json:
        Path(args.json).write_text(json.dumps(printed, indent=1) + "\n", encoding="utf-8")
    return 0


def _target(args: argparse.Namespace, arch: str) -> TargetSpec:
    """The target that boots mutants, changed for kernels with this project's configuration."""
    glob = args.target or f"{arch}-tcg"
    chosen = spec.select(spec.known(args.targets), [glob], [arch], [])
    if len(chosen) != 1:
        names = ", ".join(one.name for one in chosen)
        raise UsageError(f"--target {glob} matches {names or 'none'}: name one target of {arch}")
    if not chosen[0].booted:
        raise UsageError(f"--target {glob}: {chosen[0].name} is not a guest of this machine's QEMU")
    return spec.with_own_configuration(chosen[0])


def _measure(
    args: argparse.Namespace,
    source: Path,
    arch: Architecture,
    found: Found,
    target: TargetSpec,
    results: Path,
    settings: Settings,
) -> Measurement:
    results.mkdir(parents=True, exist_ok=True)
    folder = tool_paths.directory(settings.cache, "sensitivity", source, arch.name)
    fragments = [Path(name).resolve() for name in args.config]
    builder = KernelBuilder(
        arch, folder / "build", say, build_id=file_build_id, jobs=args.jobs, fragments=fragments
    )
    say(f"{arch.name}: {len(found.mutants)} mutants; state and logs: {results}")
    state = State(results)
    with Cache(settings.cache).lock(f"sensitivity-{folder.name}", "sensitivity", say):
        others = _beside(args, source, arch, target, results, state, settings)
        workshop = Workshop(
            copy=partial(TreeCopy.make, source, folder / "tree", found.files),
            builder=builder,
            asks=ask.Asker(target, results / "locks", _pytest_options(args)),
            boot_image=arch.boot_image,
            images=folder / "images",
            logs=results / "logs",
            asking=ask.asking_key(target),
            beside=tuple(others),
        )
        return drive.measure(
            found,
            state,
            workshop,
            say,
            known=equivalent.load(),
            killed_before=args.survivors,
        )


def _beside(
    args: argparse.Namespace,
    source: Path,
    arch: Architecture,
    target: TargetSpec,
    results: Path,
    state: State,
    settings: Settings,
) -> Iterator[Beside]:
    """What is asked beside the claims: suites of others, compiled, the real VMMs of --vmm, and random sequences."""
    logs, guests = results / "logs", Guests(target, settings)
    for suite in _suites(args, source, arch, logs, settings) if args.peers else ():
        key = beside.asking_key(target, beside.of_suite(suite), suite.archives)
        yield Beside(suite.cases[0].suite, ProgramAsker(suite, guests), key, state, logs)
    for vmm in kits.wanted(args.vmm or ()):
        try:
            kit = kits.kit(vmm, arch, settings, say)
        except NotApplicable as error:
            say(f"{arch.name}: {vmm} is left out: {error}")
            continue
        archives = (kit.archive, vmm_guest.archive(arch, settings))
        asks = VmmAsker(arch.name, vmm, partial(_with_vmm, guests, archives), catalogue.load().about_vmms)
        key = beside.asking_key(target, asks.asked, archives)
        yield Beside(asks.name, asks, key, state, logs)
    if args.explore:
        # It needs Hypothesis, which the others do not.
        from sysevent.cli.explored_mutants import SUITE, ExploreAsker, exploring_key

        seconds = float(args.explore)
        key = beside.asking_key(target, exploring_key(seconds), ())
        yield Beside(SUITE, ExploreAsker(target, settings, seconds), key, state, logs)


def _with_vmm(
    guests: Guests, archives: Sequence[Path], image: Path, logs: Path, controlled: bool
) -> EngineGuest:
    return guests.guest(image, logs, archives, controlled=controlled)


def _suites(
    args: argparse.Namespace, source: Path, arch: Architecture, logs: Path, settings: Settings
) -> Iterator[Suite]:
    """The selftests of the same tree, without those that take tens of seconds, and kvm-unit-tests."""
    archive = Archive(settings, say, f"sysevent sensitivity --peers --arch {arch.name}")
    jobs = args.jobs or 0
    yield session.selftests(of_tree(source), arch, archive, jobs=jobs, log=logs / "selftests.log", slow=False)
    if args.kvm_unit_tests:
        tree, log = Path(args.kvm_unit_tests), logs / "kvm-unit-tests.log"
        yield unit_tests.suite(tree, arch, archive, jobs=jobs, log=log)


def _pytest_options(args: argparse.Namespace) -> Sequence[str]:
    given = {"mirror": args.mirror, "keyring": args.keyring, "offline": args.offline}
    return options.spelled(given, lambda _option, value: str(Path(value).expanduser().resolve()))


def _write(measured: Measurement, arch: str, results: Path) -> dict[str, Any]:
    """Write the report of an architecture to its directory, and print it; its form as JSON."""
    text, found = report.text(measured), report.as_json(measured, arch)
    (results / "report.txt").write_text(text, encoding="utf-8")
    (results / "report.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (results / "matrix.tsv").write_text(report.matrix(measured), encoding="utf-8")
    show(f"{arch}\n\n{text}")
    return found
