"""The archive with the guest program of real VMMs."""

import importlib.util

import msgspec
import pytest

from sysevent import settings
from sysevent.arches import ARCHITECTURES
from sysevent.images.rootfs import newc, vmm_guest
from sysevent.scenario.vmms import GUEST

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
    assert f"/{vmm_guest.PATH}" == GUEST


def test_a_rom_for_x86(here):
    """64 KiB, whose last 16 bytes jump to its first: where the CPU starts after a reset."""
    data = vmm_guest.archive(ARCHITECTURES["x86_64"], here).read_bytes()
    directory = newc.archive([newc.directory("sysevent"), newc.plain(vmm_guest.PATH, b"")])
    assert len(data) == len(directory) + (1 << 16)
    start = data.index(b"\xfa\x31\xc0")
    assert data[start + 0xFFF0 : start + 0xFFF3] == b"\xe9\x0d\x00"
