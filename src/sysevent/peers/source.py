"""The source that the programs are compiled from: that of the kernel that is asked, and of no other.

A program of another release expects other things: psci_test of 7.2 aborts on 6.12.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES, Architecture
from sysevent.build import output_directory, source_tree
from sysevent.errors import UsageError
from sysevent.images.debian import linux_source
from sysevent.images.debian.archive import Archive
from sysevent.model import KernelImage
from sysevent.peers import programs

# What the Makefile of the programs reads, below these folders: since 7.2 also libraries of other selftests.
_FOLDERS = (
    "arch/arm64/tools", "tools/arch", "tools/build", "tools/include", "tools/lib", "tools/scripts",
    "tools/testing/selftests",
)  # fmt: skip
_PROGRAMS = (
    r"scripts/subarch\.include|arch/arm64/tools/.+|tools/(?:arch|build|include|scripts)/.+|tools/lib/[^/]+\.[ch]|"
    r"tools/testing/selftests/(?:kvm/.+|rseq/.+|[^/]+/lib/.+|.+\.h|[^/]+)"
)
_KERNELS = "|".join(arch.kernel for arch in ARCHITECTURES.values())
# What `make headers_install` reads besides.
_HEADERS = (
    r"Makefile|Kbuild|scripts/.+|include/uapi/.+|"
    rf"arch/(?:{_KERNELS})/(?:Makefile[^/]*|include/uapi/.+|include/asm/Kbuild|(?:entry|kernel)/syscalls/.+|tools/.+)"
)
_FOR_PROGRAMS = re.compile(_PROGRAMS)
NEEDED = re.compile(f"{_PROGRAMS}|{_HEADERS}")
"""Matches the paths of a kernel's source that are needed: 15 MB of 1500."""


class Source(msgspec.Struct, frozen=True):
    """A directory with the source, or with what is needed of it."""

    root: Path
    # For records: "linux-source 6.12.117-1", "tree:/home/me/linux (6.12.117)".
    name: str

    def has(self, path: str) -> bool:
        """Return whether the programs' folder has a file."""
        return (self.root / programs.FOLDER / path).is_file()


def find(kernel: KernelImage, tree: Path | None, arch: Architecture, archive: Archive) -> Source:
    """Return the source of a kernel: the tree that the user named for it, its own tree, or Debian's package.

    UsageError if the kernel is a file, whose source is not known; NotApplicable for an output directory (O=) whose
    source is gone, and if Debian has no source of that version.
    """
    kind, _, rest = kernel.spec.partition(":")
    if tree is None and kind == "tree":
        tree = Path(rest).expanduser()
        if output_directory.is_output_directory(tree):
            tree = output_directory.source(tree, arch)
    if tree is not None:
        return of_tree(tree)
    if not kernel.version:
        raise UsageError(f"{kernel.spec}: the source of its selftests is not known: name it with --tree DIR")
    root = linux_source.unpacked(kernel.version, NEEDED, archive)
    return Source(root, f"linux-source {kernel.version}")


def of_tree(tree: Path) -> Source:
    """Return a kernel tree as a source; UsageError if it has no programs."""
    root = tree.expanduser().resolve()
    if not (root / programs.FOLDER).is_dir():
        raise UsageError(f"{tree}: no kernel tree with {programs.FOLDER}")
    return Source(root, f"tree:{root} ({source_tree.version(root)})")


def copy(source: Source, target: Path) -> str:
    """Copy what compiling reads into a directory, and return the SHA-256 of it."""
    total = hashlib.sha256()
    for path in _files(source.root):
        data = (source.root / path).read_bytes()
        total.update(f"{path}\0{len(data)}\0".encode() + data)
        to = target / path
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(data)
        shutil.copymode(source.root / path, to)
    return total.hexdigest()


def _files(root: Path) -> Iterator[str]:
    """The files of a source that compiling reads, in a fixed order."""
    found = [str(path.relative_to(root)) for folder in _FOLDERS for path in (root / folder).rglob("*")]
    found.append("scripts/subarch.include")
    return (name for name in sorted(found) if _FOR_PROGRAMS.fullmatch(name) and (root / name).is_file())
