"""Fixtures: small layouts made by hand, and the Debian mirror."""

import pytest
from debian_mirror import make_deb, mirror, progress, settings

from sysevent.decode.structs import Layout, Member, Struct

# Fixtures of debian_mirror, for the tests below this directory.
__all__ = ["make_deb", "mirror", "progress", "settings"]


@pytest.fixture
def make_struct():
    """make_struct("s", 16, a=(0, 4), b=(8, 8)): a structure of plain members, by offset and size."""

    def make(name, size, **members):
        return Struct(
            name,
            "struct",
            size,
            tuple(Member(key, at, width, f"__u{8 * width}") for key, (at, width) in members.items()),
        )

    return make


@pytest.fixture
def make_layout():
    """make_layout(struct, ..., **constants): a layout with these structures and constants only."""

    def make(*structs, **constants):
        return Layout({found.name: found for found in structs}, constants)

    return make
