"""How long a cached resolution is used, and what happens when it is older."""

import time

import msgspec
import pytest

from sysevent.arches import architecture
from sysevent.cache import Cache
from sysevent.errors import BadSignature
from sysevent.images import tracks
from sysevent.images.debian.archive import LastFetch
from sysevent.images.debian.track_resolution import Resolution, cached_resolution, cached_resolutions
from sysevent.images.download import Gone

ARM64 = architecture("arm64")


def age(settings, hours):
    """Change the cache as if the mirror had been asked that many hours ago."""
    cache = Cache(settings.cache)
    for folder, kind in (("tracks", Resolution), ("suites", LastFetch)):
        for path in (settings.cache / folder).glob("*.json"):
            value = cache.read(path, kind)
            cache.record(path, msgspec.structs.replace(value, checked=time.time() - hours * 3600))


def test_a_package_that_was_removed_from_the_mirror(find, trixie, progress):
    find()
    for blob in trixie.root.rglob("*.deb"):
        blob.unlink()
    kernel = find()
    for path in (kernel.modules, kernel.image):
        path.unlink()
    trixie.add("trixie", "arm64", [("linux-image-6.12.2+deb13-cloud-arm64", "6.12.2-1", trixie.deb)])
    assert find().version == "6.12.2-1"
    assert "fetching the index again" in progress.text


def test_refreshed_after_a_day(find, trixie, settings):
    find()
    trixie.add("trixie", "arm64", [("linux-image-6.12.2+deb13-cloud-arm64", "6.12.2-1", trixie.deb)])
    age(settings, 23)
    assert find().version == "6.12.1-1"
    age(settings, 25)
    assert find().version == "6.12.2-1"


def test_the_last_resolution_is_used_when_the_mirror_fails(find, trixie, settings, progress):
    find()
    age(settings, 30)
    trixie.faults["InRelease"] = lambda handler, data: handler.answer(503, b"")
    assert find().version == "6.12.1-1"
    assert "using its answer of 30 hours ago" in progress.text
    assert trixie.request_count("InRelease") == 2, "with an older resolution there is one attempt only"


def test_a_release_that_left_the_mirror(find, trixie, settings, progress, tmp_path):
    """It is fetched once from a mirror of old releases; from then on its own mirror need not have it."""
    (trixie.root / "dists").rename(tmp_path / "away")
    with pytest.raises(
        Gone, match=r"debian:6\.12 --mirror URL` with one of those keeps the kernel in the cache"
    ):
        find()
    (tmp_path / "away").rename(trixie.root / "dists")
    find(mirror=f"{settings.mirror}/")
    (trixie.root / "dists").rename(tmp_path / "away")
    age(settings, 24 * 30)
    assert find().version == "6.12.1-1"
    assert "using its answer of 720 hours ago" in progress.text


def test_a_forged_release_file_is_an_error_despite_an_older_resolution(find, trixie, settings):
    find()
    age(settings, 30)
    trixie.faults["InRelease"] = lambda handler, data: handler.answer(200, data.replace(b"trixie", b"trixiE"))
    with pytest.raises(BadSignature):
        find()


def test_a_mirror_with_an_older_release_file_than_before(find, trixie, settings, progress):
    find()
    age(settings, 30)
    trixie.add("trixie", "arm64", [], Date="Fri, 20 Nov 2026 02:10:46 UTC")
    assert find().version == "6.12.1-1"
    assert "went back to an index of 2026-11-20" in progress.text


def test_an_expired_index_is_reported(find, trixie, progress):
    trixie.add(
        "trixie",
        "arm64",
        [("linux-image-6.12.1-cloud-arm64", "1", trixie.deb)],
        **{"Valid-Until": "Mon, 1 Jan 2024 00:00:00 UTC"},
    )
    find()
    assert "its index expired on 2024-01-01" in progress.text


def test_a_changed_track_invalidates_its_resolution(find, trixie, settings, progress):
    find()
    track = tracks.track("6.12", tracks.load())
    changed = msgspec.structs.replace(track, suites=("trixie",))
    assert cached_resolution(track, ARM64, Cache(settings.cache), settings)
    assert cached_resolution(changed, ARM64, Cache(settings.cache), settings) is None


def test_a_resolution_is_as_old_as_its_oldest_index(find, mirror, make_deb, arm64_image, settings):
    image = make_deb({"usr/lib/modules/R/vmlinuz": arm64_image()})
    names = [("linux-binary-7.3-cloud-arm64", "7.3", image), ("linux-modules-7.3-cloud-arm64", "7.3", image)]
    mirror.add("experimental", "arm64", names)
    mirror.add("sid", "arm64", [])
    find("debian:newest")
    age(settings, 20)
    for path in (*settings.cache.glob("tracks/*"), settings.cache / "suites/experimental.json"):
        path.unlink()
    find("debian:newest")
    ((_, resolution),) = cached_resolutions(Cache(settings.cache))
    assert 19 < resolution.age / 3600 < 21
