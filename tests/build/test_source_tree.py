"""What a kernel tree's Makefile says of its version."""

import pytest

from sysevent.build import source_tree


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 107\nEXTRAVERSION =\nNAME = Baby\n", "6.12.107"),
        ("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION = -rc7\n", "7.3.0-rc7"),
        ("VERSION = 6\n", "6.0.0"),
        ("all:\n", ""),
    ],
    ids=["release", "candidate", "short", "none"],
)
def test_version(text, version, tmp_path):
    """As `uname -r` of its kernel will begin."""
    (tmp_path / "Makefile").write_text(f"# SPDX\n{text}")
    assert source_tree.version(tmp_path) == version
