"""How long an answer of the mirror is believed, and what happens to it afterwards."""

import time

import msgspec
import pytest

from sysevent.arches import architecture
from sysevent.cache import Cache
from sysevent.errors import BadSignature
from sysevent.images import tracks
from sysevent.images.debian.archive import Seen
from sysevent.images.debian.track_package import Resolution, kept, remembered

ARM64 = architecture("arm64")


def age(settings, hours):
    """Make the cache believe that the mirror was asked so long ago."""
    cache = Cache(settings.cache)
    for folder, kind in (("tracks", Resolution), ("suites", Seen)):
        for path in (settings.cache / folder).glob("*.json"):
            value = cache.read(path, kind)
            cache.record(path, msgspec.structs.replace(value, checked=time.time() - hours * 3600))


def test_a_package_that_left_the_mirror(find, trixie, said):
    find()
    for blob in trixie.root.rglob("*.deb"):
        blob.unlink()
    cached = [
        p
        for p in Cache(find().modules.parents[2]).root.rglob("*")
        if p.is_file() and p.read_bytes() == trixie.deb
    ]
    for path in [*cached, find().image]:
        path.unlink()
    trixie.add("trixie", "arm64", [("linux-image-6.12.2+deb13-cloud-arm64", "6.12.2-1", trixie.deb)])
    assert find().version == "6.12.2-1"
    assert "asking for the index anew" in said.text


def test_refreshed_after_a_day(find, trixie, settings):
    find()
    trixie.add("trixie", "arm64", [("linux-image-6.12.2+deb13-cloud-arm64", "6.12.2-1", trixie.deb)])
    age(settings, 23)
    assert find().version == "6.12.1-1"
    age(settings, 25)
    assert find().version == "6.12.2-1"


def test_the_last_answer_when_the_mirror_is_away(find, trixie, settings, said):
    find()
    age(settings, 30)
    trixie.faults["InRelease"] = lambda handler, data: handler.answer(503, b"")
    assert find().version == "6.12.1-1"
    assert "using what it had 30 hours ago" in said.text
    assert trixie.asked("InRelease") == 2, "with an answer in hand there is one attempt"


def test_a_forged_refresh_is_not_papered_over(find, trixie, settings):
    find()
    age(settings, 30)
    trixie.faults["InRelease"] = lambda handler, data: handler.answer(200, data.replace(b"trixie", b"trixiE"))
    with pytest.raises(BadSignature):
        find()


def test_a_mirror_that_goes_back_in_time(find, trixie, settings, said):
    find()
    age(settings, 30)
    trixie.add("trixie", "arm64", [], Date="Fri, 20 Nov 2026 02:10:46 UTC")
    assert find().version == "6.12.1-1"
    assert "went back to an index of 2026-11-20" in said.text


def test_an_expired_index_is_told(find, trixie, said):
    trixie.add(
        "trixie",
        "arm64",
        [("linux-image-6.12.1-cloud-arm64", "1", trixie.deb)],
        **{"Valid-Until": "Mon, 1 Jan 2024 00:00:00 UTC"},
    )
    find()
    assert "its index expired on 2024-01-01" in said.text


def test_a_changed_definition_outdates_the_answer(find, trixie, settings, said):
    find()
    track = tracks.track("6.12", tracks.load())
    changed = msgspec.structs.replace(track, suites=("trixie",))
    assert remembered(track, ARM64, Cache(settings.cache), settings)
    assert remembered(changed, ARM64, Cache(settings.cache), settings) is None


def test_an_answer_is_as_old_as_its_oldest_index(find, mirror, make_deb, arm64_image, settings):
    image = make_deb({"usr/lib/modules/R/vmlinuz": arm64_image()})
    names = [("linux-binary-7.3-cloud-arm64", "7.3", image), ("linux-modules-7.3-cloud-arm64", "7.3", image)]
    mirror.add("experimental", "arm64", names)
    mirror.add("sid", "arm64", [])
    find("debian:newest")
    age(settings, 20)
    for path in (*settings.cache.glob("tracks/*"), settings.cache / "suites/experimental.json"):
        path.unlink()
    find("debian:newest")
    ((_, resolution),) = kept(Cache(settings.cache))
    assert 19 < resolution.age / 3600 < 21
