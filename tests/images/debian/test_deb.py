"""Debian packages: the kernel image, the modules, extracted files, and damaged packages."""

import io
import re
import tarfile

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
