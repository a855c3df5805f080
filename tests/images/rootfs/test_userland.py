"""Programs for guests out of Debian's packages: kept, checked, and honest about what is missing."""

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
    """A suite that has been asked, and has nothing of ours."""
    monkeypatch.setattr(userland, "_packages", lambda arch, archive, *, refresh: {})


def test_offline(settings, said):
    """Nothing here, and nobody to ask: the command that helps is named."""
    with pytest.raises(NotCached, match="sysevent shell TARGET"):
        userland.shell(RISCV64, msgspec.structs.replace(settings, offline=True), said)


def test_a_suite_without_them(settings, said, no_packages):
    with pytest.raises(ImageError, match="Debian trixie has no package busybox-static for riscv64"):
        userland.shell(RISCV64, settings, said)


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=lambda arch: arch.name)
def test_every_architecture_has_its_loader(arch, settings, said, monkeypatch):
    """Where its ABI says, out of the directory that Debian has for it."""
    asked = {}
    known = {name: Package(name, "1", f"pool/{name}.deb", 1, "0" * 64) for name in userland._NAMES}
    monkeypatch.setattr(userland, "_packages", lambda *_, refresh: known)
    monkeypatch.setattr(userland, "_out_of", lambda package, places, _: asked.update(places) or {})
    userland.server(arch, settings, said)
    (loader,) = [path for path in asked if "/ld-linux" in path]
    assert asked[loader] == f"usr/lib/{arch.machine}-linux-gnu/{loader.rpartition('/')[2]}"
    assert asked["bin/dropbear"] == "usr/sbin/dropbear"


def test_what_is_kept(tmp_path, settings, said):
    """Is believed only whole, and found out by `images verify` when it is not."""
    payload = msgspec.msgpack.encode({"bin/busybox": b"program"})
    kept = settings.cache / "userland" / "one.bin"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(hashlib.sha256(payload).digest() + payload)
    assert userland.read(kept) == {"bin/busybox": b"program"}
    assert list(inventory.verify(settings, said)) == []
    kept.write_bytes(kept.read_bytes()[:-1] + b"!")
    assert userland.read(kept) is None
    (damage,) = inventory.verify(settings, said)
    assert (damage.path, damage.removed) == (kept, True)
    assert userland.read(kept) is None
