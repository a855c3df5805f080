"""From a track to the packages it means today."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.cache import Cache
from sysevent.errors import DownloadFailed, ImageError, NotApplicable
from sysevent.images.debian import package_index
from sysevent.images.debian.archive import FRESH, Archive, Listing, Suite
from sysevent.images.download import Gone, OtherLength
from sysevent.images.tracks import Track, load
from sysevent.settings import Settings


class Resolution(msgspec.Struct, frozen=True):
    """Which packages a track means on one architecture, and the signed chain that says so."""

    track: str
    arch: str
    rule: str  # the track's definition at the time
    mirror: str  # as the settings had it; "" for the machine's own
    keyring: str  # likewise
    suite: str
    kernel: package_index.Kernel
    inrelease: str  # hash of the signed release file
    index: str  # hash of the package index that it names, in which the packages stand
    checked: float  # Unix time; of the oldest index that was looked at

    @property
    def age(self) -> float:
        """Seconds since the mirror was asked."""
        return time.time() - self.checked

    @property
    def blobs(self) -> frozenset[str]:
        """Hashes of all the files it stands on."""
        return frozenset((self.inrelease, self.index, self.kernel.image.sha256, self.kernel.modules.sha256))


def kept(cache: Cache) -> Iterator[tuple[Path, Resolution]]:
    """All the resolutions in a cache, with the files they are in."""
    for path in sorted((cache.root / "tracks").glob("*.json")):
        if resolution := cache.read(path, Resolution):
            yield path, resolution


def remembered(track: Track, arch: Architecture, cache: Cache, settings: Settings) -> Resolution | None:
    """The last resolution, unless the track or the keyring has changed since."""
    known = cache.read(_path(track, arch, cache), Resolution)
    if known and known.rule == track.rule and known.keyring == str(settings.keyring or ""):
        return known
    return None


def resolve(track: Track, arch: Architecture, archive: Archive, *, refresh: bool = False) -> Resolution:
    """The packages of a track, without asking the mirror when it was asked within a day (or never, offline).

    When the mirror cannot be reached, the last answer is used, with a note to progress. Raises NotApplicable,
    NotCached, DownloadFailed, BadSignature.
    """
    if arch.name not in track.packages:
        raise _not_applicable(track, arch, "")
    settings = archive.settings
    known = remembered(track, arch, archive.cache, settings)
    if known and not refresh and _current(known, settings):
        return known
    label = f"{track.spec} {arch.name}"
    with archive.cache.lock(f"track-{track.name}-{arch.name}", label, archive.progress):
        known = remembered(track, arch, archive.cache, settings)
        if known and not refresh and _current(known, settings):  # another process was faster
            return known
        try:
            # With an answer in hand, nobody should wait long for a mirror that does not answer.
            asked = msgspec.structs.replace(archive, patience=1) if known and not refresh else archive
            found = _look(track, arch, asked, refresh=refresh)
        except DownloadFailed as error:
            if known is None or refresh:
                raise
            hours = known.age / 3600
            archive.progress(f"{label}: the mirror fails ({error}); using what it had {hours:.0f} hours ago")
            return known
        archive.cache.record(_path(track, arch, archive.cache), found)
        return found


def _current(known: Resolution, settings: Settings) -> bool:
    return settings.offline or (known.age < FRESH and known.mirror == (settings.mirror or ""))


def _look(track: Track, arch: Architecture, archive: Archive, *, refresh: bool) -> Resolution:
    found: list[Resolution] = []
    absent: list[ImageError] = []
    checked = time.time()
    for name in track.suites:
        try:
            suite, listed = listing(name, arch, archive, refresh=refresh)
        except (Gone, OtherLength) as error:
            archive.progress(f"{track.spec} {arch.name}: leaving out {name}: {error}")
            absent.append(error)
            continue
        checked = min(checked, suite.checked)
        if listed is None or not (kernel := package_index.best(listed.packages, track.packages[arch.name])):
            continue
        resolution = Resolution(
            track=track.name,
            arch=arch.name,
            rule=track.rule,
            mirror=archive.settings.mirror or "",
            keyring=str(archive.settings.keyring or ""),
            suite=name,
            kernel=kernel,
            inrelease=suite.inrelease,
            index=listed.sha256,
            checked=checked,
        )
        found.append(resolution)
        if track.pick == "first":
            break
    if not found and absent:
        raise absent[0]
    if not found:
        raise _not_applicable(track, arch, f" in {' or '.join(track.suites)}")
    best = max(found, key=lambda r: r.kernel.version)  # the earlier suite's on equal versions
    return msgspec.structs.replace(best, checked=checked)


def listing(
    name: str,
    arch: Architecture,
    archive: Archive,
    *,
    refresh: bool,
    wanted: re.Pattern[bytes] = package_index.KERNELS,
) -> tuple[Suite, Listing | None]:
    """A suite with those of its packages that are wanted, by default its kernels.

    Raises Gone when the mirror has not got the suite, and OtherLength when its index and its release file are
    of different days: a mirror that is being updated, or never quite is.
    """
    suite = archive.suite(name, refresh=refresh)
    try:
        return suite, archive.listing(suite, arch.debian, by_hash=True, wanted=wanted)
    except Gone:  # the mirror has newer indices than our release file, or does not keep them by hash
        suite = archive.suite(name, refresh=True)
        return suite, archive.listing(suite, arch.debian, by_hash=False, wanted=wanted)


def _not_applicable(track: Track, arch: Architecture, where: str) -> NotApplicable:
    others = ", ".join(t.spec for t in load() if arch.name in t.packages and t.name != track.name) or "none"
    return NotApplicable(
        f"Debian has no kernel {track.name} for {arch.name}{where}; tracks with one for {arch.name}: {others}"
    )


def _path(track: Track, arch: Architecture, cache: Cache) -> Path:
    return cache.root / "tracks" / f"{track.name}-{arch.name}.json"
