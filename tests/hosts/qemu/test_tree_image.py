"""The boot image of a kernel tree must hold the kernel that was linked there."""

import pytest
from kernel_images import elf, note

from sysevent.errors import ImageError
from sysevent.hosts.qemu.bundle import expected_kernel
from sysevent.images.kernel.vmlinux import BootKernel
from sysevent.model import KernelImage

ID, OTHER = "11" * 20, "22" * 20


def expected(tree, packed, spec="tree:{}"):
    image = tree / "bzImage"
    kernel = KernelImage(spec.format(tree), "x86_64", "6.12.0", "", image, None)
    return expected_kernel(kernel, BootKernel(None, image, "key", packed, "" if packed else "none"), ())


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "vmlinux").write_bytes(elf(note(bytes.fromhex(ID))))
    return tmp_path


def test_an_image_that_is_older_than_its_vmlinux(tree):
    """`make vmlinux` without the image: a verdict would be about the kernel before."""
    assert expected(tree, ID).build_id == ID
    with pytest.raises(
        ImageError, match=f"bzImage has the build ID {OTHER}, and vmlinux {ID}.*run make there"
    ):
        expected(tree, OTHER)


@pytest.mark.parametrize(
    "content", [None, b"", b"no ELF", elf(b"")], ids=["missing", "empty", "text", "no ID"]
)
def test_a_tree_whose_vmlinux_says_nothing(tree, content):
    (tree / "vmlinux").unlink() if content is None else (tree / "vmlinux").write_bytes(content)
    assert expected(tree, OTHER).build_id == OTHER


def test_what_cannot_be_compared(tree):
    """An image without a build ID, which is not proven anyway; and one that is not given as a tree."""
    assert expected(tree, "").build_id == ""
    assert expected(tree, OTHER, "{}/bzImage").build_id == OTHER
