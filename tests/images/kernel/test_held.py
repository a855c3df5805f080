"""Files that stay as they were when they were hashed."""

import hashlib
import os
from pathlib import Path

import pytest

from sysevent.digests import digest_once
from sysevent.errors import ImageError
from sysevent.images.kernel import held


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("take", [held.copied, held.cached])
def test_content_and_hash(take, tmp_path):
    path = tmp_path / "kernel"
    path.write_bytes(b"kernel" * 300_000)
    found = take(path)
    assert (found.read(), found.sha256) == (b"kernel" * 300_000, sha256(b"kernel" * 300_000))


def test_a_copy_stays_when_its_file_is_written_to(tmp_path):
    path = tmp_path / "kernel"
    path.write_bytes(b"first")
    found = held.copied(path)
    path.write_bytes(b"other")
    assert found.read() == b"first"


def test_a_file_of_the_cache_stays_when_it_is_replaced(tmp_path):
    path, other = tmp_path / "kernel", tmp_path / "draft"
    path.write_bytes(b"first")
    found = held.cached(path)
    other.write_bytes(b"other")
    other.replace(path)
    assert (found.read(), found.sha256) == (b"first", sha256(b"first"))
    assert held.cached(path).sha256 == sha256(b"other")


def test_it_is_closed_when_it_is_not_used_any_more(tmp_path):
    found = held.in_memory(b"kernel")
    fd = found.fd
    del found
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize("take", [held.copied, held.cached])
def test_a_file_that_cannot_be_read(take, tmp_path):
    for path, words in ((tmp_path / "absent", "No such file"), (tmp_path, "[Ii]s a directory")):
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(ImageError, match=words):
            take(path)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("size", [0, 1, (4 << 20) - 1, 4 << 20, (8 << 20) + 3])
def test_the_hash_of_a_file_that_is_read_in_pieces(tmp_path, size):
    path = tmp_path / "kernel"
    path.write_bytes(content := bytes(range(251)) * (size // 251) + bytes(size % 251))
    assert digest_once(path) == sha256(content)


def test_a_hash_is_remembered_until_the_file_changes(tmp_path):
    """Neither size nor time need to differ."""
    path = tmp_path / "kernel"
    path.write_bytes(b"first")
    status = path.stat()
    assert digest_once(path) == sha256(b"first")
    for content in (b"other", b"third"):
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert digest_once(path) == sha256(content)


@pytest.mark.parametrize(
    ("word", "start", "short"),
    [
        (b"ARM\x64", b"MZ", True),
        (b"RSC\x05", b"MZ\0\0\0\0", True),
        (b"ARM\x64", b"MZ\0\0zimg", False),
        (b"", b"\x7fELF", False),
    ],
)
def test_what_a_restored_guest_gets(tmp_path, word, start, short):
    """The header of an Image, which is all that QEMU needs of a kernel that it does not run."""
    path = tmp_path / "kernel"
    path.write_bytes(start.ljust(56, b"\0") + word + b"x" * 100_000)
    kernel = held.cached(path)
    found = held.for_restore(kernel)
    assert found.read() == path.read_bytes()[: 4096 if short else None]
    assert (found is kernel) is not short
