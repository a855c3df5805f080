"""Kits: real VMMs, such as QEMU, as sets of files for guests. Each is one archive that is appended to an initramfs."""

from __future__ import annotations

from sysevent.arches import Architecture
from sysevent.errors import UsageError
from sysevent.images.debian.archive import Archive
from sysevent.images.rootfs.kits import packages, recipes
from sysevent.images.rootfs.kits.archive import Kit, all_stored
from sysevent.model import Progress
from sysevent.nearest import hint
from sysevent.settings import Settings

__all__ = ["Kit", "all_stored", "kit"]


def kit(name: str, arch: Architecture, settings: Settings, progress: Progress) -> Kit:
    """Return the kit called name for guests of an architecture: from the cache, or made, which takes up to a minute.

    UsageError for a name that is not known. Raises NotApplicable when it cannot be had for this architecture, with
    what would help, and ImageError or a subclass when a file of it cannot be obtained.
    """
    recipe = next((recipe for recipe in recipes.QEMU if recipe.name == name), None)
    if recipe is None:
        known = list(recipes.ORIGINS)
        raise UsageError(
            f"no VMM is called {name}{hint(name, known)}; expected one of {', '.join(known)}, or NAME=PATH"
        )
    archive = Archive(settings, progress, f"sysevent images fetch --vmm {name} --arch {arch.name}")
    return packages.kit(recipe, arch, archive)
