"""Reads Debian packages: the kernel image, and modules without unpacking all of them.

deb(5): an ar archive with a compressed tar of the files in it, sorted, so that boot/ comes first.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sysevent.errors import ImageError
from sysevent.images import compression
from sysevent.images.kernel.modules import MODULE_NAME, SIZE_MAX, FileModules

# ar(5), <ar.h>: the start of an archive, and of a member's header its name, what is skipped, its size, and the end.
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = re.compile(rb"(.{16}).{32}([0-9]{1,10}) *`\n", re.DOTALL)
_AR_HEADER_SIZE = 60
# Members of a package: debian-binary, control.tar, data.tar, and signatures that are never used.
_MEMBERS_MAX = 8
# Bytes of the files in a package. A kernel with all its modules, decompressed, has 600 MB.
_TAR_MAX = 2 << 30
# Files in a package; a kernel's has 8000.
_FILES_MAX = 100_000

# boot/vmlinuz-R up to 6.x (boot/vmlinux-R on riscv64, a raw Image), usr/lib/modules/R/vmlinuz from 7.x on.
_IMAGE = re.compile(r"(?:\./)?(?:boot/vmlinu[xz]-[^/]+|(?:usr/)?lib/modules/[^/]+/vmlinu[xz])")


def kernel_image(path: Path) -> bytes:
    """Return the kernel image in a linux-image or linux-binary package; ImageError when it holds none."""
    with _files(path) as archive, _damage_reported(path):
        for member in _members(archive, path):
            if _IMAGE.fullmatch(member.name):
                return _content(archive, member, compression.OUTPUT_MAX, path)
    raise ImageError(
        f"the package {path} holds no kernel image (boot/vmlinuz-*, lib/modules/*/vmlinuz): if the kernel and its "
        "modules are in two packages, unpack both into one directory (dpkg-deb -x FILE DIRECTORY), and name that"
    )


def check(path: Path) -> None:
    """Raise ImageError unless a file is a Debian package, as far as its headers show. Nothing is unpacked."""
    with _damage_reported(path), path.open("rb") as file:
        _find_data(file, path)


def has_modules(path: Path) -> bool:
    """Return whether a package has kernel modules; ImageError when it is damaged."""
    with _files(path) as archive, _damage_reported(path):
        return any(MODULE_NAME.search(member.name) for member in _members(archive, path))


def extract(path: Path, into: Path, wanted: re.Pattern[str]) -> None:
    """Extract the files of a package whose names match wanted into a directory.

    A symbolic link becomes a copy of the file that it leads to. The archive is not trusted: absolute paths,
    paths with "..", and links that leave the directory are ignored. ImageError when the package is damaged.
    """
    with _files(path) as archive, _damage_reported(path):
        links = []
        for member in _members(archive, path):
            name = member.name
            if not wanted.fullmatch(name) or ".." in name.split("/") or name.startswith("/"):
                continue
            target = into / name
            if member.issym():
                links.append((target, target.parent / str(member.linkname)))
            elif member.isreg():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_content(archive, member, compression.OUTPUT_MAX, path))
        inside = into.resolve()
        for link, to in links:
            if to.resolve().is_relative_to(inside) and to.is_file():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.write_bytes(to.read_bytes())


@contextlib.contextmanager
def opened(path: Path, wanted: re.Pattern[str]) -> Iterator[IO[bytes]]:
    """Give the first file of a package whose name matches wanted, to be read forwards while the context lasts.

    ImageError when the package has none, or is damaged.
    """
    with _files(path) as archive, _damage_reported(path):
        for member in _members(archive, path):
            if wanted.fullmatch(member.name) and (file := archive.extractfile(member)) is not None:
                yield file
                return
    raise ImageError(f"the package {path} has no file called {wanted.pattern}")


@contextlib.contextmanager
def modules(path: Path, scratch: Path) -> Iterator[FileModules]:
    """Give the modules in a package, readable in any order while the context lasts.

    The tar is decompressed once, into an unnamed file in the directory scratch: each seek in the compressed
    one would start from its beginning (4 s for the 112 MB of riscv64). ImageError when the package is damaged.
    """
    with contextlib.ExitStack() as closing:
        with _damage_reported(path):
            scratch.mkdir(parents=True, exist_ok=True)
            plain = closing.enter_context(tempfile.TemporaryFile(dir=scratch))
        with _damage_reported(path), _tar(path) as compressed:
            while chunk := compressed.read(1 << 18):
                plain.write(chunk)
            plain.seek(0)
            # As a stream: its headers cannot lead back, and tarfile does not read a part twice.
            with tarfile.open(fileobj=plain, mode="r|") as archive:
                found = {
                    member.name: (member.offset_data, member.size)
                    for member in _members(archive, path)
                    if member.isreg() and not member.issparse() and MODULE_NAME.search(member.name)
                }

        def read(name: str) -> bytes:
            offset, size = found[name]
            if size > SIZE_MAX:
                raise ImageError(f"{name} in {path} has {size} bytes; a module has {SIZE_MAX} at most")
            return os.pread(plain.fileno(), size, offset)

        yield FileModules(f"the package {path.name}", tuple(found), read)


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive that is read as a stream; ImageError when there are too many."""
    for number, member in enumerate(archive):
        if number == _FILES_MAX:
            raise ImageError(f"the package {path} has more than {_FILES_MAX} files")
        # tarfile skips the content in pieces of 10 KB, also beyond the end of the file.
        if member.size > _TAR_MAX:
            raise ImageError(
                f"the package {path} has a file of {member.size} bytes; at most {_TAR_MAX} are read"
            )
        yield member


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, limit: int, path: Path) -> bytes:
    """Return the content of the member that _members() yielded last."""
    if member.size > limit:
        raise ImageError(f"{member.name} in {path} has {member.size} bytes; at most {limit} are unpacked")
    file = archive.extractfile(member)
    data = file.read() if file is not None else b""
    if len(data) != member.size:
        raise ImageError(f"{path} is a damaged or truncated Debian package: {member.name} is not complete")
    return data


