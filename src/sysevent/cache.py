"""The cache on disk: blobs named by their SHA-256, and small JSON files that say what the blobs are.

    blobs/sha256/HASH        InRelease files, package indices, packages: exactly as the mirror sent them
    suites/SUITE.json        which InRelease was fetched last, and when
    tracks/TRACK-ARCH.json   which packages a track means (images/debian)
    published/HASH.json      every kernel of a package index (images/debian/published.py)
    kernels/RELEASE-HASH/    kernel images taken out of packages
    unwrapped/NAME-HASH/     users' own images, decompressed because QEMU could not read them as they were
    vmlinux/NAME-HASH        ELF kernels taken out of images, for QEMU's PVH entry; NAME-HASH.json: the build ID
    modules/HASH.bin         decompressed modules with their dependencies, in load order (images/rootfs/initramfs.py)
    initramfs/HASH.cpio      finished archives
    userland/HASH.bin        programs taken out of packages (images/rootfs/userland.py); ARCH.json: of which ones
    kits/NAME-ARCH-HASH.*    VMMs as archives for guests (images/rootfs/kits)
    build/NAME-ABI-HASH      VMMs, payloads and other programs of this project, compiled (build/programs.py)
    headers/TRACK.json       which packages hold a track's headers; tree-*/: headers exported from a kernel tree
    layouts/ABI-HASH.json    what headers mean to an ABI (headers/compiled.py)
    btf/HASH.json            layouts in the BTF of a kernel (engine/btf.py)
    snapshots/KEY.state      guests that were ready, to be restored (hosts/qemu/snapshots.py)
    bisect/TREE-HASH-ARCH/   a bisection's checked-out tree and builds (bisect/session.py)
    sources/VERSION-HASH/    what is needed of a kernel's source (images/debian/linux_source.py); VERSION.json: package
    peers/ARCH-HASH.cpio     the kernel's own tests, compiled (peers/compilation.py); ARCH-HASH.json: which ones
    ahead/HASH.json          which files are hashed at once in the next equal run (digests_ahead.py), which
                             guests start at once (plugin/early.py)
    explore/                 sequences with which a kernel disagreed; covered/BUILD-ID/: what explorations reached
    nested/HASH.json         whether a guest under this machine's KVM has a KVM of its own
    parts/, locks/           unfinished downloads

Every file is synced to disk and then renamed to its name, so that a reader needs no lock.

No file is used as it is: its reader checks the content first. A blob's name is its hash. A JSON file made by
record() has the hash of its value. A file made by seal() has a NAME.sha256 beside it, as sha256sum(1) writes and
checks it. A file whose content is not what was stored counts as absent, so that it is made or fetched again.

What only saves time is optional: record(), keep(), lock(), touch() and remove() have no effect where the cache cannot
be written to, because it is read-only or its disk is full. Files that must be on disk, such as a kernel for QEMU, are
written by write() and seal(), which raise ImageError there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from sysevent import tool_paths
from sysevent.digests import digest, digest_once
from sysevent.errors import ImageError
from sysevent.model import Progress

T = TypeVar("T")

# The ending of the file that has the hash of a sealed one.
SEAL = ".sha256"
# Bytes; the smallest amount that takes space on every file system.
_PAGE = 4096


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

    def ahead(self, words: Iterable[str]) -> Path:
        """Return the path of what a run finds out for the next one that the same words describe."""
        name = hashlib.sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()
        return self.root / "ahead" / f"{name[:32]}.json"

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
        try:
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise self._unwritable(path, error) from error
        return path

    def write(self, path: Path, data: bytes) -> None:
        """Write a file atomically: it is absent or complete. ImageError when it cannot be written."""
        self._parent(path)
        try:
            # Not NamedTemporaryFile: on a full disk it warns since Python 3.14, and a warning is an error in pytest.
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            draft = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(handle)
                draft.chmod(0o644)
                draft.replace(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._unwritable(path, error) from error

    def record(self, path: Path, value: object) -> None:
        """Write a value as JSON, for read(). Without effect where the cache cannot be written to."""
        data = msgspec.json.encode(value)
        sealed = _Sealed(hashlib.sha256(data).hexdigest(), msgspec.Raw(data))
        with contextlib.suppress(ImageError):
            self.write(path, msgspec.json.encode(sealed) + b"\n")

    def read(self, path: Path, kind: type[T]) -> T | None:
        """Return the value that record() wrote to path, and mark the file as used.

        None if there is no such file, if it is damaged, or if an older version wrote another type.
        """
        found = self._recorded(path, kind)
        if found is not None:
            self.touch(path)
        return found

    def is_record(self, path: Path) -> bool:
        """Return whether path is as record() wrote it, whatever the value means."""
        return self._recorded(path, msgspec.Raw) is not None

    def _recorded(self, path: Path, kind: type[T]) -> T | None:
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
        self._write_seal(path, hashlib.sha256(data).hexdigest())

    def seal_folder(self, path: Path) -> None:
        """Write the hash of all files in a folder beside it, for is_intact(). OSError, and what write() raises."""
        self._write_seal(path, digest(path))

    def _write_seal(self, path: Path, sha256: str) -> None:
        self.write(seal_of(path), f"{sha256}  {path.name}\n".encode())

    def keep(self, path: Path, data: bytes) -> None:
        """Do what seal() does, for a file that a later run can do without.

        Without effect where the cache cannot be written to.
        """
        with contextlib.suppress(ImageError):
            self.seal(path, data)

    def content(self, path: Path) -> bytes | None:
        """Return what seal() wrote to path, and mark the file as used.

        None if it is missing, or not what was written.
        """
        try:
            data = path.read_bytes()
            if _sealed_hash(path) != hashlib.sha256(data).hexdigest():
                return None
        except OSError:
            return None
        self.touch(path)
        return data

    def is_intact(self, path: Path) -> bool:
        """Return whether path is as seal() or seal_folder() left it. Reads all of it: a gigabyte takes a second."""
        return bool(self.intact_hash(path))

    def intact_hash(self, path: Path) -> str:
        """Return the hash of a file or folder that is as it was sealed; "" for any other. Reads all of it."""
        try:
            found = digest(path) if path.is_dir() else digest_once(path)
            return found if _sealed_hash(path) == found else ""
        except (OSError, ImageError):
            return ""

    def touch(self, path: Path) -> None:
        """Mark a file as used now, for prune(). Without effect where the cache cannot be written to."""
        with contextlib.suppress(OSError):
            os.utime(path)

    def remove(self, path: Path) -> None:
        """Delete a file that is damaged. Without effect where the cache cannot be written to."""
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)

    def scratch(self) -> Path:
        """Return a directory for temporary files in which compilers can work.

        It is in the cache, where prune() removes what a process leaves that is killed; or the system's, if the cache
        cannot be written to, or if its path has a character that compilers take as their own.
        """
        folder = self.root / "parts"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if not tool_paths.taken(folder) and not self.obstacle():
                return folder
        return Path(tempfile.gettempdir())

    def obstacle(self) -> str:
        """Return why nothing can be written to the cache, in the system's words; "" if a page can be."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as file:
                file.write(bytes(_PAGE))
        except OSError as error:
            return error.strerror or str(error)
        return ""

    @contextlib.contextmanager
    def lock(self, name: str, what: str, progress: Progress) -> Iterator[None]:
        """Hold a lock that all processes with this cache share, so that they do the same work once.

        what names the work, for the one line that progress gets when another process has the lock. Without effect
        where the cache cannot be written to: files are replaced in one step, so work done twice does no harm.
        """
        # Imported here: filelock imports asyncio, and a run that only reads the cache takes no lock.
        import filelock

        lock = filelock.FileLock(self.root / "locks" / f"{name}.lock")
        with contextlib.suppress(OSError, ImageError):
            self._parent(Path(lock.lock_file))
            try:
                lock.acquire(blocking=False)
            except filelock.Timeout:
                progress(f"{what}: waiting for another process that does the same")
                # Without a time limit: the kernel drops the lock of a process that dies.
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _parent(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(path, error) from error

    def _unwritable(self, path: Path, error: OSError) -> ImageError:
        return ImageError(
            f"cannot write {path}: {error.strerror}; set SYSEVENT_CACHE to a directory that can be written to"
        )


def seal_of(path: Path) -> Path:
    """Return the path of the file that has the hash of a sealed file or folder."""
    return path.with_name(path.name + SEAL)


def _sealed_hash(path: Path) -> str:
    """Return the hash that is stored beside a file; OSError if there is none."""
    return seal_of(path).read_bytes()[:64].decode("ascii", "replace")
