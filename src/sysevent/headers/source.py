"""From what a user writes after --kernel to the uapi headers of that kernel.

Debian's linux-libc-dev is one package for all architectures from 6.12 on, with asm/ in
usr/lib/linux/uapi/ARCH. Before, each architecture has its own with asm/ in usr/include/TRIPLET, and one that
the suite lacks (riscv64 before trixie) has linux-libc-dev-ARCH-cross, made from an earlier point release.
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
from sysevent.errors import ImageError, NotApplicable, UsageError
from sysevent.headers import tree
from sysevent.images import tracks
from sysevent.images.debian import deb
from sysevent.images.debian.archive import FRESH, Archive, Suite
from sysevent.images.debian.package_index import Package
from sysevent.images.download import Gone, OtherLength
from sysevent.images.tracks import Track
from sysevent.model import Progress
from sysevent.settings import Settings

_NAME = "linux-libc-dev"
# The index that also lists the packages for all architectures, and those for cross compilers: any does, this one is
# wanted most often.
_ASKED_FIRST = "amd64"
MACHINE = Path("/usr/include")


class Headers(msgspec.Struct, frozen=True):
    """The uapi headers of one kernel for one architecture, on this machine's disk, packed or not."""

    spec: str  # as the user wrote it
    arch: str  # our name
    version: str  # of the package, or what the tree says of itself
    key: str  # hash of the content
    package: Path | None  # a .deb
    root: Path | None  # or a directory


class Resolution(msgspec.Struct, frozen=True):
    """Which header packages a track means, by architecture."""

    rule: str  # the track's definition at the time
    mirror: str
    keyring: str
    packages: dict[str, Package]
    checked: float  # Unix time


def find(
    spec: str, arch: Architecture, settings: Settings, progress: Progress, *, refresh: bool = False
) -> Headers:
    """The headers that spec means: `debian:TRACK` or its name alone, `tree:PATH`, or `machine`.

    Raises UsageError for a spec that means nothing, NotApplicable when it has no headers for the
    architecture, and ImageError or one of its kind otherwise.
    """
    kind, colon, rest = spec.partition(":")
    if spec == "machine":
        return _machine(arch)
    if colon and kind == "tree":
        root, version = tree.exported(Path(rest).expanduser(), arch, settings, progress)
        key = content_hash(include_directories(root, arch.name))
        return Headers(spec, arch.name, version, key, None, root)
    known = {track.name for track in tracks.load()}
    if (colon and kind == "debian") or spec in known:
        track = tracks.track(rest if colon else spec, tracks.load())
        return _debian(track, arch, settings, progress, refresh=refresh)
    names = ", ".join(track.spec for track in tracks.load())
    raise UsageError(
        f"{spec} names no headers; there are {names}, tree:PATH (a kernel tree), and machine (/usr/include)"
    )


@contextlib.contextmanager
def unpacked(headers: Headers, scratch: Path) -> Iterator[tuple[Path, ...]]:
    """The directories that #include <asm/...> and <linux/...> search, while the context lasts."""
    if headers.root is not None:
        yield include_directories(headers.root, headers.arch)
        return
    assert headers.package is not None
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="headers-") as folder:
        deb.extract(headers.package, Path(folder), _wanted(headers.arch))
        yield include_directories(Path(folder), headers.arch)


def _wanted(arch: str) -> re.Pattern[str]:
    """The files of a package that <linux/kvm.h> may include on an architecture, wherever they stand."""
    kernel, triplet = ARCHITECTURES[arch].kernel, ARCHITECTURES[arch].triplet
    below = f"include|include/{triplet}|{triplet}/include|lib/linux/uapi/{kernel}"
    return re.compile(rf"(?:\./)?usr/(?:{below})/(?:linux|asm|asm-generic)/[\w.-]+\.h")


def include_directories(root: Path, arch: str) -> tuple[Path, ...]:
    """Where an unpacked package, an exported tree or a machine has the headers of an architecture.

    NotApplicable when there are none with KVM in them: the architecture had none then.
    """
    kernel, triplet = ARCHITECTURES[arch].kernel, ARCHITECTURES[arch].triplet
    generic = (root / "usr/include", root / f"usr/{triplet}/include", root / "include", root)
    own = (root / f"usr/lib/linux/uapi/{kernel}", root / f"usr/include/{triplet}", root / triplet)
    for linux in (path for path in generic if (path / "linux/kvm.h").is_file()):
        for asm in (path for path in (*own, linux) if (path / "asm/kvm.h").is_file()):
            return (asm, linux) if asm != linux else (linux,)
    raise NotApplicable(f"these headers have no asm/kvm.h for {arch}: that kernel had no KVM there")


def content_hash(directories: Sequence[Path]) -> str:
    """A hash of all that <linux/kvm.h> could include from there."""
    total = hashlib.sha256()
    for directory in directories:
        for name in ("linux", "asm", "asm-generic"):
            for path in sorted((directory / name).glob("*.h")):
                total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _machine(arch: Architecture) -> Headers:
    try:
        directories = include_directories(MACHINE, arch.name)
    except NotApplicable:
        raise NotApplicable(
            f"{MACHINE} has no KVM headers for {arch.name}: install linux-libc-dev there, or name a track"
        ) from None
    version = _declared(directories[-1] / "linux" / "version.h")
    return Headers("machine", arch.name, version, content_hash(directories), None, MACHINE)


def _declared(version_h: Path) -> str:
    """ "6.1.176" of linux/version.h; "" when there is none."""
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
        package = resolve(track, archive, refresh=refresh or again).packages.get(arch.name)
        if package is None:
            raise NotApplicable(f"Debian has no headers of kernel {track.name} for {arch.name}")
        try:
            blob = archive.deb(package, f"{track.spec} {arch.name}")
            return Headers(track.spec, arch.name, package.version, package.sha256, blob, None)
        except Gone as error:  # the mirror has removed the package since it was asked
            if again:
                raise
            progress(f"{track.spec}: {error}; asking for the index anew")
    raise AssertionError("unreachable")


def resolve(track: Track, archive: Archive, *, refresh: bool = False) -> Resolution:
    """The header packages of a track; the mirror is asked once a day, and never offline."""
    cache, settings = archive.cache, archive.settings
    path = cache.root / "headers" / f"{track.name}.json"
    asked = (track.rule, settings.mirror or "", str(settings.keyring or ""))
    known = cache.read(path, Resolution)
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
            except (Gone, OtherLength) as error:
                gone.append(error)
            if found and track.pick == "first":
                break
        if not found and gone:
            raise gone[0]
        resolution = Resolution(*asked, found, time.time())
        cache.record(path, resolution)
        return resolution


def _of_suite(suite: Suite, track: Track, archive: Archive) -> dict[str, Package]:
    found: dict[str, Package] = {}
    everywhere = _listed(suite, _ASKED_FIRST, archive)
    for arch in ARCHITECTURES.values():
        shared = _newest(everywhere, _NAME, track)
        if shared and (shared.filename.endswith("_all.deb") or arch.debian == _ASKED_FIRST):
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
    """A suite may hold headers of more than one track: backports has those of 7.2 and 7.3 at a time."""
    mine = [
        package
        for package in packages
        if package.name == name
        and (not track.name[0].isdigit() or package.version.startswith(f"{track.name}."))
    ]
    return max(mine, key=lambda package: Version(package.version), default=None)
