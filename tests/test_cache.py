"""Files of the cache are used only if they are what was stored."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from sysevent.cache import Cache
from sysevent.errors import ImageError


def flip(path: Path, at: int) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def test_a_sealed_file_comes_back(cache: Cache) -> None:
    """content() gives what seal() was given, and the file itself is plain."""
    path = cache.root / "build" / "vmm"
    cache.seal(path, b"\x7fELF program")
    assert cache.content(path) == path.read_bytes() == b"\x7fELF program"
    assert cache.is_intact(path)


def test_the_hash_is_in_the_format_of_sha256sum(cache: Cache) -> None:
    """A user can check a file by hand."""
    cache.seal(cache.root / "vmm", b"program")
    assert (cache.root / "vmm.sha256").read_text() == f"{hashlib.sha256(b'program').hexdigest()}  vmm\n"


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "missing", "without a hash", "another hash"])
def test_a_damaged_file_counts_as_absent(cache: Cache, damage: str) -> None:
    """Neither its content is given, nor is it intact."""
    path = cache.root / "kernel"
    cache.seal(path, b"kernel image")
    match damage:
        case "flipped":
            flip(path, 3)
        case "cut":
            path.write_bytes(b"kernel")
        case "emptied":
            path.write_bytes(b"")
        case "missing":
            path.unlink()
        case "without a hash":
            (cache.root / "kernel.sha256").unlink()
        case _:
            flip(cache.root / "kernel.sha256", 0)
    assert cache.content(path) is None
    assert not cache.is_intact(path)


def test_every_flipped_bit_of_a_record_is_noticed(cache: Cache) -> None:
    """A record is read as it was written, or not at all."""
    path, value = cache.root / "note.json", {"size": 120, "offset": 32}
    cache.record(path, value)
    assert cache.read(path, dict[str, int]) == value
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole)
        flip(path, at)
        assert cache.read(path, dict[str, int]) in (None, value), at


def test_a_record_of_an_older_version_is_absent(cache: Cache) -> None:
    """A value of another type, or one without a hash, is none."""
    path = cache.root / "note.json"
    cache.record(path, ["a", "b"])
    assert cache.read(path, dict[str, int]) is None
    path.write_text('{"size": 120}')
    assert cache.read(path, dict[str, int]) is None


def test_a_time_stamp_is_optional(cache: Cache) -> None:
    """A file that cannot be touched, such as a missing one, is no error."""
    cache.touch(cache.root / "missing")


def test_a_file_that_cannot_be_written_is_an_image_error(cache: Cache) -> None:
    """The message names the file."""
    (cache.root / "build").write_text("not a directory")
    with pytest.raises(ImageError, match="build"):
        cache.seal(cache.root / "build" / "vmm", b"")
