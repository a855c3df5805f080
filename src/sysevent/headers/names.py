"""What --kernel can name whose headers are read: found out at once, without a download or a compiler."""

from __future__ import annotations

from pathlib import Path

from sysevent.build import output_directory, source_tree
from sysevent.errors import UsageError
from sysevent.images import track_names

MACHINE = "machine"
_EXPORTED = Path("include/linux/kvm.h")


def check(spec: str) -> None:
    """Raise UsageError for a spec that names no headers: of no track, or of a directory without headers."""
    kind, colon, rest = spec.partition(":")
    if colon and kind == "tree":
        require_tree(Path(rest).expanduser())
    elif colon and kind == "debian":
        track_names.require(spec)
    elif spec != MACHINE and f"{track_names.PREFIX}{spec}" not in (known := track_names.load()):
        raise UsageError(
            f"{spec} names no headers{track_names.nearest(spec, known)}; expected {', '.join(known)}, "
            f"tree:PATH (a kernel tree), or {MACHINE} (/usr/include)"
        )


def exported(directory: Path) -> Path | None:
    """Return the directory with the include/ of exported headers: that of a built tree, or INSTALL_HDR_PATH."""
    return next((root for root in (directory / "usr", directory) if (root / _EXPORTED).is_file()), None)


def require_tree(tree: Path) -> None:
    """Raise UsageError unless a directory has headers: exported ones, or in a kernel tree, or in that of a build."""
    if not tree.is_dir():
        what = "not a directory" if tree.exists() else "no such directory"
        raise UsageError(f"tree:{tree}: {what}")
    if not (source_tree.is_kernel_tree(tree) or output_directory.is_output_directory(tree) or exported(tree)):
        raise UsageError(
            f"tree:{tree} is neither a kernel tree, nor an output directory (O=) of one, nor a directory with "
            "exported headers"
        )
