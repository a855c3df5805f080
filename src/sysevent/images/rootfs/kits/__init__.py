"""Kits: real VMMs, such as QEMU, as sets of files for guests. Each is one archive that is appended to an initramfs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sysevent.arches import Architecture
from sysevent.errors import NotApplicable, UsageError
from sysevent.images.debian.archive import Archive
from sysevent.images.rootfs.kits import crates, given, kvmtool, packages, recipes
from sysevent.images.rootfs.kits.archive import Kit, all_stored
from sysevent.model import Progress
from sysevent.nearest import hint
from sysevent.option_table import VMMS
from sysevent.option_values import ORIGINS
from sysevent.settings import Settings

__all__ = ["Kit", "all_stored", "kit", "wanted"]

_DEBIAN = {recipe.name: recipe for recipe in recipes.QEMU}
_CRATES = {recipe.name: recipe for recipe in recipes.CRATES}


def wanted(words: Sequence[str], tree: str | None = None) -> tuple[str, ...]:
    """Return the VMMs that --vmm and --kvmtool name, as kit() takes them, each once, with absolute paths.

    A name can have a program for each architecture. UsageError for a program that can run in guests of none, and for
    a tree that is not kvmtool's. Nothing is asked over the network, and nothing is built.
    """
    found: dict[str, None] = {}
    trees = [f"{recipes.KVMTOOL}={tree}"] if tree is not None else []
    for word in (*words, *trees):
        name, equals, path = word.partition("=")
        if not equals and not (trees and name == recipes.KVMTOOL):
            found[name] = None
        elif equals:
            source = Path(path).expanduser().absolute()
            _check(name, source)
            found[f"{name}={source}"] = None
    return tuple(found)


def _check(name: str, path: Path) -> None:
    if name == recipes.KVMTOOL:
        kvmtool.check(path)
        return
    program = given.content(name, path)
    given.libraries(name, path, program, given.architecture(name, path, program))


def kit(spec: str, arch: Architecture, settings: Settings, progress: Progress) -> Kit:
    """Return a kit for guests of an architecture: from the cache, or made, which can take minutes.

    spec: its name, or NAME=PATH of the user's program; kvmtool=PATH is a source tree. UsageError for a name that is
    not known, and for a path that cannot be used. Raises NotApplicable when it cannot be had for this architecture,
    with what would help; ImageError or a subclass when a file of it cannot be obtained; BuildFailed or ToolMissing
    when it cannot be compiled.
    """
    name, equals, path = spec.partition("=")
    archive = Archive(settings, progress, f"sysevent images fetch --vmm {spec} --arch {arch.name}")
    if equals and name == recipes.KVMTOOL:
        return kvmtool.kit(Path(path).expanduser(), arch, archive)
    if equals:
        return given.kit(name, Path(path), arch, settings, progress)
    if name in _DEBIAN:
        return packages.kit(_DEBIAN[name], arch, archive)
    if name in _CRATES:
        return crates.kit(_CRATES[name], arch, archive)
    if name in VMMS:
        raise NotApplicable(f"no suite of Debian has {name}; {ORIGINS[name]}, and give it with {VMMS[name]}")
    raise UsageError(
        f"no VMM is called {name}{hint(name, VMMS)}; expected one of {', '.join(VMMS)}, or NAME=PATH"
    )
