"""sysevent sensitivity: kernels with one edit each, and the claims that notice it."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from sysevent import options
from sysevent.arches import ARCHITECTURES, Architecture, ArchName, architecture
from sysevent.build import source_tree
from sysevent.build.kernel import KernelBuilder
from sysevent.cache import Cache
from sysevent.checkout import results_home
from sysevent.cli import say, show
from sysevent.doctor.requirements import ensure_kernel_build, ensure_qemu
from sysevent.errors import UsageError
from sysevent.images.debian.archive import Archive
from sysevent.images.kernel.identity import file_build_id
from sysevent.peers import session, unit_tests
from sysevent.peers.source import of_tree
from sysevent.sensitivity import ask, beside, drive, equivalent, mutants, places, report
from sysevent.sensitivity.beside import Beside, ProgramAsker
from sysevent.sensitivity.drive import Measurement, Workshop
from sysevent.sensitivity.mutants import Found
from sysevent.sensitivity.state import State
from sysevent.sensitivity.tree import TreeCopy
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
    short = hashlib.sha256(str(source).encode()).hexdigest()[:12]
    folder = settings.cache / "sensitivity" / f"{source.name}-{short}-{arch.name}"
    fragments = [Path(name).resolve() for name in args.config]
    builder = KernelBuilder(
        arch, folder / "build", say, build_id=file_build_id, jobs=args.jobs, fragments=fragments
    )
    say(f"{arch.name}: {len(found.mutants)} mutants; state and logs: {results}")
    state = State(results)
    with Cache(settings.cache).lock(f"sensitivity-{folder.name}", "sensitivity", say):
        peers = _beside(args, source, arch, target, results, state, settings) if args.peers else None
        workshop = Workshop(
            copy=partial(TreeCopy.make, source, folder / "tree", found.files),
            builder=builder,
            asks=ask.Asker(target, results / "locks", _pytest_options(args)),
            boot_image=arch.boot_image,
            images=folder / "images",
            logs=results / "logs",
            asking=ask.asking_key(target),
            beside=peers,
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
) -> Beside:
    """The selftests of the same tree, compiled, for --peers; without those that take tens of seconds."""
    archive = Archive(settings, say, f"sysevent sensitivity --peers --arch {arch.name}")
    log = results / "logs" / "selftests.log"
    suite = session.selftests(of_tree(source), arch, archive, jobs=args.jobs or 0, log=log, slow=False)
    suites = [suite]
    if args.kvm_unit_tests:
        log = results / "logs" / "kvm-unit-tests.log"
        suites.append(
            unit_tests.suite(Path(args.kvm_unit_tests), arch, archive, jobs=args.jobs or 0, log=log)
        )
    asks = ProgramAsker(target, suites, settings)
    return Beside(asks, beside.asking_key(target, suites), state, results / "logs")


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
