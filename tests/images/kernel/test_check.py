"""Files after --kernel that no target can boot: one usage error, before a claim is collected."""

import gzip
import os

import pytest
from kernel_images import arm64_image, empty_bzimage, riscv_image, vmlinux, zboot

from sysevent.errors import UsageError
from sysevent.images.kernel import resolve


@pytest.mark.parametrize(
    "data",
    [arm64_image(), riscv_image(), empty_bzimage(), vmlinux(), gzip.compress(arm64_image()), zboot(b"x")],
    ids=["arm64", "riscv64", "x86_64", "vmlinux", "gzip", "zboot"],
)
def test_kernels(tmp_path, data):
    path = tmp_path / "Image"
    path.write_bytes(data)
    resolve.check(str(path))


@pytest.mark.parametrize("spec", ["debian:6.12", "debian:nonsense", "tree:/nowhere"])
def test_what_needs_more_than_a_look(spec):
    resolve.check(spec)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "has only 0 bytes"),
        (b"!<arch>\ndebian-binary", "is a Debian package: unpack it with"),
        (b"#!/bin/sh\n" * 100, "is a script"),
        (bytes(1000), "is not a known kernel image"),
        (b"\xed\xab\xee\xdb" + bytes(1000), "is an RPM package"),
    ],
    ids=["empty", "deb", "script", "zeros", "rpm"],
)
def test_other_files(tmp_path, data, words):
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=words) as caught:
        resolve.check(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_a_file(tmp_path):
    """Is neither read nor waited for."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(5 << 30)
    for path, words in (
        ("/dev/zero", "a character device"),
        (tmp_path / "pipe", "a named pipe"),
        (tmp_path / "sparse", "it has 5368709120 bytes"),
        (tmp_path, "is a directory; for a built kernel tree write tree:"),
        (tmp_path / "missing", "neither a file nor a track"),
        ("x" * 5000, "cannot be read"),
    ):
        with pytest.raises(UsageError, match=words):
            resolve.check(str(path))
