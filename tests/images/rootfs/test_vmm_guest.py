"""The archive with the guest program of real VMMs."""

import importlib.util

import msgspec
import pytest

from sysevent import settings
from sysevent.arches import ARCHITECTURES
from sysevent.images.rootfs import vmm_guest
from sysevent.scenario.vmms import GUEST, OTHER_GUEST

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("ziglang"), reason="the ziglang wheel is not installed, which compiles it"
)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return msgspec.structs.replace(settings.from_environment(), cache=tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_archive_for_each_architecture(arch, here):
    """At the path that QEMU's command names; the same one the next time."""
    path = vmm_guest.archive(ARCHITECTURES[arch], here)
    assert path == vmm_guest.archive(ARCHITECTURES[arch], here)
    assert f"{vmm_guest.PATH}\0".encode() in path.read_bytes()
    assert (f"/{vmm_guest.PATH}", f"/{vmm_guest.OTHER_PATH}") == (GUEST, OTHER_GUEST)


def files(archive):
    """The size of each file in an archive, by its path."""
    found, at = {}, 0
    while b"TRAILER!!!" not in archive[at + 110 : at + 121]:
        size, name = int(archive[at + 54 : at + 62], 16), int(archive[at + 94 : at + 102], 16)
        found[archive[at + 110 : at + 109 + name].decode()] = size
        at += (110 + name + 3) // 4 * 4 + (size + 3) // 4 * 4
    return found


def test_a_rom_for_x86(here):
    """64 KiB for every VMM. Its last 16 bytes, where the CPU starts after a reset, jump to its first."""
    data = vmm_guest.archive(ARCHITECTURES["x86_64"], here).read_bytes()
    sizes = files(data)
    assert (sizes["sysevent"], sizes[vmm_guest.PATH], sizes[vmm_guest.OTHER_PATH]) == (0, 1 << 16, 1 << 16)
    start = data.index(b"\xfa\x31\xc0")
    assert data[start + 0xFFF0 : start + 0xFFF3] == b"\xe9\x0d\x00"


def test_two_forms_for_riscv64(here):
    """QEMU loads it as it lies in memory, and other VMMs as an ELF file."""
    data = vmm_guest.archive(ARCHITECTURES["riscv64"], here).read_bytes()
    sizes = files(data)
    assert sizes[vmm_guest.PATH] < 1000 < sizes[vmm_guest.OTHER_PATH]
    assert data.count(b"\x7fELF") == 1


def content(archive, path):
    """The content of a file in an archive."""
    at = archive.index(path.encode() + b"\0") - 110
    size, name = int(archive[at + 54 : at + 62], 16), int(archive[at + 94 : at + 102], 16)
    begin = at + (110 + name + 3) // 4 * 4
    return archive[begin : begin + size]


@pytest.mark.parametrize(("arch", "at", "magic"), [("arm64", 56, b"ARM\x64"), ("riscv64", 56, b"RSC\x05")])
def test_a_kernel(here, arch, at, magic):
    """With Linux's header, the same for every VMM."""
    data = vmm_guest.archive(ARCHITECTURES[arch], here).read_bytes()
    image = content(data, vmm_guest.IMAGE_PATH)
    assert image[at : at + 4] == magic
    assert image == content(data, vmm_guest.KERNEL_PATH)


def test_a_kernel_for_x86(here):
    """A bzImage, whose first sectors come before the rest, and an ELF file with the entry of PVH."""
    data = vmm_guest.archive(ARCHITECTURES["x86_64"], here).read_bytes()
    image = content(data, vmm_guest.IMAGE_PATH)
    assert (image[0x1F1], image[0x1FE:0x200], image[0x202:0x206]) == (1, b"\x55\xaa", b"HdrS")
    # kvmtool reads as much as struct boot_params has.
    assert len(image) >= 4096
    kernel = content(data, vmm_guest.KERNEL_PATH)
    assert kernel.startswith(b"\x7fELF\x02")
    assert b"Xen\0" in kernel
    assert b"sysevent=" in image
