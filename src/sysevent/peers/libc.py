"""The static C library that the programs are linked with: Debian's, for cross compilers, downloaded and verified.

So a cross gcc alone must be installed. Bookworm's is taken everywhere: the ld of bookworm crashes on the static library
for riscv64 of trixie, and that of trixie links this one.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from pathlib import Path

from sysevent.arches import ARCHITECTURES, Architecture
from sysevent.errors import DownloadFailed, ImageError
from sysevent.images.debian import deb, track_resolution
from sysevent.images.debian.archive import FRESH, Archive
from sysevent.images.debian.package_index import Package

SUITE = "bookworm"
# Every index has the packages for all architectures; bookworm has no riscv64 of its own.
_ANY = ARCHITECTURES["x86_64"]
_PACKAGE = "libc6-dev-{debian}-cross"
_FILES = r"(?:\./)?usr/{triplet}/(?:include/.+\.h|lib/[^/]+\.[ao])"


def unpacked(arch: Architecture, archive: Archive) -> Path:
    """Return the directory with include/ and lib/ of the library for an architecture.

    Raises ImageError or a subclass when it cannot be obtained. The mirror is asked once.
    """
    cache = archive.cache
    package = _find(arch, archive)
    folder = cache.root / "peers" / f"libc-{arch.name}-{package.sha256[:24]}"
    with cache.lock(f"libc-{arch.name}", f"libc for {arch.name}", archive.progress):
        if not cache.is_intact(folder):
            blob = archive.deb(package, f"libc for {arch.name}")
            _unpack(blob, folder, arch)
            cache.seal_folder(folder)
    cache.touch(folder)
    return folder


def _unpack(package: Path, folder: Path, arch: Architecture) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".libc-") as draft:
            deb.extract(package, Path(draft), re.compile(_FILES.format(triplet=re.escape(arch.triplet))))
            found = Path(draft) / "usr" / arch.triplet
            if not (found / "lib/libc.a").is_file():
                raise ImageError(f"{package} holds no usr/{arch.triplet}/lib/libc.a; earlier versions did")
            shutil.rmtree(folder, ignore_errors=True)
            found.replace(folder)
    except OSError as error:
        raise ImageError(f"{package} cannot be unpacked to {folder.parent}: {error.strerror}") from None


def _find(arch: Architecture, archive: Archive) -> Package:
    """Return the package of an architecture, as the mirror had it when it was asked last."""
    name = _PACKAGE.format(debian=arch.debian)
    note = archive.cache.root / "peers" / f"{name}.json"
    known = archive.cache.read(note, tuple[Package, float])
    if known and (archive.settings.offline or time.time() - known[1] < FRESH):
        return known[0]
    wanted = re.compile(rb"^Package: %s$" % re.escape(name).encode(), re.MULTILINE)
    try:
        _, listed = track_resolution.fetch_listing(SUITE, _ANY, archive, refresh=False, wanted=wanted)
    except DownloadFailed:
        if known:
            return known[0]
        raise
    packages = listed.packages if listed else ()
    if not packages:
        raise ImageError(f"Debian {SUITE} has no package {name}")
    archive.cache.record(note, (packages[0], time.time()))
    return packages[0]
