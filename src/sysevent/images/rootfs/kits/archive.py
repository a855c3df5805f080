"""Kits in the cache: the files of a VMM as one compressed archive, which is appended to a guest's initramfs.

kits/NAME-ARCH-KEY.cpio.gz   the archive; the key has the hashes of what it was made of, and of the rules
kits/NAME-ARCH-KEY.json      what it is
kits/NAME-ARCH.json          of a kit out of packages: what its name means, and when the mirror was asked
"""

from __future__ import annotations

import hashlib
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from sysevent.cache import Cache
from sysevent.errors import ImageError
from sysevent.images.rootfs import newc
from sysevent.model import Progress

# Version of the archives' format, and of the rules by which files are selected; part of their keys.
FORMAT = "1"
FOLDER = "kits"
_KEY = re.compile(r"-[0-9a-f]{32}\.json")


class Contents(msgspec.Struct, frozen=True):
    """What a kit is made of."""

    version: str
    # Path in the guest, with a slash at its start.
    program: str
    # Path in the guest, without a slash at its start -> content.
    files: Mapping[str, bytes]
    # Paths in files of what is data: not executable.
    data: frozenset[str] = frozenset()
    # Packages as "name version".
    packages: tuple[str, ...] = ()
    # Where it comes from: the suite, or "" for what is of the user's.
    origin: str = ""


class Note(msgspec.Struct, frozen=True):
    """What is known of an archive in the cache; the fields of Kit that are no path of this machine."""

    name: str
    arch: str
    version: str
    program: str
    digest: str
    size: int
    compressed: int
    libraries: int
    packages: tuple[str, ...]
    origin: str
    seconds: float


class Kit(msgspec.Struct, frozen=True):
    """A real VMM for guests of one architecture: files that stand at their own paths in the guest's root."""

    # "qemu-10", "kvm-ioctls", "crosvm".
    name: str
    # Of the guests, in this project's name.
    arch: str
    # Of the package, or as the program says; else the start of its SHA-256.
    version: str
    # Absolute path in the guest.
    program: str
    # A compressed archive in newc format on this machine, which is appended to an initramfs.
    archive: Path
    # SHA-256 of the archive before compression.
    digest: str
    # Bytes before compression, and of the archive on disk.
    size: int
    compressed: int
    # Shared libraries in it, with the interpreter.
    libraries: int
    # What it was made of: "libc6 2.41-12".
    packages: tuple[str, ...]
    # The suite that has the packages; "" if the program is the user's.
    origin: str
    # That making it took.
    seconds: float


def key_of(parts: list[str]) -> str:
    """Return the key of an archive that is made of these parts: 32 hexadecimal digits."""
    return hashlib.sha256("\0".join([FORMAT, *parts]).encode()).hexdigest()[:32]


def stored(cache: Cache, name: str, arch: str, key: str) -> Kit | None:
    """Return the kit with this key from the cache; None if it is not there or damaged."""
    path = _path(cache, name, arch, key)
    note = cache.read(path.with_name(path.name.removesuffix(".cpio.gz") + ".json"), Note)
    if note is None or (note.name, note.arch) != (name, arch) or not cache.is_intact(path):
        return None
    cache.touch(path)
    return _kit(note, path)


def all_stored(cache: Cache) -> Iterator[Kit]:
    """Yield the kits in the cache by name, without reading their archives."""
    for path in sorted((cache.root / FOLDER).glob("*.json")):
        archive = path.with_suffix(".cpio.gz")
        if not _KEY.search(path.name) or not archive.exists():
            continue
        if note := cache.read(path, Note):
            yield _kit(note, archive)


def make(
    cache: Cache, name: str, arch: str, key: str, progress: Progress, contents: Callable[[], Contents]
) -> Kit:
    """Return the kit with this key: from the cache, else of what contents() returns, which is then stored.

    Processes with the same cache make it once. Raises what contents() raises, and ImageError when the archive cannot
    be written.
    """
    if found := stored(cache, name, arch, key):
        return found
    label = f"{name} for {arch}"
    with cache.lock(f"kit-{key}", label, progress):
        # Another process may have made it in the meantime.
        if found := stored(cache, name, arch, key):
            return found
        began = time.monotonic()
        try:
            made = contents()
        except OSError as error:
            raise ImageError(f"{label} cannot be made: {error.strerror or error}") from None
        plain = newc.archive(entries(made))
        progress(f"{label}: packing {len(plain) / 1e6:.0f} MB")
        packed = compress(plain)
        note = Note(
            name=name,
            arch=arch,
            version=made.version,
            program=made.program,
            digest=hashlib.sha256(plain).hexdigest(),
            size=len(plain),
            compressed=len(packed),
            libraries=sum(1 for path in made.files if f"/{path}" != made.program and path not in made.data),
            packages=made.packages,
            origin=made.origin,
            seconds=round(time.monotonic() - began, 1),
        )
        path = _path(cache, name, arch, key)
        cache.seal(path, packed)
        cache.record(path.with_name(path.name.removesuffix(".cpio.gz") + ".json"), note)
        return _kit(note, path)


def compress(data: bytes) -> bytes:
    """Return data as gzip makes it; the same bytes every time."""
    # Level 6 makes QEMU 3 % smaller than level 4, in twice the time.
    coder = zlib.compressobj(4, zlib.DEFLATED, 31)
    return coder.compress(data) + coder.flush()


def entries(contents: Contents) -> list[newc.Entry]:
    """Return the files of a kit as entries of an archive, with the directories that they are in."""
    parents = {str(p) for path in contents.files for p in PurePosixPath(path).parents} - {"."}
    return [
        *(newc.directory(path) for path in sorted(parents)),
        *(
            (newc.plain if path in contents.data else newc.executable)(path, content)
            for path, content in sorted(contents.files.items())
        ),
    ]


def _path(cache: Cache, name: str, arch: str, key: str) -> Path:
    return cache.root / FOLDER / f"{name}-{arch}-{key}.cpio.gz"


def _kit(note: Note, path: Path) -> Kit:
    return Kit(**msgspec.structs.asdict(note), archive=path)
