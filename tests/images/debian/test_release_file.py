"""The signed part of a release file."""

import pytest

from sysevent.errors import BadSignature
from sysevent.images.debian import release_file

HASH = "0123456789abcdef" * 4
TEXT = f"""Origin: Debian
Suite: stable
Codename: trixie
Date: Sat, 12 Sep 2026 07:55:41 UTC
Valid-Until: Sat, 19 Sep 2026 07:55:41 UTC
Acquire-By-Hash: yes
Architectures: all amd64 arm64
MD5Sum:
 00000000000000000000000000000000 7 main/binary-arm64/Packages.xz
SHA256:
 {HASH}       12 main/binary-arm64/Packages.xz
 {HASH}       13 main/binary-armhf/Packages.xz
"""


def parse(text=TEXT, asked="trixie"):
    return release_file.parse(text.encode(), asked, "InRelease")


def test_index():
    path, expected = parse().index("arm64")
    assert (path, expected.size, expected.sha256) == ("main/binary-arm64/Packages.xz", 12, HASH)
    assert parse().by_hash
    assert parse().date.isoformat() == "2026-09-12T07:55:41+00:00"


@pytest.mark.parametrize("arch", ["riscv64", "armhf", "amd64"])
def test_no_such_architecture(arch):
    assert parse().index(arch) is None


def test_suite_by_role():
    assert parse(asked="stable").suite == "stable"


def test_file_of_another_suite():
    with pytest.raises(BadSignature, match=r"of trixie \(stable\), not of bookworm"):
        parse(asked="bookworm")


@pytest.mark.parametrize(
    "line", [" ../../x 12 main/x", f" {HASH} -1 main/x", f" {HASH} 12", f" {HASH.upper()} 1 m"]
)
def test_invalid_lines(line):
    with pytest.raises(BadSignature, match="not a line with hash, size and path"):
        parse(TEXT + line + "\n")


def test_without_dates():
    assert parse("Codename: trixie\n").date is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("       12 main", " " + "9" * 5000 + " main", "not a line with"),
        ("       12 main", " \u0661 main", "not a line with"),
        ("main/binary-armhf", "main/binary-arm64", "two lines for 'main/binary-arm64"),
        ("Codename: trixie", "Codename: " + "x" * 5000, "is the release file of"),
    ],
)
def test_malformed_files(old, new, words):
    text = TEXT.replace(old, new).replace("Suite: stable", "Suite: x" if "xxx" in new else "Suite: stable")
    with pytest.raises(BadSignature, match=words) as caught:
        parse(text)
    assert len(str(caught.value)) < 400


def test_an_index_that_is_too_large():
    with pytest.raises(BadSignature, match="has 999999999 bytes"):
        parse(TEXT.replace("       12 main", " 999999999 main")).index("arm64")


def test_a_file_that_is_not_utf_8():
    with pytest.raises(BadSignature, match="not a release file"):
        release_file.parse(b"Suite: \xff\n", "trixie", "InRelease")


@pytest.mark.parametrize(
    "date", ["Sat, 12 Sep 99999999999 07:55:41 UTC", "x", "Sat, 12 Sep 2026 07:55:41 +999999"]
)
def test_impossible_dates(date):
    assert parse(f"Codename: trixie\nDate: {date}\n").date is None