@contextlib.contextmanager
def _files(path: Path) -> Iterator[tarfile.TarFile]:
    """Give the files of a package as an archive that can be read once, from the start to the end."""
    with _damage_reported(path), _tar(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        yield archive


_Stream = io.RawIOBase | io.BufferedIOBase
"""A file that is read forwards."""


class _Part(io.RawIOBase):
    """A number of bytes of a file, from where it is, to be read forwards. The file stays open."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        """Return up to size bytes; all that are left if size is negative."""
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


@contextlib.contextmanager
def _tar(path: Path) -> Iterator[_Stream]:
    """Give the decompressed data.tar of a package, to be read forwards."""
    with path.open("rb") as file:
        kind, size = _find_data(file, path)
        packed = _Part(file, size)
        what = f"the package {path}"
        if kind is None:
            yield packed
        elif kind == "zstd":
            # All at once: few packages use it.
            yield io.BytesIO(compression.decompress(kind, packed.read(), what))
        else:
            with io.BufferedReader(compression.Inflater(kind, packed, what, _TAR_MAX), 1 << 18) as stream:
                yield stream


def _find_data(file: IO[bytes], path: Path) -> tuple[compression.FileKind | None, int]:
    """Go to the content of data.tar in a package; return its compression, None if it has none, and its size."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise ImageError(f"{path} is a damaged or truncated Debian package: its first bytes are wrong")
    for _ in range(_MEMBERS_MAX):
        header = _AR_HEADER.fullmatch(file.read(_AR_HEADER_SIZE))
        if header is None or file.tell() + int(header[2]) > end:
            break
        name, size = header[1].rstrip(b" /").decode("ascii", "replace"), int(header[2])
        if name == "data.tar":
            return None, size
        base, dot, suffix = name.rpartition(".")
        if base == "data.tar":
            if dot + suffix not in compression.SUFFIXES:
                break
            return compression.SUFFIXES[dot + suffix], size
        # Members begin at even offsets.
        file.seek(size + size % 2, os.SEEK_CUR)
    raise ImageError(f"{path} is a damaged or truncated Debian package: it has no data.tar that can be read")


@contextlib.contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Turn every error that a damaged package causes into ImageError, with its path."""
    try:
        yield
    except OSError as error:
        raise ImageError(f"cannot unpack the package {path}: {error.strerror or error}") from None
    # tarfile raises ValueError and RecursionError for some headers.
    except (tarfile.TarError, ValueError, EOFError, OverflowError, RecursionError) as error:
        raise ImageError(f"{path} is a damaged or truncated Debian package: {error}") from None
