"""Kits: real VMMs, such as QEMU, as sets of files for guests. Each is one archive that is appended to an initramfs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.errors import NotApplicable, UsageError
from sysevent.images.debian.archive import Archive
from sysevent.images.rootfs.kits import crates, given, kvmtool, packages, recipes
from sysevent.images.rootfs.kits.archive import Kit, all_stored
from sysevent.model import Progress
from sysevent.nearest import hint
from sysevent.option_table import VMMS
from sysevent.settings import Settings

__all__ = ["Kit", "Wanted", "all_stored", "kit", "wanted"]

_DEBIAN = {recipe.name: recipe for recipe in recipes.QEMU}
_CRATES = {recipe.name: recipe for recipe in recipes.CRATES}


class Wanted(msgspec.Struct, frozen=True):
    """A VMM that a user wants: of one with a name, or a program or source tree of the user's own."""

    name: str
    # The program, or the tree of kvmtool; None: it comes from Debian.
    source: Path | None = None


def wanted(words: Sequence[str], tree: str | None = None) -> tuple[Wanted, ...]:
    """Return the VMMs that --vmm and --kvmtool name, each once; a program for each architecture can have one name.

    UsageError for a program that cannot run in a guest of any architecture, and for a tree that is not kvmtool's.
    Nothing is asked over the network, and nothing is built.
    """
    found: dict[Wanted, None] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if equals:
            _check(name, Path(path))
            found[Wanted(name, Path(path).expanduser().absolute())] = None
        elif name == recipes.KVMTOOL and tree is not None:
            continue
        else:
            found[Wanted(name)] = None
    if tree is not None:
        kvmtool.check(Path(tree).expanduser())
        found[Wanted(recipes.KVMTOOL, Path(tree).expanduser().absolute())] = None
    return tuple(found)


def _check(name: str, path: Path) -> None:
    program = given.content(name, path)
    given.libraries(name, path, program, given.architecture(name, path, program))


def kit(
    name: str, arch: Architecture, settings: Settings, progress: Progress, source: Path | None = None
) -> Kit:
    """Return the kit called name for guests of an architecture: from the cache, or made, which can take minutes.

    source: the program of the user's, or the source tree of kvmtool. UsageError for a name that is not known, and for
    a source that cannot be used. Raises NotApplicable when it cannot be had for this architecture, with what would
    help; ImageError or a subclass when a file of it cannot be obtained; BuildFailed or ToolMissing when it cannot be
    compiled.
    """
    archive = Archive(settings, progress, f"sysevent images fetch --vmm {name} --arch {arch.name}")
    if name == recipes.KVMTOOL and source is not None:
        return kvmtool.kit(source, arch, archive)
    if source is not None:
        return given.kit(name, source, arch, settings, progress)
    if name in _DEBIAN:
        return packages.kit(_DEBIAN[name], arch, archive)
    if name in _CRATES:
        return crates.kit(_CRATES[name], arch, archive)
    if name in VMMS:
        raise NotApplicable(f"{name} is in no suite of Debian: {VMMS[name]} brings it")
    raise UsageError(
        f"no VMM is called {name}{hint(name, VMMS)}; expected one of {', '.join(VMMS)}, or NAME=PATH"
    )
