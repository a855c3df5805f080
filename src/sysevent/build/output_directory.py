"""Where the source tree is from which a kernel was built elsewhere (`make O=DIR`), and whether it is still the same.

kbuild leaves two traces of it in the output directory: the symbolic link `source`, and a Makefile that includes the
source tree's (the rule outputmakefile of the top Makefile). Both are relative to the output directory if that is a
subdirectory of the source tree.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sysevent.arches import Architecture
from sysevent.build import source_tree
from sysevent.errors import NotApplicable

_INCLUDE = re.compile(r"^include +(\S+)/Makefile$", re.MULTILINE)
# What a release is, without the names that EXTRAVERSION, CONFIG_LOCALVERSION and git add to it.
_VERSION = re.compile(r"^\d+\.\d+\.\d+(?:-rc\d+)?")


def is_output_directory(directory: Path) -> bool:
    """Return whether a directory has the link or the Makefile that kbuild leaves where it builds for O=."""
    return not source_tree.is_kernel_tree(directory) and bool(_named_sources(directory))


def source(directory: Path, arch: Architecture) -> Path:
    """Return the source tree of the kernel that was built in an output directory.

    The link counts before the Makefile, because it can be corrected by hand. Raises NotApplicable, with what to do, if
    the kernel was built for another architecture than arch, if the source tree is not there, and if it has another
    version now than the kernel that was built from it.
    """
    _check_architecture(directory, arch)
    named = _named_sources(directory)
    found = next((tree for tree in named if source_tree.is_kernel_tree(tree)), None)
    if found is None:
        raise NotApplicable(
            f"tree:{directory} was built from {named[0]}, which is not a kernel tree any more; if the tree was moved: "
            f"ln -sfn /path/to/linux {directory / 'source'}"
        )
    built, now = _built_version(directory), source_tree.version(found)
    if built and _base(built) != _base(now):
        raise NotApplicable(
            f"tree:{directory} was built from version {built}, and its source tree {found} has version "
            f"{now or 'unknown'} now, whose headers are not those of this kernel; build it again, or check out {built} "
            "there"
        )
    return found


def _named_sources(directory: Path) -> list[Path]:
    """Return where the source tree is or was, as the link and the Makefile have it."""
    found = []
    link = directory / "source"
    if link.is_symlink():
        found.append(os.path.realpath(link))
    try:
        makefile = (directory / "Makefile").read_text(encoding="utf-8", errors="replace")
    except OSError:
        makefile = ""
    found += [os.path.realpath(directory / name) for name in _INCLUDE.findall(makefile)]
    return [Path(path) for path in dict.fromkeys(found)]


def _check_architecture(directory: Path, arch: Architecture) -> None:
    """Raise NotApplicable if the configuration of the build is one for another architecture."""
    try:
        config = (directory / ".config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    # CONFIG_X86, CONFIG_ARM64, CONFIG_RISCV
    symbol = f"CONFIG_{arch.kernel.upper()}=y"
    if symbol not in config.splitlines():
        raise NotApplicable(
            f"tree:{directory} was built for another architecture than {arch.name}: {symbol} is not in its .config"
        )


def _built_version(directory: Path) -> str:
    """Return the release of the kernel that was built; "" if it does not say."""
    try:
        text = (directory / "include/config/kernel.release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.strip()


def _base(release: str) -> str:
    """Return a release without what configurations and distributions add to it: "6.13.0-rc1" of "6.13.0-rc1-mine+"."""
    found = _VERSION.match(release)
    return found[0] if found else release
