"""Every kernel that Debian's indices name: not what a track means today, but all versions that can be had."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from debian.debian_support import Version

from sysevent.arches import Architecture
from sysevent.errors import ImageError, UsageError
from sysevent.images import tracks
from sysevent.images.debian import package_index, track_package
from sysevent.images.debian.archive import Archive
from sysevent.images.download import Gone, OtherLength

_META = 1 << 20  # bytes; a smaller package holds no kernel, but depends on one


class Published(msgspec.Struct, frozen=True):
    """One kernel of the archive."""

    kernel: package_index.Kernel
    suite: str
    inrelease: str  # hashes of the chain that leads to it
    index: str

    @property
    def version(self) -> str:
        return self.kernel.image.version


def published(arch: Architecture, archive: Archive) -> tuple[Published, ...]:
    """Every kernel of an architecture in the suites that tracks look into, in Debian's order of versions."""
    found: dict[str, Published] = {}
    suites = dict.fromkeys(suite for track in tracks.load() for suite in track.suites)
    for name in suites:
        try:
            for one in _of_suite(name, arch, archive):
                found.setdefault(one.version, one)
        except (Gone, OtherLength) as error:
            archive.progress(f"leaving out Debian {name}: {error}")
    if not found:
        raise ImageError(f"none of Debian's suites has a kernel for {arch.name}: {', '.join(suites)}")
    return tuple(sorted(found.values(), key=lambda one: one.kernel.version))


def _of_suite(name: str, arch: Architecture, archive: Archive) -> list[Published]:
    """A suite's kernels; an index is 60 MB unpacked, so what it holds is noted under its hash."""
    suite = archive.suite(name)
    entry = suite.release.index(arch.debian)
    if entry is None:
        return []
    # One flavour only, so that versions can be compared.
    flavour, index = arch.debian_flavour, entry[1].sha256
    known = archive.cache.read(_note(index, flavour, archive), list[package_index.Kernel])
    if known is None:
        suite, listed = track_package.listing(name, arch, archive, refresh=False)
        if listed is None:
            return []
        index = listed.sha256
        known = list(kernels(listed.packages, flavour))
        archive.cache.record(_note(index, flavour, archive), known)
    return [Published(kernel, name, suite.inrelease, index) for kernel in known]


def _note(index: str, flavour: str, archive: Archive) -> Path:
    return archive.cache.root / "published" / f"{index[:32]}-{flavour}.json"


def kernels(listed: Sequence[package_index.Package], flavour: str) -> Iterable[package_index.Kernel]:
    """The kernels of one flavour among a suite's packages, a version once.

    linux-image-R holds kernel and modules; from 6.19 on linux-binary-R and linux-modules-R hold one each, and
    linux-image-R is empty. Both are tried, and what has no modules any more cannot be booted.
    """
    name = re.compile(rf"linux-(image|binary)-(\d[^-]*(?:-\d[^-]*)?-{re.escape(flavour)})(-unsigned)?")
    modules = {(one.name, one.version): one for one in listed if one.name.startswith("linux-modules-")}
    found: dict[str, package_index.Kernel] = {}
    # A signed package goes before its unsigned twin, whose modules taint the kernel.
    for one in sorted(listed, key=lambda one: one.name.endswith("-unsigned")):
        match = name.fullmatch(one.name)
        if not match or one.size < _META or one.version in found:
            continue
        companion = one if match[1] == "image" else modules.get((f"linux-modules-{match[2]}", one.version))
        if companion:
            found[one.version] = package_index.Kernel(match[2], one, companion)
    return found.values()


def choose(known: Sequence[Published], wanted: str) -> Published:
    """The kernel that a user means: a whole version, or the newest of a line such as 6.12 or 6.12.88."""
    short = wanted.removeprefix("debian:")
    for one in known:
        if one.version == short:
            return one
    line = [one for one in known if re.match(rf"{re.escape(short)}(?![\d])", one.version)]
    if line:
        return line[-1]
    lines = dict.fromkeys(".".join(one.version.split("-")[0].split("~")[0].split(".")[:2]) for one in known)
    raise UsageError(f"Debian has no kernel {wanted}; there are {', '.join(lines)}")


def between(known: Sequence[Published], good: Published, bad: Published) -> tuple[Published, ...]:
    """From good to bad, both included, in Debian's order, or against it when bad is the older one."""
    first, last = sorted((Version(good.version), Version(bad.version)))
    found = tuple(one for one in known if first <= one.kernel.version <= last)
    return found if found[0] == good else found[::-1]
