"""Debian's programs for a guest: a shell, an SSH server. Downloaded and verified like kernels, cached unpacked.

userland/SUITE-ARCH.json   the packages in the suite, and the hash of the signed index that lists them
userland/HASH.bin          files of one package
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.errors import DownloadFailed, ImageError
from sysevent.images.debian import deb, track_resolution
from sysevent.images.debian.archive import FRESH, Archive
from sysevent.images.debian.package_index import Package
from sysevent.images.download import Gone
from sysevent.model import Progress
from sysevent.settings import Settings

# The first suite with riscv64.
SUITE = "trixie"

# Package -> path in the guest -> path in the package; a library has its soname for a name. As in the packages of
# 2026-11.
_SHELL = {"busybox-static": {"bin/busybox": "usr/bin/busybox"}}
_LIBRARY = "usr/lib/{triplet}/{name}"
_SERVER = {
    "dropbear-bin": {"bin/dropbear": "usr/sbin/dropbear"},
    "libc6": {"lib/libc.so.6": _LIBRARY},
    "libcrypt1": {"lib/libcrypt.so.1": _LIBRARY},
    "libtomcrypt1": {"lib/libtomcrypt.so.1": _LIBRARY},
    "libtommath1": {"lib/libtommath.so.1": _LIBRARY},
    # Needed by libtomcrypt.
    "libgmp10": {"lib/libgmp.so.10": _LIBRARY},
    "zlib1g": {"lib/libz.so.1": _LIBRARY},
}
_NAMES = tuple(sorted({*_SHELL, *_SERVER}))
_WANTED = re.compile(rb"^Package: (?:%s)$" % "|".join(map(re.escape, _NAMES)).encode(), re.MULTILINE)
# Version of the cached files' format; part of their names.
_FORMAT = "2"

Files = dict[str, bytes]
"""Path in the guest -> content."""


class SuitePackages(msgspec.Struct, frozen=True):
    """The packages of the suite that are used here, as of the last time the mirror was asked."""

    # As the settings had it; "" for the one in this machine's apt configuration.
    mirror: str
    # As the settings had it; "" for the installed one.
    keyring: str
    # Hash of the package index.
    index: str
    # By name.
    packages: dict[str, Package]
    # Unix time.
    checked: float


def shell(arch: Architecture, settings: Settings, progress: Progress) -> Files:
    """Return BusyBox, linked statically: bin/busybox, which acts as the program by whose name it is called.

    Raises ImageError or a subclass when it cannot be obtained.
    """
    return _files(_SHELL, arch, Archive(settings, progress, "sysevent shell TARGET"))


def server(arch: Architecture, settings: Settings, progress: Progress) -> Files:
    """Return Dropbear, an SSH server without SFTP, with the libraries that it needs.

    Raises ImageError or a subclass when it cannot be obtained.
    """
    libc = {**_SERVER["libc6"], arch.loader: _LIBRARY}
    archive = Archive(settings, progress, "CI=1 ./sysevent test tests/system")
    return _files({**_SERVER, "libc6": libc}, arch, archive)


def _files(contents: Mapping[str, Mapping[str, str]], arch: Architecture, archive: Archive) -> Files:
    try:
        return _extract_all(contents, arch, archive, _packages(arch, archive, refresh=False))
    except Gone as error:
        archive.progress(f"Debian {SUITE} {arch.debian}: {error}; fetching the index again")
        return _extract_all(contents, arch, archive, _packages(arch, archive, refresh=True))


def _extract_all(
    contents: Mapping[str, Mapping[str, str]],
    arch: Architecture,
    archive: Archive,
    packages: Mapping[str, Package],
) -> Files:
    files: Files = {}
    for name, paths in contents.items():
        if name not in packages:
            raise ImageError(f"Debian {SUITE} has no package {name} for {arch.debian}")
        # Path in the guest -> path in the package.
        wanted = {
            guest_path: path.format(triplet=arch.triplet, name=Path(guest_path).name)
            for guest_path, path in paths.items()
        }
        files |= _extract(packages[name], wanted, archive)
    return files


def _packages(arch: Architecture, archive: Archive, *, refresh: bool) -> Mapping[str, Package]:
    """Return the suite's packages by name. The mirror is asked at most once a day, and never offline.

    refresh: True asks it in any case. When it fails otherwise, its last answer is used.
    """
    cache, settings = archive.cache, archive.settings
    path = cache.root / "userland" / f"{SUITE}-{arch.name}.json"
    asked = (settings.mirror or "", str(settings.keyring or ""))
    known = cache.read(path, SuitePackages)
    if known and ((known.mirror, known.keyring) != asked or not set(_NAMES) <= known.packages.keys()):
        known = None
    if known and not refresh and (settings.offline or time.time() - known.checked < FRESH):
        return known.packages
    label = f"Debian {SUITE} {arch.debian}"
    with cache.lock(f"userland-{arch.name}", label, archive.progress):
        try:
            # With an older answer at hand, one attempt is enough: a dead mirror must not delay the user.
            once = msgspec.structs.replace(archive, attempts=1) if known and not refresh else archive
            suite, listed = track_resolution.fetch_listing(SUITE, arch, once, refresh=refresh, wanted=_WANTED)
        except DownloadFailed as error:
            if known is None or refresh:
                raise
            archive.progress(f"{label}: the mirror failed ({error}); using its last answer")
            return known.packages
        if listed is None:
            raise ImageError(f"Debian {SUITE} has no packages for {arch.debian}")
        # A suite has one version of each package.
        found = {package.name: package for package in listed.packages}
        cache.record(path, SuitePackages(*asked, listed.sha256, found, suite.checked))
        return found


def _extract(package: Package, wanted: Mapping[str, str], archive: Archive) -> Files:
    """Return files of a package, from the cache if possible; wanted is path in the guest -> path in the package."""
    cache = archive.cache
    key = [_FORMAT, package.sha256, *(f"{guest_path}={path}" for guest_path, path in sorted(wanted.items()))]
    cached = cache.root / "userland" / f"{hashlib.sha256(chr(0).join(key).encode()).hexdigest()}.bin"
    if (data := cache.content(cached)) is not None:
        return msgspec.msgpack.decode(data, type=Files)
    blob = archive.deb(package, f"Debian {SUITE}")
    # A library's soname is a link to a file whose name has more numbers.
    names = "|".join(rf"{re.escape(path)}[.\d]*" for path in wanted.values())
    with tempfile.TemporaryDirectory(dir=cache.scratch(), prefix="userland-") as folder:
        deb.extract(blob, Path(folder), re.compile(rf"(?:\./)?(?:{names})"))
        found = {}
        for guest_path, path in wanted.items():
            try:
                found[guest_path] = (Path(folder) / path).read_bytes()
            except OSError:
                raise ImageError(
                    f"{package.filename} holds no {path}; earlier versions of the package did"
                ) from None
    cache.keep(cached, msgspec.msgpack.encode(found))
    return found
