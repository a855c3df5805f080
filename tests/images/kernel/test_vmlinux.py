"""What QEMU boots for an image: identified by content, extracted once, checked at each use."""

import gzip
import lzma
import os
from pathlib import Path

import msgspec
import pytest
from kernel_images import bzimage, elf, note, raw_image

from sysevent import settings as settings_of
from sysevent.errors import ImageError, ToolMissing
from sysevent.images.kernel import held, identity, vmlinux
from sysevent.images.kernel.bootfile import BootFile
from sysevent.model import KernelImage

ID = bytes(range(20))
ELF = elf(note(ID)) + bytes(range(100)) * 20


@pytest.fixture(autouse=True)
def _pvh_entry_in_elf(monkeypatch):
    """bootfile.inspect() accepts ELF, and raw images."""

    def inspect(data, name):
        if data[:4] == b"\x7fELF" and b"no entry" not in data:
            return BootFile("x86_64", "ELF vmlinux", "6.12", None)
        if data[0x38:0x3C] == b"ARM\x64":
            return BootFile("arm64", "arm64 Image", "6.12", None)
        raise ImageError(f"{name} has no PVH entry")

    monkeypatch.setattr(vmlinux.bootfile, "inspect", inspect)


@pytest.fixture
def settings(tmp_path):
    return msgspec.structs.replace(settings_of.from_environment(), cache=tmp_path / "cache")


@pytest.fixture
def kernel(tmp_path):
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(gzip.compress(ELF)))
    return KernelImage("k", "x86_64", "6.12", "", path, None)


@pytest.fixture
def boot(kernel, settings):
    """The kernel that is booted for the image as it is now."""
    return lambda: vmlinux.boot_kernel(kernel, settings, print)


@pytest.fixture
def once(monkeypatch):
    """Call it: from then on nothing may be decompressed."""
    return lambda: monkeypatch.setattr(vmlinux.payload, "unpacked", None)


def test_extracted_once(boot, once):
    found = boot()
    assert (found.content.read(), found.path.read_bytes()) == (ELF, ELF)
    assert found.build_id == ID.hex()
    once()
    again = boot()
    assert (again.content.read(), again.key, again.build_id) == (ELF, found.key, found.build_id)


