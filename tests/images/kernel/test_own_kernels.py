"""--kernel with a path or a built tree."""

import gzip

import pytest

from sysevent.arches import architecture
from sysevent.errors import ImageError, UsageError
from sysevent.images.kernel import resolve

ARM64, RISCV64 = architecture("arm64"), architecture("riscv64")


@pytest.fixture
def find(settings, said, mirror):
    def find(spec, arch=ARM64, modules=None):
        kernel = resolve.find(str(spec), arch, settings, said, modules)
        assert not mirror.log, "one's own kernel needs no network"
        return kernel

    return find


@pytest.fixture
def tree(tmp_path, arm64_image, make_module):
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


def test_a_wrapped_image_is_unwrapped_once(find, tmp_path, arm64_image):
    path = tmp_path / "Image.gz"
    path.write_bytes(gzip.compress(arm64_image()))
    kernel = find(path)
    assert kernel.image.read_bytes() == arm64_image()
    inode = kernel.image.stat().st_ino
    assert find(path).image.stat().st_ino == inode


def test_tree(find, tree):
    kernel = find(f"tree:{tree}")
    assert (kernel.release, kernel.image, kernel.modules) == (
        "6.12.1-mine",
        tree / "arch/arm64/boot/Image",
        tree,
    )


def test_a_trees_release_file_knows_best(find, tree):
    (tree / "include/config/kernel.release").write_text("6.12.1-mine+\n")
    assert find(f"tree:{tree}").release == "6.12.1-mine+"


def test_a_tree_of_another_architecture(find, tree):
    with pytest.raises(resolve.WrongArchitecture, match="has arch/arm64/boot/Image"):
        find(f"tree:{tree}", RISCV64)


def test_a_tree_that_is_not_built(find, tree):
    (tree / "arch/arm64/boot/Image").unlink()
    with pytest.raises(ImageError, match="arch/arm64/boot/Image is missing; run make"):
        find(f"tree:{tree}")


def test_a_directory_that_is_no_tree(find, tmp_path):
    with pytest.raises(UsageError, match="not a kernel tree"):
        find(f"tree:{tmp_path}")


def test_a_directory_without_tree(find, tree):
    with pytest.raises(UsageError, match=f"written tree:{tree}"):
        find(tree)


def test_another_architecture(find, tmp_path, arm64_image):
    path = tmp_path / "Image"
    path.write_bytes(arm64_image())
    with pytest.raises(resolve.WrongArchitecture, match=r"Image is a kernel for arm64 .*, not for riscv64"):
        find(path, RISCV64)


def test_cut_off(find, tmp_path, arm64_image):
    path = tmp_path / "Image"
    path.write_bytes(arm64_image()[:-1])
    with pytest.raises(ImageError, match="cut off"):
        find(path)


def test_nothing_there(find, tmp_path):
    with pytest.raises(UsageError, match=r"neither a file nor a track; there are debian:5\.10"):
        find(tmp_path / "none")


def test_modules_where_they_make_no_sense(find, tmp_path):
    with pytest.raises(UsageError, match="brings its own modules"):
        find("debian:6.12", modules=tmp_path)
    with pytest.raises(UsageError, match="no such directory"):
        find(tmp_path, modules=tmp_path / "none")
