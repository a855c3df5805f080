"""The bytes of an archive, compared with the format's description and read with cpio."""

import shutil
import subprocess

import pytest

from sysevent.errors import UsageError
from sysevent.images.rootfs import newc


def test_one_file_byte_by_byte():
    data = newc.archive([newc.executable("init", b"hello")])
    assert data == (
        b"070701" b"00000001" b"000081ED" b"00000000" b"00000000" b"00000001" b"00000000" b"00000005"
        b"00000000" b"00000000" b"00000000" b"00000000" b"00000005" b"00000000" b"init\0" b"\0"
        b"hello" b"\0\0\0"
        b"070701" b"00000000" b"00000000" b"00000000" b"00000000" b"00000001" b"00000000" b"00000000"
        b"00000000" b"00000000" b"00000000" b"00000000" b"0000000B" b"00000000" b"TRAILER!!!\0" b"\0\0\0"
    )  # fmt: skip


def test_major_and_minor_of_a_device():
    data = newc.archive([newc.character_device("dev/console", 5, 1)])
    assert data[14:22] == b"00002180"
    assert data[78:94] == b"0000000500000001"


@pytest.mark.parametrize("size", range(5))
def test_headers_and_data_are_aligned_to_four_bytes(size):
    data = newc.archive([newc.plain("a" * (size + 1), b"x" * size), newc.directory("d")])
    assert len(data) % 4 == 0
    assert data.find(b"070701", 6) % 4 == 0


@pytest.mark.parametrize("path", ["", "/init", "a//b", "a/../b", "./a", "a\0b", "TRAILER!!!"])
def test_invalid_paths(path):
    with pytest.raises(UsageError, match="cannot be called"):
        newc.archive([newc.plain(path, b"")])


def test_duplicate_paths():
    with pytest.raises(UsageError, match="'a'"):
        newc.archive([newc.plain("a", b"1"), newc.plain("a", b"2")])


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed: apt install cpio")
def test_cpio_reads_the_archive(tmp_path):
    entries = [
        newc.directory("bin"),
        newc.executable("bin/probe", b"\x7fELF" * 100),
        newc.plain("empty", b""),
        newc.character_device("console", 5, 1),
    ]
    listing = subprocess.run(
        ["cpio", "-tv", "--numeric-uid-gid"], input=newc.archive(entries), capture_output=True, check=True
    ).stdout.decode()
    rows = [line.split() for line in listing.splitlines()]
    assert [(row[0], row[-1]) for row in rows] == [
        ("drwxr-xr-x", "bin"),
        ("-rwxr-xr-x", "bin/probe"),
        ("-rw-r--r--", "empty"),
        ("crw-------", "console"),
    ]
    assert rows[3][4:6] == ["5,", "1"]
    subprocess.run(["cpio", "-id", "--quiet"], input=newc.archive(entries[:3]), cwd=tmp_path, check=True)
    assert (tmp_path / "bin/probe").read_bytes() == b"\x7fELF" * 100
