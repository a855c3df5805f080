"""Programs for guests from Debian's packages: cached, verified, and reported when missing."""

import hashlib

import msgspec
import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.errors import ImageError, NotCached
from sysevent.images import inventory
from sysevent.images.debian.package_index import Package
from sysevent.images.rootfs import userland

RISCV64 = ARCHITECTURES["riscv64"]


@pytest.fixture
def no_packages(monkeypatch):
    """A suite that has none of the packages."""
    monkeypatch.setattr(userland, "_packages", lambda arch, archive, *, refresh: {})


def test_offline(settings, progress):
    """The message names the command that downloads the packages."""
    with pytest.raises(NotCached, match="sysevent shell TARGET"):
        userland.shell(RISCV64, msgspec.structs.replace(settings, offline=True), progress)


def test_a_suite_without_them(settings, progress, no_packages):
    with pytest.raises(ImageError, match="Debian trixie has no package busybox-static for riscv64"):
        userland.shell(RISCV64, settings, progress)


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=lambda arch: arch.name)
def test_every_architecture_has_its_loader(arch, settings, progress, monkeypatch):
    """At the path of its ABI, from Debian's directory for the architecture."""
    extracted = {}
    known = {name: Package(name, "1", f"pool/{name}.deb", 1, "0" * 64) for name in userland._NAMES}
    monkeypatch.setattr(userland, "_packages", lambda *_, refresh: known)
    monkeypatch.setattr(userland, "_extract", lambda package, wanted, _: extracted.update(wanted) or {})
    userland.server(arch, settings, progress)
    (loader,) = [path for path in extracted if "/ld-linux" in path]
    assert extracted[loader] == f"usr/lib/{arch.uname_machine}-linux-gnu/{loader.rpartition('/')[2]}"
    assert extracted["bin/dropbear"] == "usr/sbin/dropbear"


def test_a_damaged_file_is_ignored_and_reported(settings, progress):
    """`images verify` reports it and removes it."""
    payload = msgspec.msgpack.encode({"bin/busybox": b"program"})
    path = settings.cache / "userland" / "one.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(hashlib.sha256(payload).digest() + payload)
    assert userland.read_files(path) == {"bin/busybox": b"program"}
    assert list(inventory.verify(settings, progress)) == []
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert userland.read_files(path) is None
    (damage,) = inventory.verify(settings, progress)
    assert (damage.path, damage.removed) == (path, True)
    assert userland.read_files(path) is None
