"""Debian packages: the kernel image, the modules, extracted files, and damaged packages."""

import contextlib
import errno
import io
import lzma
import re
import tarfile
import time

import pytest

from sysevent.errors import ImageError
from sysevent.images.debian import deb

KO = "usr/lib/modules/R/kernel/kvm.ko.xz"


@pytest.fixture
def package(tmp_path, make_deb):
    def package(files, **options):
        path = tmp_path / "x.deb"
        path.write_bytes(make_deb(files, **options))
        return path

    return package


@pytest.mark.parametrize(
    "path",
    ["boot/vmlinuz-6.1.0", "boot/vmlinux-6.12", "usr/lib/modules/7.2/vmlinuz", "lib/modules/7.2/vmlinuz"],
)
@pytest.mark.parametrize("compression", ["xz", "none"])
def test_kernel_image(package, path, compression):
    assert (
        deb.kernel_image(package({"boot/config-6": b"x", path: b"kernel"}, compression=compression))
        == b"kernel"
    )


def test_package_without_kernel(package):
    with pytest.raises(ImageError, match="holds no kernel image"):
        deb.kernel_image(package({"usr/share/boot/vmlinuz-6": b"", "usr/share/doc/vmlinuz": b""}))


def test_modules(package, tmp_path):
    path = package({KO: b"one", "usr/lib/modules/R/kernel/a.ko": b"two", "usr/lib/modules/R/x.txt": b""})
    with deb.modules(path, tmp_path / "scratch") as files:
        assert files.index() == {"kvm": f"./{KO}", "a": "./usr/lib/modules/R/kernel/a.ko"}
        assert [files.read(files.index()[name]) for name in ("kvm", "a", "kvm")] == [b"one", b"two", b"one"]
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("cut", [0, 7, 100, -30])
def test_damaged(package, tmp_path, cut):
    path = package({KO: bytes(range(256)) * 99})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ImageError, match=r"x\.deb"):
        deb.kernel_image(path)
    with pytest.raises(ImageError, match=r"x\.deb"), deb.modules(path, tmp_path):
        pass


def test_extracted_files_stay_in_the_directory(tmp_path, monkeypatch):
    """Whatever paths and links the archive contains."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, link in (
            ("../up.h", None),
            ("/abs.h", None),
            ("in/link.h", "../../../../etc/passwd"),
            ("in/ok.h", None),
        ):
            info = tarfile.TarInfo(name)
            if link:
                info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    out.seek(0)
    monkeypatch.setattr(deb, "_files", lambda path: tarfile.TarFile(fileobj=out))
    into = tmp_path / "deep" / "er" / "into"
    into.mkdir(parents=True)
    deb.extract(tmp_path / "x.deb", into, re.compile(r".*\.h"))
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.h")] == ["deep/er/into/in/ok.h"]


def ar(*members):
    """Return an ar archive of (name, content, size as the header has it)."""
    out = b"!<arch>\n"
    for name, data, size in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{size:<10}".encode() + b"`\n" + data
    return out


@pytest.mark.parametrize(
    "data",
    [
        ar(("data.tar.xz", b"", "-60")),
        ar(("debian-binary", b"2.0\n", "-64"), ("data.tar", b"", 0)),
        ar(("data.tar.xz", b"x", 9_999_999_999)),
        ar(("data.tar", b"x" * 512, "512x")),
        ar(("data.tar.bz2", b"BZh", 3)),
        ar(*[("x", b"", 0)] * 100, ("data.tar", b"", 0)),
        b"!<arch>\n",
    ],
)
def test_archives_with_invalid_sizes(tmp_path, data):
    """They neither lead back to an earlier member nor beyond the end."""
    path = tmp_path / "x.deb"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"x\.deb"):
        deb.kernel_image(path)
    with pytest.raises(ImageError, match=r"x\.deb"), deb.modules(path, tmp_path):
        pass


def tar_header(size):
    """Return the header of a tar member with a size as it is encoded for large and for negative numbers."""
    header = bytearray(tarfile.TarInfo("./boot/vmlinuz-1").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header)
    return bytes(header)


@pytest.mark.parametrize(
    "size",
    # -512, which leads back to this header; 2^62; 600 MB, more than a kernel has.
    [b"\xff" * 10 + b"\xfe\0", b"\x80\0\0\0\x40" + bytes(7), b"%011o\0" % (600 << 20)],
)
def test_tar_members_with_absurd_sizes(tmp_path, size):
    path = tmp_path / "x.deb"
    data = tar_header(size) + bytes(2048)
    path.write_bytes(ar(("data.tar", data, len(data))))
    begin = time.process_time()
    with pytest.raises(ImageError, match=r"x\.deb"):
        deb.kernel_image(path)
    with contextlib.suppress(ImageError), deb.modules(path, tmp_path) as files:
        assert files.paths == ()
    assert time.process_time() - begin < 2


def test_a_package_that_is_a_bomb(tmp_path, monkeypatch):
    """Four megabytes, of which a few kilobytes are in the package, against a limit of one."""
    monkeypatch.setattr(deb, "_TAR_MAX", 1 << 20)
    path = tmp_path / "x.deb"
    packed = lzma.compress(bytes(4 << 20))
    path.write_bytes(ar(("data.tar.xz", packed, len(packed))))
    with pytest.raises(ImageError, match="decompresses to more than"), deb.modules(path, tmp_path):
        pass


def test_a_full_disk(package, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(deb.tempfile, "TemporaryFile", lambda **options: Full())
    with (
        pytest.raises(ImageError, match=r"cannot unpack .*: No space left"),
        deb.modules(package({KO: b"x"}), tmp_path),
    ):
        pass
