"""Archives of kits in the cache."""

import gzip

import pytest

from sysevent.arches import architecture
from sysevent.cache import Cache
from sysevent.errors import ImageError
from sysevent.images import inventory, stored_files
from sysevent.images.rootfs import initramfs
from sysevent.images.rootfs.kits import all_stored, archive
from sysevent.images.rootfs.kits.archive import Contents

ARM64 = architecture("arm64")
FILES = {"usr/bin/vmm": b"program", "lib/libx.so": b"library", "usr/share/data": b"data"}


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def make(cache, progress):
    """make(key="0"): a kit; .count has how often its contents were asked for."""

    def make(key="0", name="vmm"):
        def contents():
            make.count += 1
            return Contents("1", "/usr/bin/vmm", FILES, frozenset(["usr/share/data"]), ("p 1",))

        return archive.make(cache, name, "arm64", archive.key_of([key]), progress, contents)

    make.count = 0
    return make


def test_it_is_made_once(make):
    assert make() == make()
    assert make.count == 1
    assert make("another").archive != make().archive
    assert make.count == 2


def test_the_same_bytes_every_time(make, cache):
    first = make().archive.read_bytes()
    make().archive.unlink()
    assert make().archive.read_bytes() == first


def test_its_facts(make):
    kit = make()
    assert (kit.name, kit.arch, kit.version, kit.libraries, kit.packages) == (
        "vmm",
        "arm64",
        "1",
        1,
        ("p 1",),
    )
    assert kit.seconds >= 0


def test_it_is_appended_to_an_initramfs(make, cache):
    """The archives behind the guest's own one, in this order; the name has the hash of all.

    Without compression, which not every kernel can read, and each at a multiple of four bytes.
    """
    odd = cache.root / "odd.cpio.gz"
    cache.seal(odd, archive.compress(b"07070 odd"))
    kits = [odd, make().archive]
    plain = initramfs.pack({"init": b"#!"}, (), cache)
    whole = initramfs.pack({"init": b"#!"}, (), cache, kits)
    assert whole.read_bytes() == plain.read_bytes() + b"07070 odd\0\0\0" + gzip.decompress(
        kits[1].read_bytes()
    )
    assert whole != plain
    assert len(plain.read_bytes()) % 4 == 0


def test_a_damaged_archive_is_not_appended(make, cache):
    path = make().archive
    path.write_bytes(gzip.compress(b"other"))
    with pytest.raises(ImageError, match="run the same command again"):
        initramfs.pack({"init": b"#!"}, (), cache, [path])


def test_listing(make, cache):
    """By name; without the archive, or with a damaged note, it is not there."""
    kits = [make(name="b"), make(name="a"), make("2", name="c")]
    kits[2].archive.unlink()
    assert [kit.name for kit in all_stored(cache)] == ["a", "b"]
    note = kits[0].archive.with_name(kits[0].archive.name.replace(".cpio.gz", ".json"))
    note.write_bytes(b"{}")
    assert [kit.name for kit in all_stored(cache)] == ["a"]


def test_it_is_verified_and_pruned_with_the_cache(make, cache, settings):
    kit = make()
    stored = {one.path: one for one in stored_files.stored(cache, "kits")}
    assert all(stored_files.is_intact(one, cache) for one in stored.values())
    kit.archive.write_bytes(b"other")
    assert not stored_files.is_intact(stored[kit.archive], cache)
    assert "kits" in inventory._REMADE
