"""The packages that match a pattern, in an index of Debian's format."""

import pytest

from sysevent.errors import BadSignature
from sysevent.images.debian import package_index


def index(*entries):
    text = "Package: bash\nVersion: 1\n"
    for name, version in entries:
        text += (
            f"\nPackage: {name}\nVersion: {version}\nDescription: Linux\n Package: linux-image-9-x\n"
            f"Filename: pool/{name}.deb\nSize: 10\nSHA256: {'ab' * 32}\n"
        )
    return package_index.parse(text.encode(), "Packages")


def chosen(listed, *patterns):
    kernel = package_index.best(listed, patterns)
    return kernel and (kernel.release, kernel.image.name, kernel.modules.name, kernel.image.version)


def test_versions_compare_in_debians_order():
    listed = index(
        ("linux-image-6.1.0-9-cloud-arm64", "6.1.27-1"),
        ("linux-image-6.1.0-50-cloud-arm64", "6.1.176-1"),
        ("linux-image-6.1.0-47-cloud-arm64", "6.1.99-1"),
    )
    assert chosen(listed, "linux-image-6.1.0-*-cloud-arm64")[0] == "6.1.0-50-cloud-arm64"


def test_a_release_is_newer_than_its_candidates():
    listed = index(
        ("linux-binary-7.3-arm64", "7.3~rc7-1~exp1"),
        ("linux-modules-7.3-arm64", "7.3~rc7-1~exp1"),
        ("linux-binary-7.3.0+deb14-arm64", "7.3-1"),
        ("linux-modules-7.3.0+deb14-arm64", "7.3-1"),
    )
    assert chosen(listed, "linux-binary-*-arm64")[0] == "7.3.0+deb14-arm64"


def test_a_star_does_not_match_a_hyphen():
    listed = index(
        ("linux-image-6.12.9+deb13-rt-riscv64", "6.12.9-1"),
        ("linux-image-6.12.9+deb13-riscv64-dbg", "6.12.9-1"),
        ("linux-image-6.12.8+deb13-riscv64", "6.12.8-1"),
    )
    assert chosen(listed, "linux-image-6.12.*-riscv64")[0] == "6.12.8+deb13-riscv64"


def test_a_signed_package_is_preferred_to_an_unsigned_one_of_the_same_version():
    signed = ("linux-image-6.12.8-cloud-amd64", "6.12.8-1")
    unsigned = ("linux-image-6.12.8-cloud-amd64-unsigned", "6.12.8-1")
    newer = ("linux-image-6.12.9-cloud-amd64-unsigned", "6.12.9-1")
    pattern = "linux-image-6.12.*-cloud-amd64"
    assert chosen(index(unsigned, signed), pattern)[1] == signed[0]
    assert chosen(index(signed, unsigned, newer), pattern)[:2] == ("6.12.9-cloud-amd64", newer[0])


def test_an_earlier_pattern_is_preferred_to_a_newer_version():
    listed = index(("linux-image-6.12.8-cloud-amd64", "6.12.8-1"), ("linux-image-6.12.9-amd64", "6.12.9-1"))
    patterns = ("linux-image-6.12.*-cloud-amd64", "linux-image-6.12.*-amd64")
    assert chosen(listed, *patterns)[0] == "6.12.8-cloud-amd64"
    assert chosen(listed[1:], *patterns)[0] == "6.12.9-amd64"


def test_a_binary_needs_its_modules_of_the_same_version():
    listed = index(
        # Its modules were removed from the suite.
        ("linux-binary-7.2.9-arm64", "7.2.9-1"),
        ("linux-binary-7.2.8-arm64", "7.2.8-2"),
        ("linux-modules-7.2.8-arm64", "7.2.8-1"),
        ("linux-binary-7.2.7-arm64", "7.2.7-1"),
        ("linux-modules-7.2.7-arm64", "7.2.7-1"),
    )
    assert chosen(listed, "linux-binary-7.2.*-arm64")[:3] == (
        "7.2.7-arm64",
        "linux-binary-7.2.7-arm64",
        "linux-modules-7.2.7-arm64",
    )


def test_no_match():
    assert chosen(index(("linux-image-6.1.0-9-arm64", "1")), "linux-image-6.12.*-arm64") is None


@pytest.mark.parametrize(
    "line", ["Filename: ../../etc/passwd", "Filename: /etc/passwd", "Size: -1", "SHA256: ../x", "SHA256: ABC"]
)
def test_invalid_entries(line):
    text = f"Package: linux-image-1-x\nVersion: 1\nFilename: pool/x.deb\nSize: 1\nSHA256: {'0' * 64}\n"
    key = line.split(":")[0]
    text = "\n".join(line if old.startswith(key) else old for old in text.splitlines())
    with pytest.raises(BadSignature, match="linux-image-1-x"):
        package_index.parse(text.encode(), "Packages")


ENTRY = (
    "Package: linux-image-6.12.1-arm64\nVersion: 6.12.1-1\nFilename: pool/x.deb\nSize: 10\nSHA256: "
    + "ab" * 32
    + "\n"
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Size: 10", "Size: -1"),
        ("Size: 10", "Size: " + "9" * 5000),
        ("Size: 10", "Size: \u0661"),
        ("Size: 10", "Size: 99999999999"),
        ("ab" * 32, "ab" * 31),
        ("pool/x.deb", "../x.deb"),
        ("pool/x.deb", "pool/\x1b[2J.deb"),
        ("6.12.1-1", "\u00e9"),
        ("6.12.1-1", ""),
        ("Version", "Package: linux-image-6.12.2-arm64\nVersion"),
        ("Size: 10", "Size: 10\nX: " + "x" * 300_000),
    ],
)
def test_malformed_entries_of_a_signed_index(old, new):
    text = ENTRY.replace(old, new)
    assert text != ENTRY
    with pytest.raises(BadSignature, match="Packages") as caught:
        package_index.parse(text.encode(), "Packages")
    assert len(str(caught.value)) < 400


def test_an_index_that_is_not_utf_8():
    with pytest.raises(BadSignature, match="an invalid entry"):
        package_index.parse(ENTRY.encode() + b"X: \xff\n", "Packages")


def test_an_index_without_blank_lines():
    """Takes time in proportion to its size."""
    with pytest.raises(BadSignature, match="an entry has"):
        package_index.parse(ENTRY.encode() * 20_000, "Packages")
