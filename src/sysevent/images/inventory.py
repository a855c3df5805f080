"""Lists, verifies and prunes the cache."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.cache import SEAL, Cache
from sysevent.digests import digest
from sysevent.errors import BadSignature, ImageError
from sysevent.images import stored_files
from sysevent.images.debian import deb, keyring, package_index, release_file
from sysevent.images.debian.archive import LastFetch, parse_index
from sysevent.images.debian.track_resolution import Resolution, cached_resolution, cached_resolutions
from sysevent.images.kernel import resolve
from sysevent.images.tracks import Track, load
from sysevent.model import Progress
from sysevent.settings import Settings

# A younger file may belong to a download whose resolution is not written yet.
_GRACE = timedelta(hours=1)
# The problem of a file that does not have the hash that was stored with it.
DAMAGED = "its content is not what was stored"
# How long a file that is cheap to make again is kept after its last use.
UNUSED = timedelta(days=7)
# Folders of such files.
# fmt: off
_REMADE = (
    "initramfs", "unwrapped", "vmlinux", "userland", "build", "published", "headers", "layouts", "btf", "nested",
    "kits", "sources", "peers", "ahead",
)
# fmt: on
# Folders of earlier versions.
_FORMER = ("zig",)


class TrackState(msgspec.Struct, frozen=True):
    """What the cache has of one track on one architecture."""

    track: Track
    arch: str
    # "cached", "known" (resolved, files missing), "-" (never fetched), "none" (not in Debian)
    state: str
    version: str
    suite: str
    # Bytes of its packages on disk.
    size: int
    # Seconds since the mirror was asked; None if it never was.
    age: float | None


class Damage(msgspec.Struct, frozen=True):
    """A file of the cache that is damaged or missing."""

    path: Path
    problem: str
    # True: the file was removed, and its next use makes or fetches it again.
    removed: bool


class Pruned(msgspec.Struct, frozen=True):
    """How much prune() removed."""

    files: int
    # Bytes.
    size: int


def track_states(
    tracks: Sequence[Track], archs: Sequence[Architecture], settings: Settings
) -> Iterator[TrackState]:
    """Yield the state of each track on each architecture, from the cache alone: no mirror is asked."""
    cache = Cache(settings.cache)
    for track in tracks:
        for arch in archs:
            if arch.name not in track.packages:
                yield TrackState(track, arch.name, "none", "", "", 0, None)
                continue
            known = cached_resolution(track, arch, cache, settings)
            if known is None:
                yield TrackState(track, arch.name, "-", "", "", 0, None)
                continue
            wanted = {package.sha256: package.size for package in (known.kernel.image, known.kernel.modules)}
            there = {sha256: size for sha256, size in wanted.items() if cache.blob(sha256).exists()}
            state = "cached" if there == wanted else "known"
            version = known.kernel.image.version
            yield TrackState(track, arch.name, state, version, known.suite, sum(there.values()), known.age)


def lacks_files(track: Track, arch: Architecture, settings: Settings) -> bool:
    """Return whether a track was resolved and files of its signed chain are missing from the cache."""
    cache = Cache(settings.cache)
    known = cached_resolution(track, arch, cache, settings)
    return known is not None and not all(cache.blob(sha256).exists() for sha256 in known.blobs)


def verify(settings: Settings, progress: Progress) -> Iterator[Damage]:
    """Hash every file and follow every track's chain of signed indices; yield what is wrong.

    A damaged file is removed. A chain that does not verify is only reported: the keyring may be the cause.
    ImageError when there is no keyring.
    """
    cache = Cache(settings.cache)
    yield from _damaged_files(cache, progress)
    ring = keyring.load(settings)
    for path, resolution in cached_resolutions(cache):
        progress(f"following the signatures of debian:{resolution.track} {resolution.arch}")
        try:
            _follow(resolution, cache, ring)
        except FileNotFoundError as error:
            lost = Path(error.filename).name
            yield Damage(path, f"{lost} is missing from the cache: sysevent images fetch", removed=False)
        except ImageError as error:
            yield Damage(path, str(error), removed=False)


def _damaged_files(cache: Cache, progress: Progress) -> Iterator[Damage]:
    for one in stored_files.stored(cache, *stored_files.CHECKED):
        if stored_files.is_unfinished(one):
            continue
        progress(f"hashing {one.path.relative_to(cache.root)}")
        if not stored_files.is_intact(one, cache):
            with contextlib.suppress(OSError):
                one.remove()
            yield Damage(one.path, DAMAGED, removed=not one.path.exists())


def _follow(resolution: Resolution, cache: Cache, ring: keyring.AnyKeyring) -> None:
    """Follow one chain from the signature to the package; FileNotFoundError or BadSignature where it breaks."""
    name = f"InRelease of {resolution.suite}"
    content = ring.content(cache.blob(resolution.inrelease).read_bytes(), name)
    listed = release_file.parse(content, resolution.suite, name)
    path = next((p for p, file in listed.files.items() if file.sha256 == resolution.index), None)
    if path is None:
        raise BadSignature(f"{name} does not name the package index that debian:{resolution.track} came from")
    known = parse_index(cache.blob(resolution.index), f"{resolution.suite}: {path}")
    for package in (resolution.kernel.image, resolution.kernel.modules):
        if package not in known:
            raise BadSignature(
                f"{resolution.suite}: {path} has no {package.name} {package.version} with that hash"
            )
        if digest(cache.blob(package.sha256)) != package.sha256:
            raise BadSignature(f"{package.filename} does not have the SHA-256 of the signed index")
    _compare_image(resolution.kernel, cache)


def _compare_image(kernel: package_index.Kernel, cache: Cache) -> None:
    image = resolve.image_path(kernel.release, kernel.image.sha256, cache)
    if not image.exists():
        return
    inside = deb.kernel_image(cache.blob(kernel.image.sha256))
    if hashlib.sha256(inside).hexdigest() != digest(image):
        raise BadSignature(f"{image} is not the kernel in {kernel.image.filename}")


def prune(
    settings: Settings,
    archs: Sequence[Architecture],
    *,
    grace: timedelta = _GRACE,
    unused: timedelta = UNUSED,
) -> Pruned:
    """Remove files that no track refers to any more, and those that are made again when needed and not used lately.

    grace is how old an unreferenced file must be, unused how long one of the others must not have been used.
    """
    cache = Cache(settings.cache)
    current = [r for t in load() for a in archs if (r := cached_resolution(t, a, cache, settings))]
    suites = {suite for track in load() for suite in track.suites}
    keep = {cache.root / "tracks" / f"{r.track}-{r.arch}.json" for r in current}
    keep |= {cache.root / "suites" / f"{suite}.json" for suite in suites}
    seen = [cache.read(path, LastFetch) for path in sorted(keep) if path.parent.name == "suites"]
    keep |= {cache.blob(s.inrelease) for s in seen if s}
    for resolution in current:
        keep |= {cache.blob(sha256) for sha256 in resolution.blobs}
        image = resolve.image_path(resolution.kernel.release, resolution.kernel.image.sha256, cache)
        keep |= {image, image.with_name(image.name + SEAL)}
        keep |= set((cache.root / "modules").glob(f"{resolution.kernel.modules.sha256[:16]}-*.bin"))

    count = size = 0
    for age, folders in (
        (grace, ("blobs", "suites", "tracks", "kernels", "modules")),
        (unused, (*_REMADE, *_FORMER)),
        (timedelta(days=1), ("parts",)),
    ):
        for one in stored_files.stored(cache, *folders):
            if one.path in keep or time.time() - one.used < age.total_seconds():
                continue
            with contextlib.suppress(OSError):
                one.remove()
                count, size = count + 1, size + one.size
    for folder in (*(cache.root / "kernels").glob("*"), *(cache.root / "unwrapped").glob("*")):
        # Earlier versions wrote a note beside a kernel.
        if not any(path.suffix not in (SEAL, ".json") for path in folder.iterdir()):
            shutil.rmtree(folder)
    return Pruned(count, size)
