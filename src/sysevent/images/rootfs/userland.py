"""Programs of Debian's for a guest: a shell, an SSH server. Had and verified like kernels, kept unpacked.

userland/SUITE-ARCH.json   which packages the suite has, and the signed index that says so
userland/HASH.bin          the files wanted of one of them, with their own hash in front
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.errors import DownloadFailed, ImageError
from sysevent.images.debian import deb, track_package
from sysevent.images.debian.archive import FRESH, Archive
from sysevent.images.debian.package_index import Package
from sysevent.images.download import Gone
from sysevent.model import Progress
from sysevent.settings import Settings

SUITE = "trixie"  # the first with riscv64

# Package -> path in the guest -> path in the package, where a library is found by its soname. As in the packages of
# 2026-11.
_SHELL = {"busybox-static": {"bin/busybox": "usr/bin/busybox"}}
_LIBRARY = "usr/lib/{triplet}/{name}"
_SERVER = {
    "dropbear-bin": {"bin/dropbear": "usr/sbin/dropbear"},
    "libc6": {"lib/libc.so.6": _LIBRARY},
    "libcrypt1": {"lib/libcrypt.so.1": _LIBRARY},
    "libtomcrypt1": {"lib/libtomcrypt.so.1": _LIBRARY},
    "libtommath1": {"lib/libtommath.so.1": _LIBRARY},
    "libgmp10": {"lib/libgmp.so.10": _LIBRARY},  # which libtomcrypt needs
    "zlib1g": {"lib/libz.so.1": _LIBRARY},
}
_NAMES = tuple(sorted({*_SHELL, *_SERVER}))
_WANTED = re.compile(rb"^Package: (?:%s)$" % "|".join(map(re.escape, _NAMES)).encode(), re.MULTILINE)
_FORMAT = "1"  # of the kept files; part of their names

Files = dict[str, bytes]
"""Path in the guest -> content."""


class Known(msgspec.Struct, frozen=True):
    """What a suite had of our packages when the mirror was last asked."""

    mirror: str  # as the settings had it; "" for the machine's own
    keyring: str  # likewise
    index: str  # hash of the package index
    packages: dict[str, Package]
    checked: float  # Unix time


def shell(arch: Architecture, settings: Settings, progress: Progress) -> Files:
    """BusyBox, linked statically: bin/busybox, which plays every program as which it is called."""
    return _files(_SHELL, arch, Archive(settings, progress, "sysevent shell TARGET"))


def server(arch: Architecture, settings: Settings, progress: Progress) -> Files:
    """Dropbear, an SSH server that brings no SFTP along, with the libraries that it needs."""
    libc = {**_SERVER["libc6"], arch.loader: _LIBRARY}
    archive = Archive(settings, progress, "CI=1 ./sysevent test tests/system")
    return _files({**_SERVER, "libc6": libc}, arch, archive)


def _files(contents: Mapping[str, Mapping[str, str]], arch: Architecture, archive: Archive) -> Files:
    try:
        return _had(contents, arch, archive, _packages(arch, archive, refresh=False))
    except Gone as error:
        archive.progress(f"Debian {SUITE} {arch.debian}: {error}; asking for the index anew")
        return _had(contents, arch, archive, _packages(arch, archive, refresh=True))


def _had(
    contents: Mapping[str, Mapping[str, str]],
    arch: Architecture,
    archive: Archive,
    packages: Mapping[str, Package],
) -> Files:
    files: Files = {}
    for name, paths in contents.items():
        if name not in packages:
            raise ImageError(f"Debian {SUITE} has no package {name} for {arch.debian}")
        places = {
            there: path.format(triplet=arch.triplet, name=Path(there).name) for there, path in paths.items()
        }
        files |= _out_of(packages[name], places, archive)
    return files


def _packages(arch: Architecture, archive: Archive, *, refresh: bool) -> Mapping[str, Package]:
    """The packages of today; the mirror is asked once a day, never offline, and done without when it fails."""
    cache, settings = archive.cache, archive.settings
    path = cache.root / "userland" / f"{SUITE}-{arch.name}.json"
    asked = (settings.mirror or "", str(settings.keyring or ""))
    known = cache.read(path, Known)
    if known and ((known.mirror, known.keyring) != asked or not set(_NAMES) <= known.packages.keys()):
        known = None
    if known and not refresh and (settings.offline or time.time() - known.checked < FRESH):
        return known.packages
    label = f"Debian {SUITE} {arch.debian}"
    with cache.lock(f"userland-{arch.name}", label, archive.progress):
        try:
            # With an answer in hand, nobody should wait long for a mirror that does not answer.
            patient = msgspec.structs.replace(archive, patience=1) if known and not refresh else archive
            suite, listed = track_package.listing(SUITE, arch, patient, refresh=refresh, wanted=_WANTED)
        except DownloadFailed as error:
            if known is None or refresh:
                raise
            archive.progress(f"{label}: the mirror fails ({error}); using what it had before")
            return known.packages
        if listed is None:
            raise ImageError(f"Debian {SUITE} has nothing for {arch.debian}")
        found = {package.name: package for package in listed.packages}  # a suite has one version of each
        cache.record(path, Known(*asked, listed.sha256, found, suite.checked))
        return found


def _out_of(package: Package, places: Mapping[str, str], archive: Archive) -> Files:
    """Files of a package, unpacked once: places is path in the guest -> path in the package."""
    cache = archive.cache
    told = [_FORMAT, package.sha256, *(f"{there}={path}" for there, path in sorted(places.items()))]
    kept = cache.root / "userland" / f"{hashlib.sha256(chr(0).join(told).encode()).hexdigest()}.bin"
    if (found := read(kept)) is not None:
        return found
    blob = archive.deb(package, f"Debian {SUITE}")
    folders = cache.root / "parts"
    folders.mkdir(parents=True, exist_ok=True)
    # A library's soname is a link to a name with more numbers.
    names = "|".join(rf"{re.escape(path)}[.\d]*" for path in places.values())
    with tempfile.TemporaryDirectory(dir=folders, prefix="userland-") as folder:
        deb.extract(blob, Path(folder), re.compile(rf"(?:\./)?(?:{names})"))
        found = {}
        for there, path in places.items():
            try:
                found[there] = (Path(folder) / path).read_bytes()
            except OSError:
                raise ImageError(f"{package.filename} holds no {path}, as it once did") from None
    payload = msgspec.msgpack.encode(found)
    cache.write(kept, hashlib.sha256(payload).digest() + payload)
    return found


def read(kept: Path) -> Files | None:
    """What was kept in a file; None when it is not there or not what was written."""
    try:
        data = kept.read_bytes()
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            return None
        os.utime(kept)  # prune keeps what was used lately
    except OSError:
        return None
    return msgspec.msgpack.decode(data[32:], type=Files)
