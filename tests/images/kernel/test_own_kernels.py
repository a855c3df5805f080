"""--kernel with a path or a built tree."""

import gzip

import pytest
from faults import flip

from sysevent import errors
from sysevent.arches import architecture
from sysevent.errors import ImageError, UsageError
from sysevent.images.kernel import resolve, vmlinux

ARM64, RISCV64 = architecture("arm64"), architecture("riscv64")


@pytest.fixture
def find(settings, progress, mirror):
    """find(spec, arch, modules): resolve.find(), which must not use the network."""

    def find(spec, arch=ARM64, modules=None):
        kernel = resolve.find(str(spec), arch, settings, progress, modules)
        assert not mirror.log, "a user's own kernel needs no network"
        return kernel

    return find


@pytest.fixture
def tree(tmp_path, arm64_image, make_module):
    """A built kernel tree for arm64."""
    root = tmp_path / "linux"
    for path, data in {
        "Kbuild": b"",
        "include/config/kernel.release": b"6.12.1-mine\n",
        "arch/arm64/boot/Image": arm64_image("6.12.1-mine"),
        "modules.order": b"virt/kvm.o\n",
        "virt/kvm.ko": make_module(),
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def test_path(find, tmp_path, arm64_image):
    path = tmp_path / "Image"
    path.write_bytes(arm64_image("6.12.1-mine"))
    kernel = find(path, modules=tmp_path)
    assert (kernel.release, kernel.image, kernel.modules) == ("6.12.1-mine", path, tmp_path)
    assert find(path).modules is None


def test_a_compressed_image_is_decompressed_once(find, tmp_path, arm64_image):
    path = tmp_path / "Image.gz"
    path.write_bytes(gzip.compress(arm64_image()))
    kernel = find(path)
    assert kernel.image.read_bytes() == arm64_image()
    inode = kernel.image.stat().st_ino
    assert find(path).image.stat().st_ino == inode


def test_a_compressed_image_without_a_place_for_the_plain_one(find, settings, tmp_path, arm64_image):
    """A full disk, or a cache that cannot be written to: it is decompressed for each run."""
    path = tmp_path / "Image.gz"
    path.write_bytes(gzip.compress(arm64_image()))
    settings.cache.mkdir(exist_ok=True)
    (settings.cache / "unwrapped").write_text("not a directory")
    kernel = find(path)
    assert kernel.image == path
    assert vmlinux.boot_kernel(kernel, settings, print).content.read() == arm64_image()


def test_a_flipped_bit_in_a_decompressed_image(find, tmp_path, arm64_image):
    path = tmp_path / "Image.gz"
    path.write_bytes(gzip.compress(arm64_image()))
    kernel = find(path)
    flip(kernel.image)
    assert find(path) == kernel
    assert kernel.image.read_bytes() == arm64_image()


def test_tree(find, tree):
    kernel = find(f"tree:{tree}")
    assert (kernel.release, kernel.image, kernel.modules) == (
        "6.12.1-mine",
        tree / "arch/arm64/boot/Image",
        tree,
    )


def test_the_release_of_a_tree_is_that_of_its_image(find, tree):
    """The tree may have been configured again since. Only an image that does not contain it leaves it to the tree."""
    (tree / "include/config/kernel.release").write_text("6.12.1-mine+\n")
    assert find(f"tree:{tree}").release == "6.12.1-mine"
    image = tree / "arch/arm64/boot/Image"
    image.write_bytes(image.read_bytes().replace(b"Linux version", b"Another OS is"))
    assert find(f"tree:{tree}").release == "6.12.1-mine+"


def test_a_tree_of_another_architecture(find, tree):
    with pytest.raises(errors.WrongArchitecture, match="has arch/arm64/boot/Image"):
        find(f"tree:{tree}", RISCV64)


def test_a_tree_that_is_not_built(find, tree):
    (tree / "arch/arm64/boot/Image").unlink()
    with pytest.raises(ImageError, match="arch/arm64/boot/Image is missing; run make"):
        find(f"tree:{tree}")


def test_a_directory_that_is_not_a_tree(find, tmp_path):
    with pytest.raises(UsageError, match="not a kernel tree"):
        find(f"tree:{tmp_path}")


def test_a_tree_without_the_prefix(find, tree):
    with pytest.raises(UsageError, match=f"write tree:{tree}"):
        find(tree)


def test_another_architecture(find, tmp_path, arm64_image):
    path = tmp_path / "Image"
    path.write_bytes(arm64_image())
    with pytest.raises(errors.WrongArchitecture, match=r"Image is a kernel for arm64 .*, not for riscv64"):
        find(path, RISCV64)


def test_cut_off(find, tmp_path, arm64_image):
    path = tmp_path / "Image"
    path.write_bytes(arm64_image()[:-1])
    with pytest.raises(ImageError, match="truncated"):
        find(path)


def test_no_such_file(find, tmp_path):
    with pytest.raises(UsageError, match=r"no such file; expected the path of an image"):
        find(tmp_path / "none")


def test_modules_that_cannot_be_used(find, tmp_path):
    with pytest.raises(UsageError, match="has its own modules"):
        find("debian:6.12", modules=tmp_path)
    with pytest.raises(UsageError, match="no such directory"):
        find(tmp_path, modules=tmp_path / "none")
