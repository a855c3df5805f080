"""Every kernel in Debian's package indices: not only the newest of each track, but all versions that Debian has."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
from debian.debian_support import Version

from sysevent.arches import Architecture
from sysevent.errors import ImageError, NotApplicable, UsageError
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


Select = Callable[[Sequence[package_index.Package]], Iterable[package_index.Kernel]]
"""Returns the kernels that are wanted among a suite's packages."""


def all_kernels(arch: Architecture, archive: Archive) -> tuple[PublishedKernel, ...]:
    """Return every kernel of an architecture in the suites that the tracks name, in Debian's order of versions.

    A suite that the mirror does not have is left out, with a line to progress. ImageError when no suite has
    a kernel, or as the archive raises it.
    """
    # One flavour only, so that versions are comparable.
    flavour = arch.debian_flavour
    found = _in_all_suites(arch, archive, flavour, lambda listed: kernels_of_flavour(listed, flavour))
    if not found:
        raise ImageError(f"none of Debian's suites has a kernel for {arch.name}: {', '.join(_suites())}")
    return found


def named(package: str, arch: Architecture, archive: Archive) -> PublishedKernel:
    """Return the newest kernel in a package with this name, such as linux-image-6.12.94+deb13-rt-arm64.

    "=VERSION" behind the name asks for one version, as with apt. NotApplicable when Debian has none for the
    architecture, with the newest names that are nearest, or as the archive raises it.
    """
    name, _, version = package.partition("=")
    # Since 6.19 linux-image-R is empty, and linux-binary-R has the kernel.
    either = rf"linux-(?:image|binary)-{re.escape(re.sub('^linux-(image|binary)-', '', name))}"
    found = [
        one
        for one in _in_all_suites(arch, archive, name, lambda listed: package_index.matching(listed, either))
        if one.kernel.image.size >= _META
    ]
    fitting = [one for one in found if not version or one.version == version]
    if fitting:
        return fitting[-1]
    if found:
        versions = ", ".join(dict.fromkeys(one.version for one in found))
        raise NotApplicable(f"Debian has {name} for {arch.name} in other versions only: {versions}")
    everything = _in_all_suites(
        arch, archive, "names", lambda listed: package_index.matching(listed, r"linux-(?:image|binary)-.+")
    )
    names = list(dict.fromkeys(one.kernel.image.name for one in everything))
    near = difflib.get_close_matches(name, names, 4, 0.6)
    raise NotApplicable(
        f"Debian has no package {name} for {arch.name}; it has {', '.join(near or names[-4:])}"
    )


def _suites() -> Sequence[str]:
    return list(dict.fromkeys(suite for track in tracks.load() for suite in track.suites))


def _in_all_suites(
    arch: Architecture, archive: Archive, key: str, select: Select
) -> tuple[PublishedKernel, ...]:
    """Return what is selected of all suites, in Debian's order of versions; key names the selection in the cache."""
    found: dict[tuple[str, str], PublishedKernel] = {}
    for name in _suites():
        try:
            for one in _of_suite(name, arch, archive, key, select):
                found.setdefault((one.kernel.image.name, one.version), one)
        except (Gone, LengthMismatch) as error:
            archive.progress(f"leaving out Debian {name}: {error}")
    return tuple(sorted(found.values(), key=lambda one: one.kernel.version))


def _of_suite(
    name: str, arch: Architecture, archive: Archive, key: str, select: Select
) -> list[PublishedKernel]:
    """Return a suite's kernels. An index is 60 MB unpacked, so its kernels are cached under its hash."""
    suite = archive.suite(name)
    entry = suite.release_file.index(arch.debian)
    if entry is None:
        return []
    index = entry[1].sha256
    known = archive.cache.read(_note(index, key, archive), list[package_index.Kernel])
    if known is None:
        suite, listed = track_resolution.fetch_listing(name, arch, archive, refresh=False)
        if listed is None:
            return []
        index = listed.sha256
        known = list(select(listed.packages))
        archive.cache.record(_note(index, key, archive), known)
    return [PublishedKernel(kernel, name, suite.inrelease, index) for kernel in known]


def _note(index: str, key: str, archive: Archive) -> Path:
    return archive.cache.root / "published" / f"{index[:32]}-{key}.json"


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
