"""--kernel with a .deb, with the directory of an unpacked package, and with the name of a package of Debian."""

import shutil

import pytest
from debian_mirror import build_deb
from kernel_images import arm64_image, empty_bzimage

from sysevent.arches import ARCHITECTURES, architecture
from sysevent.errors import ImageError, NotApplicable, UsageError, WrongArchitecture
from sysevent.images.kernel import mistakes, resolve
from sysevent.images.rootfs.initramfs import kernel_modules

ARM64 = architecture("arm64")
R = "6.12.1-mine"


@pytest.fixture
def found(settings, progress, mirror):
    """found(spec, arch, modules): resolve.find(), after the check that precedes a run."""

    def find(spec, arch=ARM64, modules=None):
        mistakes.check(str(spec), list(ARCHITECTURES))
        kernel = resolve.find(str(spec), arch, settings, progress, modules)
        assert not mirror.log, "a package of the user needs no network"
        return kernel

    return find


@pytest.mark.parametrize("place", ["boot/vmlinuz-{}", "usr/lib/modules/{}/vmlinuz"])
@pytest.mark.parametrize("compression", ["xz", "none"])
def test_deb(found, tmp_path, settings, progress, make_module, place, compression):
    """Its kernel and its modules are used, whatever its name is; a second run finds both in the cache."""
    path = tmp_path / "x.deb"
    files = {place.format(R): arm64_image(R), f"usr/lib/modules/{R}/kernel/kvm.ko": make_module(vermagic=R)}
    path.write_bytes(build_deb(files, compression))
    kernel = found(path)
    assert (kernel.release, kernel.image.read_bytes()) == (R, arm64_image(R))
    assert [module.name for module in kernel_modules(kernel, ARM64, ["kvm"], settings, progress)] == ["kvm"]
    inode = kernel.image.stat().st_ino
    assert found(path).image.stat().st_ino == inode
    with pytest.raises(WrongArchitecture, match=f"the kernel in {path} is a kernel for arm64"):
        found(path, architecture("x86_64"))


def test_deb_without_modules(found, tmp_path):
    """As for arm64 kernels with KVM in them; --modules may name others."""
    path = tmp_path / "x.deb"
    path.write_bytes(build_deb({f"boot/vmlinuz-{R}": arm64_image(R)}))
    assert found(path).modules is None
    assert found(path, modules=tmp_path).modules == tmp_path


def test_deb_without_a_kernel(found, tmp_path, make_module):
    path = tmp_path / "x.deb"
    path.write_bytes(build_deb({f"usr/lib/modules/{R}/kernel/kvm.ko": make_module()}))
    with pytest.raises(ImageError, match=rf"{path} holds no kernel image .*unpack both into one directory"):
        found(path)


@pytest.mark.parametrize("size", [8, 60, 200])
def test_damaged_deb(found, tmp_path, size):
    """Before anything is collected."""
    path = tmp_path / "x.deb"
    path.write_bytes(build_deb({f"boot/vmlinuz-{R}": arm64_image(R)})[:size])
    with pytest.raises(UsageError, match="damaged or truncated Debian package"):
        mistakes.check(str(path), ["arm64"])


@pytest.mark.parametrize("place", ["boot/vmlinuz-{}", "lib/modules/{}/vmlinuz", "usr/lib/modules/{}/vmlinuz"])
@pytest.mark.parametrize("below", ["lib/modules", "usr/lib/modules"])
def test_unpacked(found, tmp_path, make_module, place, below):
    """Of Debian, Ubuntu or Fedora; kernel and modules may come from two packages."""
    files = {place.format(R): arm64_image(R), f"{below}/{R}/kernel/kvm.ko": make_module()}
    for name, data in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(data)
    kernel = found(tmp_path / "root")
    assert (kernel.release, kernel.modules) == (R, tmp_path / "root" / below / R)
    shutil.rmtree(kernel.modules / "kernel")
    assert found(tmp_path / "root").modules is None


def test_several_kernels(found, tmp_path):
    """As in the /boot of an installed system: the user names one."""
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "vmlinuz-1").write_bytes(arm64_image(R))
    (tmp_path / "boot" / "vmlinuz-2").write_bytes(empty_bzimage())
    with pytest.raises(
        UsageError, match=r"a directory with 2 kernels: name one .*boot/vmlinuz-1, boot/vmlinuz-2"
    ):
        found(tmp_path)


NAME = "linux-image-6.12.1+deb13-rt-arm64"


@pytest.fixture
def published(mirror, settings, progress):
    """find(package): by its name, on a mirror with two versions of an RT kernel, and with one for amd64."""
    deb = build_deb({f"boot/vmlinuz-{R}": arm64_image(R)})
    deb += b"\n" * (1 << 20)
    mirror.add("trixie", "arm64", [(NAME, "6.12.1-1", deb), ("linux-image-6.12.1-arm64", "6.12.1-1", deb)])
    mirror.add("sid", "arm64", [(NAME, "6.12.1-2", deb)])
    mirror.add("forky", "amd64", [("linux-image-7.1-rt-amd64", "7.1-1", deb)])

    def find(package, arch=ARM64):
        mistakes.check(package, list(ARCHITECTURES))
        return resolve.find(package, arch, settings, progress)

    return find


def test_package_of_debian(published):
    """The newest one of that name in the suites of all tracks, or the one of that version."""
    assert published(f"debian:{NAME}").version == "6.12.1-2"
    assert published(f"debian:{NAME}=6.12.1-1").version == "6.12.1-1"
    assert published(f"debian:{NAME.replace('image', 'binary')}").version == "6.12.1-2"


@pytest.mark.parametrize(
    ("package", "words"),
    [
        (f"{NAME}=1", "in other versions only: 6.12.1-1, 6.12.1-2"),
        ("linux-image-6.12.9+deb13-rt-arm64", f"it has {NAME.replace('+', '.')}"),
        ("linux-image-7.1-rt-amd64", "Debian has no package linux-image-7.1-rt-amd64 for arm64"),
    ],
)
def test_package_that_debian_lacks(published, package, words):
    with pytest.raises(NotApplicable, match=words):
        published(f"debian:{package}")
