"""Every kernel in Debian's package indices: not only the newest of each track, but all versions that Debian has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from debian.debian_support import Version

from sysevent.arches import Architecture
from sysevent.errors import ImageError, UsageError
from sysevent.images import tracks
from sysevent.images.debian import package_index, track_resolution
from sysevent.images.debian.archive import Archive
from sysevent.images.download import Gone, LengthMismatch

# Bytes; a smaller package is a meta package, which depends on a kernel and holds none.
_META = 1 << 20


class PublishedKernel(msgspec.Struct, frozen=True):
    """One kernel of the archive, with the hashes of the signed chain that leads to it."""

    kernel: package_index.Kernel
    suite: str
    # Hash of the signed release file.
    inrelease: str
    # Hash of the package index.
    index: str

    @property
    def version(self) -> str:
        """The version of the kernel's package."""
        return self.kernel.image.version


def all_kernels(arch: Architecture, archive: Archive) -> tuple[PublishedKernel, ...]:
    """Return every kernel of an architecture in the suites that the tracks name, in Debian's order of versions.

    A suite that the mirror does not have is left out, with a line to progress. ImageError when no suite has
    a kernel, or as the archive raises it.
    """
    found: dict[str, PublishedKernel] = {}
    suites = dict.fromkeys(suite for track in tracks.load() for suite in track.suites)
    for name in suites:
        try:
            for one in _of_suite(name, arch, archive):
                found.setdefault(one.version, one)
        except (Gone, LengthMismatch) as error:
            archive.progress(f"leaving out Debian {name}: {error}")
    if not found:
        raise ImageError(f"none of Debian's suites has a kernel for {arch.name}: {', '.join(suites)}")
    return tuple(sorted(found.values(), key=lambda one: one.kernel.version))


def _of_suite(name: str, arch: Architecture, archive: Archive) -> list[PublishedKernel]:
    """Return a suite's kernels. An index is 60 MB unpacked, so its kernels are cached under its hash."""
    suite = archive.suite(name)
    entry = suite.release_file.index(arch.debian)
    if entry is None:
        return []
    # One flavour only, so that versions are comparable.
    flavour, index = arch.debian_flavour, entry[1].sha256
    known = archive.cache.read(_note(index, flavour, archive), list[package_index.Kernel])
    if known is None:
        suite, listed = track_resolution.fetch_listing(name, arch, archive, refresh=False)
        if listed is None:
            return []
        index = listed.sha256
        known = list(kernels_of_flavour(listed.packages, flavour))
        archive.cache.record(_note(index, flavour, archive), known)
    return [PublishedKernel(kernel, name, suite.inrelease, index) for kernel in known]


def _note(index: str, flavour: str, archive: Archive) -> Path:
    return archive.cache.root / "published" / f"{index[:32]}-{flavour}.json"


def kernels_of_flavour(
    listed: Sequence[package_index.Package], flavour: str
) -> Iterable[package_index.Kernel]:
    """Return the kernels of one flavour among a suite's packages, each version once, meta packages left out."""
    kernels = package_index.matching(
        listed, rf"linux-(?:image|binary)-\d[^-]*(?:-\d[^-]*)?-{re.escape(flavour)}"
    )
    found: dict[str, package_index.Kernel] = {}
    # A signed package is preferred to its unsigned twin.
    for kernel in sorted(kernels, key=lambda kernel: kernel.unsigned):
        if kernel.image.size >= _META:
            found.setdefault(kernel.image.version, kernel)
    return found.values()


def choose(known: Sequence[PublishedKernel], wanted: str) -> PublishedKernel:
    """Return the kernel for a user's word: a whole version, or the newest of a series such as 6.12 or 6.12.88.

    wanted may begin with "debian:". UsageError lists the known series.
    """
    short = wanted.removeprefix("debian:")
    for one in known:
        if one.version == short:
            return one
    series = [one for one in known if re.match(rf"{re.escape(short)}(?![\d])", one.version)]
    if series:
        return series[-1]
    all_series = dict.fromkeys(
        ".".join(one.version.split("-")[0].split("~")[0].split(".")[:2]) for one in known
    )
    raise UsageError(f"Debian has no kernel {wanted}; expected one of {', '.join(all_series)}")


def between(
    known: Sequence[PublishedKernel], good: PublishedKernel, bad: PublishedKernel
) -> tuple[PublishedKernel, ...]:
    """Return the kernels from good to bad, both included, in this direction; bad may be the older one."""
    first, last = sorted((Version(good.version), Version(bad.version)))
    found = tuple(one for one in known if first <= one.kernel.version <= last)
    return found if found[0] == good else found[::-1]
