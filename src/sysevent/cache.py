"""The cache on disk: blobs named by their SHA-256, and small JSON files that say what the blobs are.

    blobs/sha256/HASH        InRelease files, package indices, packages: exactly as the mirror sent them
    suites/SUITE.json        which InRelease was fetched last, and when
    tracks/TRACK-ARCH.json   which packages a track means (images/debian)
    published/HASH.json      every kernel of a package index (images/debian/published.py)
    kernels/RELEASE-HASH/    kernel images taken out of packages
    unwrapped/NAME-HASH/     users' own images, decompressed because QEMU could not read them as they were
    vmlinux/NAME-HASH        ELF kernels taken out of images, for QEMU's PVH entry; NAME-HASH.json: the build ID
    modules/HASH.bin         decompressed modules with their dependencies, in load order
    initramfs/HASH.cpio      finished archives
    userland/HASH.bin        programs taken out of packages (images/rootfs/userland.py); ARCH.json: of which ones
    build/NAME-ABI-HASH      VMMs, payloads and other programs of this project, compiled (build/programs.py)
    zig/                     zig's own cache (build/compiler.py)
    headers/TRACK.json       which packages hold a track's headers; tree-*/: headers exported from a kernel tree
    layouts/ABI-HASH.json    what headers mean to an ABI (headers/compiled.py)
    btf/HASH.json            layouts in the BTF of a kernel (engine/btf.py)
    snapshots/KEY.state      guests that were ready, to be restored (hosts/qemu/snapshots.py)
    bisect/TREE-HASH-ARCH/   a bisection's checked-out tree and builds (bisect/session.py)
    nested/HASH.json         whether a guest under this machine's KVM has a KVM of its own
    parts/, locks/           unfinished downloads

Every file is synced to disk and then renamed to its name, so that a reader needs no lock.

No file is used as it is: its reader checks the content first. A blob's name is its hash. A JSON file made by
record() has the hash of its value. A file made by seal() has a NAME.sha256 beside it, as sha256sum(1) writes and
checks it. A file whose content is not what was stored counts as absent, so that it is made or fetched again.
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

# The ending of the file that has the hash of a sealed one.
SEAL = ".sha256"


class _Sealed(msgspec.Struct, frozen=True):
    """A JSON file of the cache: a value, and the SHA-256 of its encoding."""

    sha256: str
    value: msgspec.Raw


class Cache(msgspec.Struct, frozen=True):
    """Access to the cache below one directory."""

    root: Path

    def blob(self, sha256: str) -> Path:
        """Return the path of the blob with this hash, whether or not it exists."""
        return self.root / "blobs" / "sha256" / sha256

    def part(self, sha256: str) -> Path:
        """Return the path to which that blob is downloaded; the directory exists afterwards."""
        path = self.root / "parts" / f"{sha256}.part"
        self._parent(path)
        return path

    def store(self, data: bytes) -> str:
        """Store data as a blob and return its SHA-256; ImageError when the file cannot be written."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self.blob(sha256).exists():
            self.write(self.blob(sha256), data)
        return sha256

    def adopt(self, part: Path, sha256: str) -> Path:
        """Turn a complete, verified download into a blob and return its path."""
        path = self.blob(sha256)
        self._parent(path)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        return path

    def write(self, path: Path, data: bytes) -> None:
        """Write a file atomically: it is absent or complete. ImageError when it cannot be written."""
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
        """Write a value as JSON, for read(). Raises what write() raises."""
        data = msgspec.json.encode(value)
        sealed = _Sealed(hashlib.sha256(data).hexdigest(), msgspec.Raw(data))
        self.write(path, msgspec.json.encode(sealed) + b"\n")

    def read(self, path: Path, kind: type[T]) -> T | None:
        """Return the value that record() wrote to path.

        None if there is no such file, if it is damaged, or if an older version wrote another type.
        """
        try:
            sealed = msgspec.json.decode(path.read_bytes(), type=_Sealed)
            if hashlib.sha256(sealed.value).hexdigest() != sealed.sha256:
                return None
            return msgspec.json.decode(sealed.value, type=kind)
        except (OSError, msgspec.ValidationError, msgspec.DecodeError):
            return None

    def seal(self, path: Path, data: bytes) -> None:
        """Write a file, and its hash beside it, for is_intact() and content(). Raises what write() raises."""
        # The hash is last: with an old hash, or none, the file counts as absent.
        self.write(path, data)
        self.write(_seal(path), f"{hashlib.sha256(data).hexdigest()}  {path.name}\n".encode())

    def content(self, path: Path) -> bytes | None:
        """Return what seal() wrote to path; None if it is missing, or not what was written."""
        try:
            data = path.read_bytes()
            return data if _sealed_hash(path) == hashlib.sha256(data).hexdigest() else None
        except OSError:
            return None

    def is_intact(self, path: Path) -> bool:
        """Return whether path is as seal() wrote it. Reads all of it: a gigabyte takes a second."""
        return bool(self.intact_hash(path))

    def intact_hash(self, path: Path) -> str:
        """Return the SHA-256 of a file that is as seal() wrote it; "" for any other. Reads all of it."""
        try:
            found = digest_once(path)
            return found if _sealed_hash(path) == found else ""
        except (OSError, ImageError):
            return ""

    def touch(self, path: Path) -> None:
        """Mark a file as used now, for prune(). Without effect where the cache cannot be written to."""
        with contextlib.suppress(OSError):
            os.utime(path)

    @contextlib.contextmanager
    def lock(self, name: str, what: str, progress: Progress) -> Iterator[None]:
        """Hold a lock that all processes with this cache share.

        what names the work, for the one line that progress gets when another process has the lock.
        ImageError when the lock file cannot be created.
        """
        # Imported here: filelock imports asyncio, and a run that only reads the cache takes no lock.
        import filelock

        path = self.root / "locks" / f"{name}.lock"
        self._parent(path)
        lock = filelock.FileLock(path)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            progress(f"{what}: waiting for another process that does the same")
            # Without a time limit: the kernel drops the lock of a process that dies.
            lock.acquire()
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


def _seal(path: Path) -> Path:
    return path.with_name(path.name + SEAL)


def _sealed_hash(path: Path) -> str:
    """Return the hash that is stored beside a file; OSError if there is none."""
    return _seal(path).read_bytes()[:64].decode("ascii", "replace")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# SHA-256 by the state of a file, see _state().
_HASHED: dict[tuple[int, ...], str] = {}


def digest_once(path: Path) -> str:
    """Return digest() of a file, remembered by this process until the file changes; ImageError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return digest_of_open(file.fileno())
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from None


def digest_of_open(fd: int) -> str:
    """Return what digest_once() returns for an open file; OSError if it cannot be read."""
    state = _state(os.fstat(fd))
    if state not in _HASHED:
        total, at = hashlib.sha256(), 0
        while piece := os.pread(fd, 1 << 20, at):
            total.update(piece)
            at += len(piece)
        # A file that was written to meanwhile has no content that could be remembered.
        if _state(os.fstat(fd)) != state:
            return total.hexdigest()
        _HASHED[state] = total.hexdigest()
    return _HASHED[state]


def _state(status: os.stat_result) -> tuple[int, ...]:
    """What differs after every write. Unlike the other times, no program can set st_ctime.

    For files that this process has read: nothing but its content identifies a file from one run to the next.
    """
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
