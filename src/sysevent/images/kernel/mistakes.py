"""Finds mistakes in a --kernel before anything runs, and proposes what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sysevent.arches import ARCHITECTURES
from sysevent.build import source_tree
from sysevent.errors import ImageError, UsageError
from sysevent.images import track_names
from sysevent.images.kernel import user_package
from sysevent.reading import read_start

# The name of a package with a kernel, and perhaps its version.
_PACKAGE = re.compile(r"linux-(?:image|binary)-\d[0-9a-z.+-]*(?:=[0-9A-Za-z.+~:-]+)?")
# The version of a Debian package: "6.12.94-1", "7.3~rc7-1~exp1". Names of tracks with a hyphen look alike.
_VERSION = re.compile(r"\d[0-9A-Za-z.+~:]*-[0-9A-Za-z.+~]+")


def check(spec: str, archs: Iterable[str]) -> None:
    """Raise UsageError for a --kernel that no selected target can boot, as far as that is seen at once.

    archs: the architectures of the selected targets that boot their kernel. A track must be known, a tree must have
    been built for one of the architectures, and a path must be a regular file that begins as a kernel image does.
    Whether Debian has a package or version is not checked, since that needs the mirror.
    """
    check_name(spec)
    kind, colon, rest = spec.partition(":")
    if colon and kind == "tree":
        _check_built(spec, Path(rest).expanduser(), list(archs))
    elif not colon or kind != "debian":
        _check_image(spec, Path(spec).expanduser())


def check_name(spec: str) -> None:
    """Raise UsageError for a --kernel that names neither a track, nor a kernel tree, nor a file.

    It needs the standard library alone, and neither the targets nor what is in the file.
    """
    kind, colon, rest = spec.partition(":")
    if colon and kind == "debian":
        if rest.startswith("linux-"):
            _check_package(spec, rest)
        elif not _VERSION.fullmatch(rest):
            track_names.require(spec)
    elif colon and kind == "tree":
        require_tree(spec, Path(rest).expanduser())
    else:
        require_file(spec, Path(spec).expanduser())


def _check_package(spec: str, package: str) -> None:
    if not _PACKAGE.fullmatch(package):
        raise UsageError(
            f"--kernel {spec}: not the name of a package with a kernel, as linux-image-6.12.94+deb13-rt-arm64, with "
            "=VERSION behind it or not; `apt-cache depends NAME` shows on which one a meta package depends"
        )


def check_modules(modules: str, kernels: Iterable[str]) -> None:
    """Raise UsageError if one of the kernels is Debian's, whose modules are in its package."""
    for spec in kernels:
        if spec.startswith("debian:"):
            raise UsageError(
                f"--modules {modules}: {spec} has its own modules; --modules goes with the path of a kernel image"
            )


def _check_built(spec: str, tree: Path, archs: list[str]) -> None:
    built = [arch.name for arch in ARCHITECTURES.values() if (tree / arch.boot_image).exists()]
    if set(archs).isdisjoint(built):
        wanted = " or ".join(ARCHITECTURES[arch].boot_image for arch in archs)
        state = f"it was built for {', '.join(built)}" if built else "run make there"
        raise UsageError(
            f"--kernel {spec} is not built for {' or '.join(archs)} ({wanted} is missing): {state}"
        )


def require_tree(spec: str, tree: Path) -> None:
    """Raise UsageError unless tree is the directory of a kernel's sources or of a build, as spec says."""
    if not tree.is_dir():
        what = "not a directory" if tree.exists() else "no such directory"
        raise UsageError(f"--kernel {spec}: {what}")
    if not _is_tree(tree):
        raise UsageError(f"--kernel {spec}: not a kernel tree, nor the O= directory of a build")


def _is_tree(path: Path) -> bool:
    return source_tree.is_kernel_tree(path) or (path / "include" / "config").is_dir()


def _check_image(spec: str, path: Path) -> None:
    # Here: check_name() does without it.
    from sysevent.images.kernel import bootfile

    try:
        path = user_package.image(path, spec) if path.is_dir() else path
        start = read_start(path, 1024, bootfile.FILE_MAX)
        if user_package.is_deb(start):
            # Here: few runs name a package.
            from sysevent.images.debian import deb

            deb.check(path)
            return
        bootfile.check_start(start, path.stat().st_size, f"--kernel {spec}")
    except OSError as error:
        raise UsageError(f"--kernel {spec} cannot be read: {error.strerror}") from None
    except ImageError as error:
        raise UsageError(str(error)) from None


def require_file(spec: str, path: Path) -> None:
    """Raise UsageError if the path that spec means does not exist, or is a directory without a package's kernel."""
    try:
        if path.is_dir():
            if user_package.images(path):
                return
            hint = f"for a kernel tree write tree:{spec}" if _is_tree(path) else "name an image in it"
            raise UsageError(f"--kernel {spec} is a directory: {hint}")
        # Not exists(): since Python 3.14 it is False for every error.
        path.stat()
        return
    except (FileNotFoundError, NotADirectoryError):
        pass
    # ValueError: of a path with a null character.
    except (OSError, ValueError) as error:
        raise UsageError(f"--kernel {spec} cannot be read: {error}") from None
    known = track_names.load()
    near = track_names.nearest(path.name, known)
    raise UsageError(
        f"--kernel {spec}: no such file{near}; expected the path of an image, tree:PATH, or one of {', '.join(known)}"
    )
