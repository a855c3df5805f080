"""Hashes that are begun before they are needed."""

import os
import threading
import time

import pytest

from sysevent import digests
from sysevent.cache import Cache
from sysevent.digests_ahead import Ahead

LARGE = 1 << 20


@pytest.fixture
def files(tmp_path):
    """Two large files and a small one."""
    found = [tmp_path / name for name in ("kernel", "qemu", "small")]
    for path, size in zip(found, (LARGE, LARGE + 1, 100), strict=True):
        path.write_bytes(os.urandom(size))
    return found


@pytest.fixture(autouse=True)
def unknown(monkeypatch):
    """A process that has hashed nothing yet."""
    for name in ("_HASHED", "_LOCKS", "_LARGE_FILES"):
        monkeypatch.setattr(digests, name, {})


def forget():
    for known in (digests._HASHED, digests._LOCKS, digests._LARGE_FILES):
        known.clear()


def hashed(count):
    end = time.monotonic() + 10
    while len(digests._HASHED) < count and time.monotonic() < end:
        time.sleep(0.01)
    return len(digests._HASHED)


def ran(cache, *words, files=()):
    """One run: what it began with is hashed, then the files that it needs."""
    ahead = Ahead(cache, words)
    ahead.begin()
    for path in files:
        digests.digest_once(path)
    ahead.remember()
    forget()


def test_what_an_equal_run_has_needed(tmp_path, files):
    """Large files only, and those of these arguments only."""
    cache = Cache(tmp_path / "cache")
    ran(cache, "--arch", "arm64", files=files)
    other = Ahead(cache, ["--arch", "x86_64"])
    other.begin()
    assert digests._HASHED == {}
    Ahead(cache, ["--arch", "arm64"]).begin()
    assert hashed(2) == 2
    assert digests.large_files() == [str(path) for path in files[:2]]


def test_what_is_not_there_any_more(tmp_path, files):
    """It does not matter, and the next run does not look for it."""
    cache = Cache(tmp_path / "cache")
    ran(cache, files=files)
    files[0].unlink()
    ran(cache, files=files[1:])
    Ahead(cache, []).begin()
    assert hashed(1) == 1
    assert digests.large_files() == [str(files[1])]


def test_a_file_that_changes_meanwhile(files):
    """The content decides, whatever was hashed ahead."""
    before = digests.digest_once(files[0])
    files[0].write_bytes(os.urandom(LARGE))
    assert digests.digest_once(files[0]) == digests.digest(files[0]) != before


def test_a_cache_that_cannot_be_written_to(tmp_path, files):
    (tmp_path / "cache").write_text("a file")
    ran(Cache(tmp_path / "cache"), files=files)


def test_two_threads_compute_one_hash_once(files, monkeypatch):
    count, real = [], digests._computed
    monkeypatch.setattr(
        digests, "_computed", lambda fd, status: (count.append(fd), time.sleep(0.1), real(fd, status))[-1]
    )
    threads = [threading.Thread(target=digests.digest_once, args=(files[0],)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(count) == 1
