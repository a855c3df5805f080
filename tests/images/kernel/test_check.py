"""What --kernel names and no target can boot: one usage error in one line, before a claim is collected."""

import gzip
import os

import pytest
from kernel_images import arm64_image, empty_bzimage, riscv_image, vmlinux, zboot

from sysevent.arches import ARCHITECTURES
from sysevent.errors import UsageError
from sysevent.images.kernel import mistakes

ARCHS = list(ARCHITECTURES)


@pytest.mark.parametrize(
    "data",
    [arm64_image(), riscv_image(), empty_bzimage(), vmlinux(), gzip.compress(arm64_image()), zboot(b"x")],
    ids=["arm64", "riscv64", "x86_64", "vmlinux", "gzip", "zboot"],
)
def test_kernels(tmp_path, data):
    path = tmp_path / "Image"
    path.write_bytes(data)
    mistakes.check(str(path), ARCHS)


@pytest.mark.parametrize(
    "spec",
    [
        "debian:6.12",
        "debian:newest",
        "debian:6.12.94-1",
        "debian:7.3~rc7-1~exp1",
        "debian:linux-image-6.12.94+deb13-rt-arm64",
        "debian:linux-image-6.12.94+deb13-rt-arm64=6.12.94-1",
        "debian:linux-binary-7.2.6+deb13-arm64-16k",
    ],
)
def test_tracks_versions_and_packages(spec):
    """Whether Debian has such a version or package is only known to its mirror."""
    mistakes.check(spec, ARCHS)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("debian:6.13", "did you mean debian:6.1"),
        ("debian:612", "did you mean debian:6.12?"),
        ("debian:", "no kernel track"),
        ("debian:nonsense-", "expected one of debian:5.10"),
        ("debian:linux-image-rt-arm64", "`apt-cache depends NAME` shows on which one a meta package depends"),
        ("debian:linux-libc-dev", "not the name of a package with a kernel"),
        ("debain:6.12", "did you mean debian:6.12?"),
        ("6.1", "did you mean debian:6.1?"),
        ("./6.1", "did you mean debian:6.1?"),
        ("newest", "did you mean debian:newest?"),
        ("/nowhere/Image", "no such file; expected"),
    ],
)
def test_misspelt_tracks(spec, words):
    with pytest.raises(UsageError) as caught:
        mistakes.check(spec, ARCHS)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def tree(path, *built):
    (path / "include" / "config").mkdir(parents=True)
    for arch in built:
        image = path / ARCHITECTURES[arch].boot_image
        image.parent.mkdir(parents=True)
        image.write_bytes(b"")
    return f"tree:{path}"


def test_a_tree_is_built_for_one_of_the_architectures(tmp_path):
    mistakes.check(tree(tmp_path, "arm64"), ARCHS)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: f"tree:{path}/missing", "no such directory"),
        (lambda path: f"tree:{path}", "not a kernel tree, nor the O= directory of a build"),
        (tree, "run make there"),
        (lambda path: tree(path, "riscv64"), "it was built for riscv64"),
        (lambda path: tree(path).removeprefix("tree:"), "for a kernel tree write tree:"),
    ],
    ids=["missing", "not a tree", "not built", "another architecture", "without tree:"],
)
def test_trees_that_cannot_be_booted(tmp_path, make, words):
    with pytest.raises(UsageError, match=words):
        mistakes.check(make(tmp_path), ["arm64", "x86_64"])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "has only 0 bytes"),
        (b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\x15\0" + bytes(1000), "EM_PPC64: no target runs that"),
        (b"\x7fELF\2\2\1" + bytes(9) + b"\0\2\0\x16" + bytes(1000), "EM_S390: no target runs that"),
        (
            b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(1000),
            "objcopy -O binary --only-section=.linux FILE",
        ),
        (b"#!/bin/sh\n" * 100, "is a script"),
        (bytes(1000), "is not a known kernel image"),
        (b"\xed\xab\xee\xdb" + bytes(1000), "is an RPM package: unpack it .*rpm2cpio FILE"),
    ],
    ids=["empty", "ppc64le", "s390x", "uki", "script", "zeros", "rpm"],
)
def test_other_files(tmp_path, data, words):
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=words) as caught:
        mistakes.check(str(path), ARCHS)
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
        (tmp_path, "is a directory: name an image in it"),
        (tmp_path / "missing", "no such file"),
        ("x" * 5000, "cannot be read"),
    ):
        with pytest.raises(UsageError, match=words):
            mistakes.check(str(path), ARCHS)
