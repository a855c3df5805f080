"""Files of the cache are used only if they are what was stored."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import DAMAGE, flip

from sysevent.cache import Cache
from sysevent.errors import ImageError


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


@pytest.mark.parametrize("damage", [*DAMAGE, "without a hash", "another hash"])
def test_a_damaged_file_counts_as_absent(cache: Cache, damage: str) -> None:
    """Neither its content is given, nor is it intact."""
    path = cache.root / "kernel"
    cache.seal(path, b"kernel image")
    match damage:
        case "without a hash":
            (cache.root / "kernel.sha256").unlink()
        case "another hash":
            flip(cache.root / "kernel.sha256", 0)
        case _:
            DAMAGE[damage](path)
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


@pytest.mark.parametrize("damage", [*DAMAGE, "without a hash", "one more file"])
def test_a_damaged_folder_counts_as_absent(cache: Cache, damage: str) -> None:
    """Its hash is that of the names and contents of all its files."""
    folder = cache.root / "headers" / "tree"
    for name in ("linux/kvm.h", "asm/kvm.h"):
        cache.write(folder / name, name.encode())
    cache.seal_folder(folder)
    assert cache.is_intact(folder)
    match damage:
        case "without a hash":
            (cache.root / "headers" / "tree.sha256").unlink()
        case "one more file":
            (folder / "asm" / "a.h").touch()
        case _:
            DAMAGE[damage](folder / "asm" / "kvm.h")
    assert not cache.is_intact(folder)


def test_a_use_is_noted(cache: Cache) -> None:
    """prune() of images/inventory.py goes by the time of last use."""
    sealed, record = cache.root / "vmm", cache.root / "note.json"
    cache.seal(sealed, b"program")
    cache.record(record, 1)
    for path in (sealed, record):
        os.utime(path, (1, 1))
    assert (cache.content(sealed), cache.read(record, int)) == (b"program", 1)
    assert min(path.stat().st_mtime for path in (sealed, record)) > 1


@contextlib.contextmanager
def nothing_written() -> Iterator[None]:
    """Let every write of data fail (EFBIG): Python ignores SIGXFSZ. pytest must not write its output meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(params=["a file in its place", "no space left on device"])
def broken(
    tmp_path: Path, request: pytest.FixtureRequest
) -> tuple[Cache, contextlib.AbstractContextManager[None]]:
    """A cache to which nothing can be written within the context, also not by root."""
    if request.param.startswith("a file"):
        (tmp_path / "cache").write_text("")
        return Cache(tmp_path / "cache"), contextlib.nullcontext()
    return Cache(tmp_path / "cache"), nothing_written()


def test_what_saves_time_is_optional(broken: tuple[Cache, contextlib.AbstractContextManager[None]]) -> None:
    """Nothing is kept, and no error is raised."""
    unwritable, context = broken
    path = unwritable.root / "build" / "vmm"
    with context:
        unwritable.record(path, "note")
        unwritable.keep(path, b"program")
        unwritable.touch(path)
        unwritable.remove(path)
        with unwritable.lock("vmm", "vmm", lambda _: None):
            obstacle = unwritable.obstacle()
        found = unwritable.read(path, str), unwritable.content(path)
        scratch = unwritable.scratch()
    assert obstacle
    assert found == (None, None)
    assert scratch.is_dir()


@pytest.mark.parametrize(("name", "inside"), [("cache", True), ("my cache", False), ("a:b", False)])
def test_compilers_can_work_in_scratch(tmp_path, name, inside):
    """In the cache, unless they take a character of its path as their own."""
    scratch = Cache(tmp_path / name).scratch()
    assert scratch.is_dir()
    assert scratch.is_relative_to(tmp_path) == inside


def test_what_must_be_on_disk_is_not_optional(
    broken: tuple[Cache, contextlib.AbstractContextManager[None]],
) -> None:
    """One line says what could not be written, why, and how to use another cache; no file is left."""
    unwritable, context = broken
    with context:
        for write in (unwritable.write, unwritable.seal):
            with pytest.raises(ImageError, match=r"cannot write .*/vmm: \w.*; set SYSEVENT_CACHE to"):
                write(unwritable.root / "build" / "vmm", b"program")
    assert not unwritable.root.is_dir() or not [path for path in unwritable.root.rglob("*") if path.is_file()]


def test_a_cache_without_an_obstacle(cache: Cache) -> None:
    """Nothing is left of the attempt to write."""
    assert Cache(cache.root / "new").obstacle() == ""
    assert list((cache.root / "new").iterdir()) == []


def test_a_time_stamp_is_optional(cache: Cache) -> None:
    """A file that cannot be touched, such as a missing one, is no error."""
    cache.touch(cache.root / "missing")


def test_a_file_that_cannot_be_written_is_an_image_error(cache: Cache) -> None:
    """The message names the file."""
    (cache.root / "build").write_text("not a directory")
    with pytest.raises(ImageError, match="build"):
        cache.seal(cache.root / "build" / "vmm", b"")
