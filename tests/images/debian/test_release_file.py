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
