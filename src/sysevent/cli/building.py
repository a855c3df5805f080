"""What `sysevent run --build` does before it starts pytest: it builds the user's kernel tree.

Everything that can be known without a build is checked first, because a build can take minutes. Only what pytest would
refuse is found out while make runs: that ends make, and a first build waits for it.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES, Architecture, architecture
from sysevent.build import kconfig, producers, source_tree, user_tree
from sysevent.build.kernel import KernelBuilder
from sysevent.build.user_tree import Build, Builder
from sysevent.cli import preview, say
from sysevent.contract.terms import Terms
from sysevent.doctor.requirements import ensure_kernel_build, ensure_qemu
from sysevent.errors import KernelNotBuilt, UsageError
from sysevent.images.kernel.identity import file_build_id
from sysevent.pytest_process import import_beside
from sysevent.report import run_log
from sysevent.settings import Settings, from_environment
from sysevent.targets import spec

MakeBuilder = Callable[..., Builder]
"""KernelBuilder with its reader of build IDs, or a fake."""


def programs(arch: Architecture, install: bool) -> None:
    """UsageError with the line to paste if a program is missing that builds a kernel, boots it or exports its headers.

    install: install a missing QEMU.
    """
    ensure_qemu([arch.name], say, install=install)
    # make headers_install calls rsync.
    ensure_kernel_build(arch, ("rsync",))


class Services(msgspec.Struct, frozen=True):
    """What a build needs of this machine; tests replace it."""

    make_builder: MakeBuilder = partial(KernelBuilder, build_id=file_build_id)
    ensure_programs: Callable[[Architecture, bool], None] = programs
    collect: preview.Collect = preview.collect
    import_pytest: Callable[[], object] = import_beside


def build_first(
    args: argparse.Namespace, jobs: int | None, locks: contextlib.ExitStack, services: Services | None = None
) -> dict[str, Path]:
    """Build the tree of --build, and return the output directory of each architecture; their locks go to locks.

    UsageError before a kernel is built. KernelNotBuilt with the compiler's errors, and what else
    KernelBuilder.build() raises: nothing is asked then.
    """
    services = services or Services()
    tree = user_tree.require(Path(args.build), f"--build {args.build}")
    _check(args)
    archs = architectures(args, tree, services, install=args.install_deps)
    settings = from_environment()
    outputs = {name: user_tree.work_directory(tree, name, settings) for name in archs}
    # Each run of --repeat has a process of its own.
    if args.repeat is None:
        services.import_pytest()
    with preview.beside(args, outputs, services.collect) as previewed:
        return {
            name: build(tree, architecture(name), settings, jobs, locks, services, previewed).output
            for name in archs
        }


def _check(args: argparse.Namespace) -> None:
    """UsageError for what pytest would refuse after the build."""
    if args.kernel or args.modules:
        raise UsageError("--build asks the kernel that it builds: leave out --kernel and --modules")
    Terms.of(args.floor, args.strict_observed)
    if args.results and run_log.path_in(Path(args.results).expanduser()).exists():
        raise UsageError(f"--results {args.results} holds another run's results: name a new directory")


def architectures(
    args: argparse.Namespace, tree: Path, services: Services, *, install: bool = False
) -> list[str]:
    """Return the architectures to build for: those of --target and --arch, by default those that the edits concern.

    By default, one that cannot be built or booted here is left out, with a line that says why. UsageError if none is
    left. install: install a missing QEMU.
    """
    chosen = spec.select(spec.known(args.targets), args.target, args.arch, [])
    guests = {row.arch for row in chosen if row.booted}
    if not guests:
        names = ", ".join(row.name for row in chosen)
        raise UsageError(f"--build: {names} boots no kernel; select a target in QEMU")
    archs = [name for name in ARCHITECTURES if name in guests]
    explicit = bool(args.target or args.arch)
    if not explicit:
        edited = user_tree.concerned(source_tree.changed_files(tree))
        archs = [name for name in archs if name in edited] or archs
        if len(archs) < len(guests):
            say(f"{', '.join(archs)} only, where the uncommitted changes are; --arch names others")
    return _buildable(archs, services, install, explicit=explicit)


def _buildable(archs: Sequence[str], services: Services, install: bool, *, explicit: bool) -> list[str]:
    """Those of archs that can be built and booted. UsageError if none can, or if one cannot that the user named."""
    obstacles: dict[str, UsageError] = {}
    for name in archs:
        try:
            services.ensure_programs(architecture(name), install)
        except UsageError as error:
            obstacles[name] = error
    if obstacles and (explicit or len(obstacles) == len(archs)):
        raise next(iter(obstacles.values()))
    for name, why in obstacles.items():
        say(f"{name} is left out: {why}")
    return [name for name in archs if name not in obstacles]


def build(
    tree: Path,
    arch: Architecture,
    settings: Settings,
    jobs: int | None,
    locks: contextlib.ExitStack,
    services: Services | None = None,
    previewed: preview.Preview | None = None,
    *,
    coverage: bool = False,
) -> Build:
    """Build for one architecture, and say which kernel it is; its lock goes to locks.

    What previewed raises ends the build. coverage: the kernel records what it executes of the producers. Raises what
    KernelBuilder.build() raises.
    """

    def progress(line: str) -> None:
        say(f"{arch.name}: {line}")

    folder = locks.enter_context(user_tree.locked(tree, arch.name, settings, progress, coverage=coverage))
    if not folder.exists():
        if previewed:
            previewed.wait()
        progress(f"the first build of {tree} compiles everything, which takes a few minutes")
    more: dict[str, object] = {"watch": previewed.look} if previewed else {}
    if coverage:
        more |= {"fragments": [kconfig.COVERAGE], "variables": producers.instrument(arch.name)}
    builder = (services or Services()).make_builder(arch, folder, progress, jobs=jobs, **more)
    try:
        built = user_tree.build(tree, arch, builder, folder / "build.log")
    except KernelNotBuilt as error:
        raise KernelNotBuilt(f"{arch.name}: {error}") from error
    for note in built.notes:
        progress(note)
    progress(f"built in {built.seconds:.1f} s: {built.image}, build ID {built.build_id or 'unknown'}")
    return built
