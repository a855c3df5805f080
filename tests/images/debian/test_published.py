"""The list of all kernels in Debian's archive, its order, and the kernel that a user's word names."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.errors import ImageError, UsageError
from sysevent.images.debian import published
from sysevent.images.debian.archive import Archive
from sysevent.images.debian.package_index import Package

ARM64 = ARCHITECTURES["arm64"]
BIG = 16 << 20


def package(name, version, size=BIG):
    return Package(name, version, f"pool/{name}.deb", size, "0" * 64)


def versions(*packages, flavour="cloud-arm64"):
    return [kernel.image.version for kernel in published.kernels_of_flavour(packages, flavour)]


@pytest.mark.parametrize(
    "name",
    [
        "linux-image-5.10.0-32-cloud-arm64",
        "linux-image-6.1.0-0.deb11.44-cloud-arm64",
        "linux-image-6.12.94+deb13-cloud-arm64",
        "linux-image-6.12.94+deb13-cloud-arm64-unsigned",
    ],
)
def test_names(name):
    """The forms that the names of Debian's kernel packages have had."""
    assert versions(package(name, "1")) == ["1"]


@pytest.mark.parametrize(
    "name",
    [
        "linux-image-5.10.0-32-arm64",
        "linux-image-5.10.0-32-rt-arm64",
        "linux-image-6.12.94+deb13-cloud-arm64-dbg",
        "linux-modules-6.12.94+deb13-cloud-arm64",
    ],
)
def test_other_flavours(name):
    """Another flavour has another configuration, so its versions are not comparable."""
    assert versions(package(name, "1")) == []


def test_meta_package_is_ignored():
    """Since 6.19 linux-image-* is an empty package that depends on the kernel."""
    assert versions(package("linux-image-7.2.6+deb13-cloud-arm64", "1", size=1500)) == []


def test_binary_needs_its_modules():
    """Backports keeps linux-binary-* for months after their linux-modules-* were removed."""
    binary = package("linux-binary-7.2.6+deb13-cloud-arm64", "7.2.6-1")
    modules = package("linux-modules-7.2.6+deb13-cloud-arm64", "7.2.6-1")
    assert versions(binary) == []
    (kernel,) = published.kernels_of_flavour([binary, modules], "cloud-arm64")
    assert (kernel.image, kernel.modules) == (binary, modules)


def test_signed_package_is_preferred():
    """To an unsigned one of the same version, in whatever order the index lists them."""
    unsigned = package("linux-image-6.1.0-50-cloud-arm64-unsigned", "6.1.176-1")
    signed = package("linux-image-6.1.0-50-cloud-arm64", "6.1.176-1")
    (kernel,) = published.kernels_of_flavour([unsigned, signed], "cloud-arm64")
    assert kernel.image is signed


@pytest.fixture
def archive(mirror, settings, progress, trixie):
    """Four kernels in three suites, which are not in the order of their versions."""
    deb = b"x" * (1 << 20)
    mirror.add("bullseye", "arm64", [("linux-image-5.10.0-32-cloud-arm64", "5.10.223-1", deb)])
    mirror.add(
        "bookworm-backports",
        "arm64",
        [
            ("linux-image-6.12.9+deb12-cloud-arm64", "6.12.9-1~bpo12+1", deb),
            ("linux-image-6.12.94+deb12-cloud-arm64", "6.12.94-1~bpo12+1", deb),
        ],
    )
    mirror.add("trixie", "arm64", [("linux-image-6.12.94+deb13-cloud-arm64", "6.12.94-1", deb)])
    return Archive(settings, progress)


def test_order(archive):
    """Debian's order: a backport is older than its original, and .9 is older than .94."""
    known = published.all_kernels(ARM64, archive)
    assert [one.version for one in known] == [
        "5.10.223-1",
        "6.12.9-1~bpo12+1",
        "6.12.94-1~bpo12+1",
        "6.12.94-1",
    ]
    assert [one.suite for one in known] == ["bullseye", *["bookworm-backports"] * 2, "trixie"]


def test_index_is_read_once(archive, mirror, monkeypatch):
    """Its kernels are cached under its hash."""
    known = published.all_kernels(ARM64, archive)
    monkeypatch.setattr(published.track_resolution, "fetch_listing", None)
    assert published.all_kernels(ARM64, archive) == known


def test_choose(archive):
    """By a whole version, or the newest of a series; 6.12.9 does not match 6.12.94."""
    known = published.all_kernels(ARM64, archive)
    assert published.choose(known, "6.12").version == "6.12.94-1"
    assert published.choose(known, "debian:5.10").version == "5.10.223-1"
    assert published.choose(known, "6.12.9").version == "6.12.9-1~bpo12+1"
    assert published.choose(known, "6.12.94-1~bpo12+1").version == "6.12.94-1~bpo12+1"
    with pytest.raises(UsageError, match=r"Debian has no kernel 6\.1; expected one of 5\.10, 6\.12"):
        published.choose(known, "6.1")


def test_between(archive):
    """In the direction from good to bad, whichever is newer."""
    known = published.all_kernels(ARM64, archive)
    assert published.between(known, known[1], known[3]) == known[1:]
    assert published.between(known, known[3], known[1]) == known[:0:-1]


def test_mirror_without_any_suite(mirror, settings, progress):
    with pytest.raises(ImageError, match="none of Debian's suites"):
        published.all_kernels(ARM64, Archive(settings, progress))


def test_kernel_by_version(archive, find):
    """--kernel debian:VERSION names one package: here one without a kernel, and one that does not exist."""
    with pytest.raises(ImageError, match=r"a damaged or truncated Debian package"):
        find("debian:6.12.9-1~bpo12+1")
    with pytest.raises(UsageError, match="expected one of"):
        find("debian:6.13.1-1")
