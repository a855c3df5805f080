"""Finds the uapi headers of the kernel that a user names with --kernel.

Debian's linux-libc-dev is one package for all architectures since 6.12, with asm/ in usr/lib/linux/uapi/ARCH. Before,
each architecture has its own, with asm/ in usr/include/TRIPLET; for one that the suite lacks (riscv64 before trixie)
there is linux-libc-dev-ARCH-cross, built from an earlier point release.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from debian.debian_support import Version

from sysevent.arches import ARCHITECTURES, Architecture
from sysevent.errors import ImageError, NotApplicable, copy_of
from sysevent.headers import names, tree
from sysevent.images import tracks
from sysevent.images.debian import deb
from sysevent.images.debian.archive import FRESH, Archive, Suite
from sysevent.images.debian.package_index import Package
from sysevent.images.download import Gone, LengthMismatch
from sysevent.images.tracks import Track
from sysevent.model import Progress
from sysevent.settings import Settings

_NAME = "linux-libc-dev"
# The index that also lists the packages for all architectures and those for cross compilers. Any index does; this one
# is needed most often.
_FIRST_INDEX = "amd64"
# The headers that `machine` names.
INSTALLED = Path("/usr/include")


class Headers(msgspec.Struct, frozen=True):
    """The uapi headers of one kernel for one architecture: a Debian package, or a directory."""

    # As the user wrote it.
    spec: str
    # Our name of the architecture.
    arch: str
    # Of the package or the tree; "" if unknown.
    version: str
    # Hash of the content.
    key: str
    # The .deb; None if root is set.
    package: Path | None
    # The directory; None if package is set.
    root: Path | None


class HeaderPackages(msgspec.Struct, frozen=True):
    """The header packages of a track, with the settings that they were found with."""

    # Track.rule at the time.
    rule: str
    # As the settings had it; "" for the one in this machine's apt configuration.
    mirror: str
    # As the settings had it; "" for the installed one.
    keyring: str
    # By our name of the architecture.
    packages: dict[str, Package]
    # Unix time at which the mirror was asked.
    checked: float


def find(
    spec: str, arch: Architecture, settings: Settings, progress: Progress, *, refresh: bool = False
) -> Headers:
    """Return the headers that spec names: `debian:TRACK` or `TRACK`, `tree:PATH`, or `machine` (/usr/include).

    refresh: True asks the mirror what a track means even if it was asked within a day.
    Raises UsageError for an invalid spec, NotApplicable when there are no headers for the architecture, BuildFailed
    when a tree cannot export them, and ImageError or a subclass otherwise.
    """
    kind, colon, rest = spec.partition(":")
    names.check(spec)
    if spec == names.MACHINE:
        return _installed(arch)
    if colon and kind == "tree":
        root, version = tree.export_headers(Path(rest).expanduser(), arch, settings, progress)
        key = content_hash(include_directories(root, arch.name))
        return Headers(spec, arch.name, version, key, None, root)
    track = tracks.track(rest if colon else spec, tracks.load())
    return _debian(track, arch, settings, progress, refresh=refresh)


@contextlib.contextmanager
def unpacked(headers: Headers, scratch: Path) -> Iterator[tuple[Path, ...]]:
    """Give the include directories of <asm/...> and <linux/...>, while the context lasts.

    A package is unpacked below scratch. NotApplicable when the headers have no KVM for their architecture.
    """
    if headers.root is not None:
        yield include_directories(headers.root, headers.arch)
        return
    assert headers.package is not None
    with tempfile.TemporaryDirectory(dir=scratch, prefix="headers-") as folder:
        deb.extract(headers.package, Path(folder), _wanted(headers.arch))
        yield include_directories(Path(folder), headers.arch)


def _wanted(arch: str) -> re.Pattern[str]:
    """Return a pattern of the files in a package that <linux/kvm.h> may include on an architecture."""
    kernel, triplet = ARCHITECTURES[arch].kernel, ARCHITECTURES[arch].triplet
    below = f"include|include/{triplet}|{triplet}/include|lib/linux/uapi/{kernel}"
    return re.compile(rf"(?:\./)?usr/(?:{below})/(?:linux|asm|asm-generic)/[\w.-]+\.h")


def include_directories(root: Path, arch: str) -> tuple[Path, ...]:
    """Return the include directories of an architecture in an unpacked package, an exported tree, or /usr/include.

    NotApplicable when there is no asm/kvm.h: that kernel had no KVM for the architecture.
    """
    kernel, triplet = ARCHITECTURES[arch].kernel, ARCHITECTURES[arch].triplet
    generic = (root / "usr/include", root / f"usr/{triplet}/include", root / "include", root)
    own = (root / f"usr/lib/linux/uapi/{kernel}", root / f"usr/include/{triplet}", root / triplet)
    for linux in (path for path in generic if (path / "linux/kvm.h").is_file()):
        for asm in (path for path in (*own, linux) if (path / "asm/kvm.h").is_file()):
            return (asm, linux) if asm != linux else (linux,)
    raise NotApplicable(f"these headers have no asm/kvm.h for {arch}: that kernel had no KVM there")


def content_hash(directories: Sequence[Path]) -> str:
    """Return a hash of all headers that <linux/kvm.h> may include from these directories."""
    total = hashlib.sha256()
    for directory in directories:
        for name in ("linux", "asm", "asm-generic"):
            for path in sorted((directory / name).glob("*.h")):
                total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _installed(arch: Architecture) -> Headers:
    try:
        directories = include_directories(INSTALLED, arch.name)
    except NotApplicable:
        raise NotApplicable(
            f"{INSTALLED} has no KVM headers for {arch.name}: install linux-libc-dev, or name a track"
        ) from None
    version = _declared_version(directories[-1] / "linux" / "version.h")
    return Headers(names.MACHINE, arch.name, version, content_hash(directories), None, INSTALLED)


def _declared_version(version_h: Path) -> str:
    """Return the version in linux/version.h, such as "6.1.176"; "" if there is none."""
    try:
        found = re.search(
            r"LINUX_VERSION_CODE (\d+)", version_h.read_text(encoding="ascii", errors="replace")
        )
    except OSError:
        return ""
    code = int(found[1]) if found else 0
    return f"{code >> 16}.{code >> 8 & 255}.{code & 255}" if code else ""


def _debian(
    track: Track, arch: Architecture, settings: Settings, progress: Progress, *, refresh: bool
) -> Headers:
    archive = Archive(settings, progress, f"sysevent layout show --kernel {track.spec}")
    for again in (False, True):
        package = header_packages(track, archive, refresh=refresh or again).packages.get(arch.name)
        if package is None:
            raise NotApplicable(f"Debian has no headers of kernel {track.name} for {arch.name}")
        try:
            blob = archive.deb(package, f"{track.spec} {arch.name}")
            return Headers(track.spec, arch.name, package.version, package.sha256, blob, None)
        # The mirror removed the package after it was asked for its index.
        except Gone as error:
            if again:
                raise
            progress(f"{track.spec}: {error}; fetching the index again")
    raise AssertionError("unreachable")


def header_packages(track: Track, archive: Archive, *, refresh: bool = False) -> HeaderPackages:
    """Return the header packages of a track. The mirror is asked at most once a day, and never offline.

    refresh: True asks it in any case. Raises what the archive raises.
    """
    cache, settings = archive.cache, archive.settings
    path = cache.root / "headers" / f"{track.name}.json"
    asked = (track.rule, settings.mirror or "", str(settings.keyring or ""))
    known = cache.read(path, HeaderPackages)
    if known and not refresh and (known.rule, known.mirror, known.keyring) == asked:
        fresh = time.time() - known.checked < FRESH
        if fresh or settings.offline:
            return known
    with cache.lock(f"headers-{track.name}", f"headers of {track.spec}", archive.progress):
        found: dict[str, Package] = {}
        gone: list[ImageError] = []
        for name in track.suites:
            try:
                suite = archive.suite(name, refresh=refresh)
                for arch, package in _of_suite(suite, track, archive).items():
                    old = found.get(arch)
                    if old is None or (
                        track.pick == "highest" and Version(package.version) > Version(old.version)
                    ):
                        found[arch] = package
            except (Gone, LengthMismatch) as error:
                gone.append(error)
            if found and track.pick == "first":
                break
        if not found and gone:
            raise copy_of(gone[0])
        result = HeaderPackages(*asked, found, time.time())
        cache.record(path, result)
        return result


def _of_suite(suite: Suite, track: Track, archive: Archive) -> dict[str, Package]:
    found: dict[str, Package] = {}
    everywhere = _listed(suite, _FIRST_INDEX, archive)
    for arch in ARCHITECTURES.values():
        shared = _newest(everywhere, _NAME, track)
        if shared and (shared.filename.endswith("_all.deb") or arch.debian == _FIRST_INDEX):
            found[arch.name] = shared
            continue
        own = _newest(_listed(suite, arch.debian, archive), _NAME, track)
        if own := own or _newest(everywhere, f"{_NAME}-{arch.debian}-cross", track):
            found[arch.name] = own
    return found


def _listed(suite: Suite, debian_arch: str, archive: Archive) -> Sequence[Package]:
    listing = archive.listing(suite, debian_arch, by_hash=True)
    return listing.packages if listing else ()


def _newest(packages: Sequence[Package], name: str, track: Track) -> Package | None:
    """Return the newest package called name of the track: backports has headers of 7.2 and 7.3 at the same time."""
    mine = [
        package
        for package in packages
        if package.name == name
        and (not track.name[0].isdigit() or package.version.startswith(f"{track.series}."))
    ]
    return max(mine, key=lambda package: Version(package.version), default=None)
