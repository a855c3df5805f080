"""Resolves a track to the packages that it means today."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from sysevent.arches import Architecture
from sysevent.cache import Cache
from sysevent.errors import DownloadFailed, ImageError, NotApplicable, copy_of
from sysevent.images.debian import package_index
from sysevent.images.debian.archive import FRESH, Archive, Listing, Suite
from sysevent.images.download import Gone, LengthMismatch
from sysevent.images.tracks import Track, load
from sysevent.settings import Settings

T = TypeVar("T")


class Resolution(msgspec.Struct, frozen=True):
    """The packages of a track on one architecture, with the hashes of the signed chain that leads to them."""

    track: str
    arch: str
    # Track.rule at the time.
    rule: str
    # As the settings had it; "" for the one in this machine's apt configuration.
    mirror: str
    # As the settings had it; "" for the installed one.
    keyring: str
    suite: str
    kernel: package_index.Kernel
    # Hash of the signed release file.
    inrelease: str
    # Hash of the package index, which the release file names and which lists the packages.
    index: str
    # Unix time at which the mirror was asked for the oldest index that was used.
    checked: float

    @property
    def age(self) -> float:
        """Seconds since the mirror was asked."""
        return time.time() - self.checked

    @property
    def blobs(self) -> frozenset[str]:
        """The hashes of all files of the chain."""
        return frozenset((self.inrelease, self.index, self.kernel.image.sha256, self.kernel.modules.sha256))


def cached_resolutions(cache: Cache) -> Iterator[tuple[Path, Resolution]]:
    """Yield every resolution in a cache, with the path of its file."""
    for path in sorted((cache.root / "tracks").glob("*.json")):
        if resolution := cache.read(path, Resolution):
            yield path, resolution


def cached_resolution(
    track: Track, arch: Architecture, cache: Cache, settings: Settings
) -> Resolution | None:
    """Return the last resolution of a track; None if the track or the keyring has changed since."""
    known = cache.read(_path(track, arch, cache), Resolution)
    if known and known.rule == track.rule and known.keyring == str(settings.keyring or ""):
        return known
    return None


def resolve(track: Track, arch: Architecture, archive: Archive, *, refresh: bool = False) -> Resolution:
    """Return the packages of a track. The mirror is asked at most once a day, and never offline.

    refresh: True asks the mirror in any case, and fails when it cannot be reached. Otherwise the last
    resolution is used then, with a line to progress.
    Raises NotApplicable when Debian has no such kernel, NotCached, DownloadFailed, BadSignature.
    """
    if arch.name not in track.packages:
        raise _not_applicable(track, arch, "")
    settings = archive.settings
    known = cached_resolution(track, arch, archive.cache, settings)
    if known and not refresh and _is_current(known, settings):
        return known
    label = f"{track.spec} {arch.name}"
    with archive.cache.lock(f"track-{track.name}-{arch.name}", label, archive.progress):
        known = cached_resolution(track, arch, archive.cache, settings)
        # Another process may have resolved it in the meantime.
        if known and not refresh and _is_current(known, settings):
            return known
        try:
            # With an older resolution at hand, one attempt is enough: a dead mirror must not delay the run.
            asked = msgspec.structs.replace(archive, attempts=1) if known and not refresh else archive
            found = _ask_mirror(track, arch, asked, refresh=refresh)
        except DownloadFailed as error:
            if known is None or refresh:
                raise
            hours = known.age / 3600
            archive.progress(
                f"{label}: the mirror failed ({error}); using its answer of {hours:.0f} hours ago"
            )
            return known
        archive.cache.record(_path(track, arch, archive.cache), found)
        return found


def _is_current(known: Resolution, settings: Settings) -> bool:
    return settings.offline or (known.age < FRESH and known.mirror == (settings.mirror or ""))


def _ask_mirror(track: Track, arch: Architecture, archive: Archive, *, refresh: bool) -> Resolution:
    found: list[Resolution] = []
    absent: list[ImageError] = []
    checked = time.time()
    for name in track.suites:
        try:
            suite, listed = fetch_listing(name, arch, archive, refresh=refresh)
        except (Gone, LengthMismatch) as error:
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
    if not found and len(absent) == len(track.suites) and isinstance(absent[0], Gone):
        raise Gone(
            f"{absent[0]}; Debian moves releases that it no longer supports to a mirror of old releases: "
            f"`sysevent images fetch {track.spec} --mirror URL` with one of those keeps the kernel in the cache"
        )
    if not found and absent:
        raise copy_of(absent[0])
    if not found:
        raise _not_applicable(track, arch, f" in {' or '.join(track.suites)}")
    # On equal versions max() takes the earlier suite's.
    best = max(found, key=lambda r: r.kernel.version)
    return msgspec.structs.replace(best, checked=checked)


def fetch_listing(
    name: str,
    arch: Architecture,
    archive: Archive,
    *,
    refresh: bool,
    wanted: re.Pattern[bytes] = package_index.KERNELS,
) -> tuple[Suite, Listing | None]:
    """Return a suite, and its packages whose names match wanted: by default its kernels.

    The packages are None if the suite does not have the architecture.
    Raises Gone when the mirror does not have the suite, and LengthMismatch when its index does not belong to
    its release file, as on a mirror that is being updated.
    """
    return fetch(
        name,
        archive,
        lambda suite, by_hash: archive.listing(suite, arch.debian, by_hash=by_hash, wanted=wanted),
        refresh=refresh,
    )


def fetch(name: str, archive: Archive, read: Callable[[Suite, bool], T], *, refresh: bool) -> tuple[Suite, T]:
    """Return a suite, and what read() returns for it; its second argument: True to fetch indices by their hash.

    Raises what fetch_listing() raises.
    """
    suite = archive.suite(name, refresh=refresh)
    try:
        return suite, read(suite, True)
    # The mirror has newer indices than the cached release file, or does not keep them by hash.
    except Gone:
        suite = archive.suite(name, refresh=True)
        return suite, read(suite, False)


def _not_applicable(track: Track, arch: Architecture, where: str) -> NotApplicable:
    others = ", ".join(t.spec for t in load() if arch.name in t.packages and t.name != track.name) or "none"
    return NotApplicable(
        f"Debian has no kernel {track.name} for {arch.name}{where}; tracks with one for {arch.name}: {others}"
    )


def _path(track: Track, arch: Architecture, cache: Cache) -> Path:
    return cache.root / "tracks" / f"{track.name}-{arch.name}.json"