def test_another_build_of_the_same_size_and_time(boot, kernel):
    """As `cp -p`, rsync and reproducible builds leave it."""
    before, status = boot(), kernel.image.stat()
    other = bytearray(kernel.image.read_bytes())
    # In the padding: the kernel inside stays readable.
    other[-1] ^= 1
    kernel.image.write_bytes(other)
    os.utime(kernel.image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert kernel.image.stat().st_size == status.st_size
    assert boot().key != before.key


def test_the_same_build_at_another_path(boot, kernel, settings, tmp_path, once):
    before = boot()
    once()
    copy = tmp_path / "copy"
    copy.write_bytes(kernel.image.read_bytes())
    moved = msgspec.structs.replace(kernel, image=copy)
    assert vmlinux.boot_kernel(moved, settings, print).key == before.key


@pytest.mark.parametrize("victim", ["ELF", "its seal", "note"])
def test_a_flipped_bit_in_the_cache(victim, boot):
    """The kernel is extracted again."""
    path = boot().path
    damaged = {
        "ELF": path,
        "its seal": path.with_name(f"{path.name}.sha256"),
        "note": path.with_name(f"{path.name}.json"),
    }
    data = bytearray(damaged[victim].read_bytes())
    data[len(data) // 3] ^= 1
    damaged[victim].write_bytes(data)
    again = boot()
    assert (again.content.read(), again.build_id) == (ELF, ID.hex())
    assert again.path.read_bytes() == ELF


def test_an_emptied_file_in_the_cache(boot):
    """As a loss of power leaves it."""
    boot().path.write_bytes(b"")
    assert boot().content.read() == ELF


def test_a_cache_that_cannot_be_written_to(boot, settings):
    settings.cache.mkdir()
    (settings.cache / "vmlinux").write_text("not a directory")
    found = boot()
    assert (found.content.read(), found.build_id) == (ELF, ID.hex())


def test_an_unknown_image_is_booted_itself_and_tried_once(boot, kernel, once):
    kernel.image.write_bytes(b"unknown" * 1000)
    found = boot()
    assert (found.content.read(), found.path, found.build_id) == (b"unknown" * 1000, kernel.image, "")
    assert "not a bzImage" in found.obstacle
    once()
    assert boot().obstacle == found.obstacle


def test_without_a_pvh_entry(boot, kernel):
    """The image is booted, and its kernel's build ID is known."""
    kernel.image.write_bytes(bzimage(lzma.compress(ELF + b"no entry")))
    found = boot()
    assert (found.content.read(), found.build_id) == (kernel.image.read_bytes(), ID.hex())


def test_without_a_decompressor(kernel, settings, monkeypatch):
    """A line of progress says so, and the next run tries again."""

    def missing(data, name):
        raise ToolMissing("no zstd program: apt install zstd")

    lines = []
    monkeypatch.setattr(vmlinux.payload, "unpacked", missing)
    found = vmlinux.boot_kernel(kernel, settings, lines.append)
    assert found.path == kernel.image
    assert "apt install zstd" in lines[0]
    assert "apt install zstd" in found.obstacle
    monkeypatch.undo()
    assert vmlinux.boot_kernel(kernel, settings, lines.append).build_id == ID.hex()


def test_other_architectures_boot_the_image_itself(kernel, settings):
    kernel.image.write_bytes(raw_image(note(ID)))
    arm = msgspec.structs.replace(kernel, arch="arm64")
    found = vmlinux.boot_kernel(arm, settings, print)
    assert (found.path, found.build_id, found.content.read()) == (
        arm.image,
        ID.hex(),
        arm.image.read_bytes(),
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (raw_image(b""), "holds no build IDs"),
        (raw_image(note(ID) + note(b"x" * 20)), "holds 2 build IDs"),
        (b"x" * 4000, "has no PVH entry"),
        (elf(b""), "has no build ID"),
        (bzimage(gzip.compress(elf(b""))), "has no build ID"),
        (bzimage(b"\x89LZO"), "unsupported compression"),
    ],
)
def test_no_build_id(data, words):
    """The reason is said, for "not proven"."""
    found = identity.image_build_id(data, "k")
    assert found.value == ""
    assert words in found.obstacle


def test_an_image_that_changes_while_a_run_begins(boot, kernel, settings):
    """What was inspected is what is booted."""
    found = msgspec.structs.replace(kernel, sha256=held.copied(kernel.image).sha256)
    vmlinux.boot_kernel(found, settings, print)
    kernel.image.write_bytes(bzimage(lzma.compress(ELF)))
    with pytest.raises(ImageError, match="has changed while this run was using it"):
        vmlinux.boot_kernel(found, settings, print)


def test_an_image_that_changes_during_a_run(boot, kernel):
    """The guest that boots after a loss gets the same kernel."""
    kernel.image.write_bytes(b"first" * 1000)
    found = boot()
    kernel.image.write_bytes(b"second" * 1000)
    assert found.content.read() == b"first" * 1000
    with pytest.raises(OSError, match="not permitted"):
        os.write(found.content.fd, b"x")


def test_a_cached_image_that_is_pruned_during_a_run(settings, kernel):
    image = settings.cache / "kernels" / "r" / "vmlinuz"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"kernel" * 1000)
    found = vmlinux.boot_kernel(msgspec.structs.replace(kernel, image=image), settings, print)
    image.unlink()
    assert found.content.read() == b"kernel" * 1000
    with Path(f"/proc/self/fd/{found.content.fd}").open("rb") as file:
        assert file.read(6) == b"kernel"
