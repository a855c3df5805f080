"""Programs for guests from Debian's packages: cached, verified, and reported when missing."""

import msgspec
import pytest
from faults import DAMAGE

from sysevent.arches import ARCHITECTURES
from sysevent.errors import ImageError, NotCached
from sysevent.images.debian.archive import Archive
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


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_taken_from_the_package_again(settings, progress, monkeypatch, make_deb, damage):
    """Also offline, as long as the package is intact."""
    package = Package("busybox-static", "1", "b.deb", 1, "0" * 64)
    (settings.cache.parent / "b.deb").write_bytes(make_deb({"usr/bin/busybox": b"program"}))
    monkeypatch.setattr(Archive, "deb", lambda *_: settings.cache.parent / "b.deb")
    archive = Archive(settings, progress)
    wanted = {"bin/busybox": "usr/bin/busybox"}
    for _ in range(2):
        assert userland._extract(package, wanted, archive) == {"bin/busybox": b"program"}
        (path,) = (settings.cache / "userland").glob("*.bin")
        DAMAGE[damage](path)
