"""What is kept on disk: blobs named by their SHA-256, and small files that say what the blobs are.

    blobs/sha256/HASH        InRelease files, package indices, packages: exactly as the mirror sent them
    suites/SUITE.json        which InRelease was last seen, and when
    tracks/TRACK-ARCH.json   which packages a track means (resolve.py)
    kernels/RELEASE-HASH/    kernel images taken out of packages
    unwrapped/NAME-HASH/     users' own images, where QEMU could not open the wrapping
    modules/HASH.bin         decompressed modules with their dependencies, in load order
    initramfs/HASH.cpio      finished archives
    userland/HASH.bin        programs taken out of packages (userland.py)
    nested/HASH.json         whether a guest under this machine's KVM has a KVM of its own
    parts/, locks/           downloads under way

Everything appears by rename, complete and on disk, so that a reader needs no lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from sysevent.errors import ImageError
from sysevent.model import Progress

T = TypeVar("T")


class Cache(msgspec.Struct, frozen=True):
    """The files below one directory."""

    root: Path

    def blob(self, sha256: str) -> Path:
        """Where the bytes with this hash are, or will be."""
        return self.root / "blobs" / "sha256" / sha256

    def part(self, sha256: str) -> Path:
        """Where they grow while they are being downloaded."""
        path = self.root / "parts" / f"{sha256}.part"
        self._parent(path)
        return path

    def keep(self, data: bytes) -> str:
        """Store bytes as a blob; returns their hash."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self.blob(sha256).exists():
            self.write(self.blob(sha256), data)
        return sha256

    def adopt(self, part: Path, sha256: str) -> Path:
        """Make a finished, verified download a blob; returns its path."""
        path = self.blob(sha256)
        self._parent(path)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        return path

    def write(self, path: Path, data: bytes) -> None:
        """Write a file so that it is either not there or complete; ImageError when the disk refuses."""
        self._parent(path)
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                draft = Path(file.name)
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    draft.chmod(0o644)
                    draft.replace(path)
                except BaseException:
                    draft.unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise ImageError(f"cannot write {path}: {error.strerror}") from error

    def record(self, path: Path, value: object) -> None:
        """Write a value that read() gives back."""
        self.write(path, msgspec.json.format(msgspec.json.encode(value)))

    def read(self, path: Path, kind: type[T]) -> T | None:
        """The value once recorded there; None when there is none, or an older version's."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except (OSError, msgspec.ValidationError, msgspec.DecodeError):
            return None

    @contextlib.contextmanager
    def lock(self, name: str, what: str, progress: Progress) -> Iterator[None]:
        """Hold a lock that all processes with this cache share; progress is told when that means waiting."""
        import filelock  # here: it brings asyncio along, and only who writes needs a lock

        path = self.root / "locks" / f"{name}.lock"
        self._parent(path)
        lock = filelock.FileLock(path)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            progress(f"{what}: waiting for another process that is at it")
            lock.acquire()  # without a limit: the kernel drops the lock of a process that dies
        except OSError as error:
            raise ImageError(f"cannot use the cache in {self.root}: {path}: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()

    def _parent(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(
                f"cannot use the cache in {self.root}: {path.parent}: {error.strerror}"
            ) from error


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
