"""Reading Debian packages."""

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
def test_where_the_kernel_lies(package, path, compression):
    assert (
        deb.kernel_image(package({"boot/config-6": b"x", path: b"kernel"}, compression=compression))
        == b"kernel"
    )


def test_no_kernel(package):
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
