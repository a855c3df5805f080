"""Kernels in packages that a user names with --kernel: a .deb file, or the directory of any unpacked package."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sysevent.errors import ImageError, UsageError

# A name on the command line is checked with the standard library alone.
if TYPE_CHECKING:
    from sysevent.cache import Cache

# Where packages have their kernel: Debian and Ubuntu, then Debian from 7.x on, Fedora, openSUSE and Arch.
_PLACES = (
    "boot/vmlinuz-*",
    "boot/vmlinux-*",
    "lib/modules/*/vmlinuz",
    "usr/lib/modules/*/vmlinuz",
    "vmlinuz",
)
_DEB = b"!<arch>\n"
# "vmlinuz-6.12.1-amd64": the kernel release is behind the first hyphen.
_NAME = re.compile(r"vmlinu[xz]-(.+)")


def is_deb(start: bytes) -> bool:
    """Return whether a file that begins so is a Debian package."""
    return start.startswith(_DEB)


def images(directory: Path) -> Sequence[Path]:
    """Return the kernel images of a package that was unpacked in a directory, also the one of lib/modules/R itself."""
    return [path for place in _PLACES for path in sorted(directory.glob(place)) if path.is_file()]


def image(directory: Path, spec: str) -> Path:
    """Return the one kernel image of an unpacked package; UsageError if it has several, or none."""
    found = images(directory)
    if len({path.read_bytes() for path in found} if len(found) < 9 else found) == 1:
        return found[0]
    names = (
        ", ".join(str(path.relative_to(directory)) for path in found[:9]) or f"none of {', '.join(_PLACES)}"
    )
    raise UsageError(f"--kernel {spec} is a directory with {len(found)} kernels: name one of them ({names})")


def modules(directory: Path, image: Path) -> Path | None:
    """Return the directory of the modules of a kernel in an unpacked package; None if it has none."""
    named = _NAME.fullmatch(image.name)
    releases = [named[1]] if named else [image.parent.name]
    places = [
        directory / below / release for below in ("lib/modules", "usr/lib/modules") for release in releases
    ]
    places += [] if named else [image.parent]
    return next((place for place in places if (place / "kernel").is_dir()), None)


def stored(package: Path, cache: Cache) -> Path:
    """Return the copy of a package in the cache, where its modules are read from; ImageError if there is no place."""
    from sysevent.digests import digest

    try:
        sha256 = digest(package)
        blob = cache.blob(sha256)
        if blob.exists():
            return blob
        part = cache.part(sha256)
        part.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package, part)
    except OSError as error:
        raise ImageError(f"cannot copy {package} to the cache: {error.strerror}") from None
    return cache.adopt(part, sha256)
