"""Every kernel of the archive: which there are, in which order, and what a user's word means."""

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
    return [kernel.image.version for kernel in published.kernels(packages, flavour)]


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
    """The ways in which Debian has named its kernels."""
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
    """Another flavour is another configuration: versions of one only are compared."""
    assert versions(package(name, "1")) == []


def test_meta_package_is_no_kernel():
    """linux-image-* became an empty package that depends on the kernel."""
    assert versions(package("linux-image-7.2.6+deb13-cloud-arm64", "1", size=1500)) == []


def test_binary_needs_its_modules():
    """Backports keeps linux-binary-* for months after their modules have gone."""
    binary = package("linux-binary-7.2.6+deb13-cloud-arm64", "7.2.6-1")
    modules = package("linux-modules-7.2.6+deb13-cloud-arm64", "7.2.6-1")
    assert versions(binary) == []
    (kernel,) = published.kernels([binary, modules], "cloud-arm64")
    assert (kernel.image, kernel.modules) == (binary, modules)


def test_signed_twin_wins():
    """Of one version the signed package is taken, wherever it stands."""
    unsigned = package("linux-image-6.1.0-50-cloud-arm64-unsigned", "6.1.176-1")
    signed = package("linux-image-6.1.0-50-cloud-arm64", "6.1.176-1")
    (kernel,) = published.kernels([unsigned, signed], "cloud-arm64")
    assert kernel.image is signed


@pytest.fixture
def archive(mirror, settings, said, trixie):
    """Three kernels in three suites, whose order by date is not that by version."""
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
    return Archive(settings, said)


def test_order(archive):
    """Debian's order: a backport comes before what it was made from, .9 before .94."""
    known = published.published(ARM64, archive)
    assert [one.version for one in known] == [
        "5.10.223-1",
        "6.12.9-1~bpo12+1",
        "6.12.94-1~bpo12+1",
        "6.12.94-1",
    ]
    assert [one.suite for one in known] == ["bullseye", *["bookworm-backports"] * 2, "trixie"]


def test_index_is_read_once(archive, mirror, monkeypatch):
    """What an index holds is noted under its hash; the same answer comes from the note."""
    known = published.published(ARM64, archive)
    monkeypatch.setattr(published.track_package, "listing", None)
    assert published.published(ARM64, archive) == known


def test_what_a_word_means(archive):
    """A whole version, or the newest of a line; 6.12.9 is not 6.12.94."""
    known = published.published(ARM64, archive)
    assert published.choose(known, "6.12").version == "6.12.94-1"
    assert published.choose(known, "debian:5.10").version == "5.10.223-1"
    assert published.choose(known, "6.12.9").version == "6.12.9-1~bpo12+1"
    assert published.choose(known, "6.12.94-1~bpo12+1").version == "6.12.94-1~bpo12+1"
    with pytest.raises(UsageError, match=r"Debian has no kernel 6\.1; there are 5\.10, 6\.12"):
        published.choose(known, "6.1")


def test_between(archive):
    """From good to bad, in either direction."""
    known = published.published(ARM64, archive)
    assert published.between(known, known[1], known[3]) == known[1:]
    assert published.between(known, known[3], known[1]) == known[:0:-1]


def test_none(mirror, settings, said):
    """A mirror without any of the suites."""
    with pytest.raises(ImageError, match="none of Debian's suites"):
        published.published(ARM64, Archive(settings, said))


def test_kernel_by_version(archive, find):
    """--kernel debian:VERSION takes exactly that package: here one that holds no kernel, or that is nowhere."""
    with pytest.raises(ImageError, match=r"not a whole Debian package"):
        find("debian:6.12.9-1~bpo12+1")
    with pytest.raises(UsageError, match="there are"):
        find("debian:6.13.1-1")
