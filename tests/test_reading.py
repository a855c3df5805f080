"""Files that users name: only regular ones of a bounded size are read, and nothing is waited for."""

import os
import socket

import pytest

from sysevent import reading


@pytest.fixture
def make(tmp_path):
    """make(kind): the path of such a file."""
    kept = []

    def make(kind):
        path = tmp_path / kind
        if kind == "directory":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            kept.append(socket.socket(socket.AF_UNIX))
            kept[-1].bind(str(path))
        elif kind == "sparse":
            with path.open("wb") as file:
                file.truncate(5 << 30)
        elif kind == "link to a device":
            path.symlink_to("/dev/zero")
        elif kind == "loop":
            path.symlink_to(path)
        return path

    yield make
    for one in kept:
        one.close()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("directory", "a directory, not a regular file"),
        ("pipe", "a named pipe, not a regular file"),
        ("socket", "No such device or address"),
        ("sparse", "has 5368709120 bytes"),
        ("link to a device", "a character device, not a regular file"),
        ("loop", "Too many levels"),
        ("missing", "No such file"),
    ],
)
@pytest.mark.parametrize(
    "read",
    [
        lambda path: reading.read_file(path, 1 << 20),
        lambda path: reading.read_start(path, 10, 1 << 20),
    ],
)
def test_what_is_not_read(make, kind, words, read):
    with pytest.raises(OSError) as caught:  # noqa: PT011
        read(make(kind))
    assert words in caught.value.strerror


def test_a_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"content")
    assert reading.read_file(path, 7) == b"content"
    assert reading.read_start(path, 3, 7) == b"con"
    with pytest.raises(OSError, match="has 7 bytes"):
        reading.read_file(path, 6)


def test_a_file_that_becomes_shorter(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"content")
    real = reading._check

    def shorten(*args):
        size = real(*args)
        os.truncate(path, 3)
        return size

    monkeypatch.setattr(reading, "_check", shorten)
    with pytest.raises(OSError, match="only 3 of its 7 bytes"):
        reading.read_file(path, 100)
