"""Reads Debian packages: the kernel image, and modules without unpacking all of them.

deb(5): an ar archive with a compressed tar of the files in it, sorted, so that boot/ comes first.
"""

from __future__ import annotations

import contextlib
import lzma
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from sysevent.errors import ImageError, ToolMissing
from sysevent.images.kernel.modules import MODULE_NAME, FileModules

# boot/vmlinuz-R up to 6.x (boot/vmlinux-R on riscv64, a raw Image), usr/lib/modules/R/vmlinuz from 7.x on.
_IMAGE = re.compile(r"(?:\./)?(?:boot/vmlinu[xz]-[^/]+|(?:usr/)?lib/modules/[^/]+/vmlinu[xz])")


def kernel_image(path: Path) -> bytes:
    """Return the kernel image in a linux-image or linux-binary package; ImageError when it holds none."""
    with _files(path) as archive:
        for member in archive:
            is_image = member.isfile() and _IMAGE.fullmatch(str(member.name))
            if is_image and (file := archive.extractfile(member)):
                return file.read()
    raise ImageError(f"the package {path} holds no kernel image (boot/vmlinuz-*, lib/modules/*/vmlinuz)")


def extract(path: Path, into: Path, wanted: re.Pattern[str]) -> None:
    """Extract the files of a package whose names match wanted into a directory.

    A symbolic link becomes a copy of the file that it leads to. The archive is not trusted: absolute paths,
    paths with "..", and links that leave the directory are ignored. ImageError when the package is damaged.
    """
    with _files(path) as archive, _damage_reported(path):
        links = []
        for member in archive:
            name = str(member.name)
            if not wanted.fullmatch(name) or ".." in name.split("/") or name.startswith("/"):
                continue
            target = into / name
            if member.issym():
                links.append((target, target.parent / str(member.linkname)))
            elif member.isfile() and (file := archive.extractfile(member)):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read())
        inside = into.resolve()
        for link, to in links:
            if to.resolve().is_relative_to(inside) and to.is_file():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.write_bytes(to.read_bytes())


@contextlib.contextmanager
def modules(path: Path, scratch: Path) -> Iterator[FileModules]:
    """Give the modules in a package, readable in any order while the context lasts.

    The tar is decompressed once, into an unnamed file in the directory scratch: each seek in the compressed
    one would start from its beginning (4 s for the 112 MB of riscv64). ImageError when the package is damaged.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with _files(path) as compressed, tempfile.TemporaryFile(dir=scratch) as plain:
        source = compressed.fileobj
        assert source is not None
        source.seek(0)
        with _damage_reported(path):
            while chunk := source.read(1 << 20):
                plain.write(chunk)
        plain.seek(0)
        with _damage_reported(path), tarfile.open(fileobj=plain, mode="r:") as archive:
            members = {
                str(member.name): member
                for member in archive
                if member.isfile() and MODULE_NAME.search(str(member.name))
            }

            def read(name: str) -> bytes:
                with _damage_reported(path):
                    file = archive.extractfile(members[name])
                    # members holds regular files only.
                    assert file is not None
                    return file.read()

            yield FileModules(f"the package {path.name}", tuple(members), read)


@contextlib.contextmanager
def _files(path: Path) -> Iterator[tarfile.TarFile]:
    # Imported here: slow, and most runs unpack nothing.
    from debian.debfile import DebFile

    with _damage_reported(path), DebFile(str(path)) as deb:
        if deb.data is None:
            raise ImageError(f"{path} is not a Debian package")
        yield deb.data.tgz()


@contextlib.contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Turn every error that a damaged package causes into ImageError, with its path."""
    from debian.arfile import ArError

    try:
        yield
    # python-debian raises plain OSErrors for a damaged archive.
    except OSError as error:
        raise ImageError(f"cannot unpack the package {path}: {error.strerror or error}") from error
    except (ArError, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
        if "unzstd" in str(error):
            raise ToolMissing(
                f"{path} is compressed with zstd, and no unzstd is installed: apt install zstd"
            ) from None
        raise ImageError(f"{path} is a damaged or truncated Debian package: {error}") from None
