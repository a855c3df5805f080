"""Builds a user's kernel tree as it is on disk, edits included, in a directory of the cache that is kept.

`sysevent run --build` and `sysevent bisect run` share the directory, so that each only compiles what changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent import tool_paths
from sysevent.arches import ARCHITECTURES, Architecture
from sysevent.build import proof, source_tree
from sysevent.build.kernel import BuiltKernel
from sysevent.cache import Cache
from sysevent.model import Progress
from sysevent.settings import Settings

# Beside the builds of whole searches: a build directory belongs to one source directory. Kernels with another
# configuration have one of their own, so that neither is built again after the other.
_BUILD, _COVERAGE = "here", "coverage"


class Builder(Protocol):
    """What builds the kernel of a tree: build.kernel.KernelBuilder, or a fake."""

    def build(self, tree: Path, log: Path) -> BuiltKernel: ...


class Build(msgspec.Struct, frozen=True):
    """A kernel of one architecture, and what identifies it."""

    arch: Architecture
    # The output directory of make (O=).
    output: Path
    # In hexadecimal, of the kernel that was linked; "" if it has none.
    build_id: str
    # All of the build.
    seconds: float
    # Remarks for the user.
    notes: tuple[str, ...] = ()

    @property
    def image(self) -> Path:
        """The boot image."""
        return self.output / self.arch.boot_image


def require(directory: Path, named: str) -> Path:
    """Return the absolute path of a kernel tree that is built as it is on disk.

    UsageError, which begins with what the user wrote, if it is none, or if make cannot build it.
    """
    return tool_paths.require(source_tree.require(directory, named), named)


def work_directory(tree: Path, arch: str, settings: Settings) -> Path:
    """The directory in which revisions of a tree are checked out and built. It stays: the next build is shorter.

    UsageError if make cannot work in the cache.
    """
    return tool_paths.directory(settings.cache, "bisect", tree.resolve(), arch)


@contextlib.contextmanager
def locked(
    tree: Path, arch: str, settings: Settings, progress: Progress, *, coverage: bool = False
) -> Iterator[Path]:
    """Hold the lock of a tree's builds for an architecture, and give the directory to build in.

    Hold it as long as the kernel is used: another process would build over it.
    """
    folder = work_directory(tree, arch, settings)
    with Cache(settings.cache).lock(f"bisect-{folder.name}", f"building {tree}", progress):
        yield folder / (_COVERAGE if coverage else _BUILD)


def build(tree: Path, arch: Architecture, builder: Builder, log: Path) -> Build:
    """Build a tree's kernel; make's output goes to log. Raises what KernelBuilder.build() raises."""
    built = builder.build(tree, log)
    output = Path(built.spec.partition(":")[2])
    return Build(arch, output, proof.of_vmlinux(output / "vmlinux"), sum(built.seconds.values()), built.notes)


def concerned(files: tuple[str, ...]) -> tuple[str, ...]:
    """The architectures that edits of these files of a tree can concern: of our own, in the order of their table.

    One only if all files are below its arch/ directory; all architectures if there are no edits, or edits elsewhere.
    """
    below = [arch.name for arch in ARCHITECTURES.values() for file in files if _belongs(file, arch)]
    chosen = tuple(dict.fromkeys(below))
    return chosen if files and len(below) == len(files) else tuple(ARCHITECTURES)


def _belongs(file: str, arch: Architecture) -> bool:
    return file.startswith(f"arch/{arch.kernel}/")
