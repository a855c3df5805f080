"""Layouts of real headers, recorded: what linux-libc-dev of 5.10 and 7.2 means to each ABI, trimmed."""

from pathlib import Path

import msgspec
import pytest

from sysevent.decode.structs import Layout, Member, Struct

DATA = Path(__file__).parents[1] / "data" / "layout"


@pytest.fixture
def data():
    """The directory with what was recorded."""
    return DATA


@pytest.fixture
def recorded():
    """recorded("5.10", "i386"): a layout of one's own, to change at will."""

    def read(kernel, abi):
        return msgspec.json.decode((DATA / f"{kernel}-{abi}.json").read_bytes(), type=Layout)

    return read


@pytest.fixture
def struct():
    """struct("s", 16, a=(0, 4), b=(8, 8)): a structure of plain members, by offset and size."""

    def make(name, size, **members):
        return Struct(
            name,
            "struct",
            size,
            tuple(Member(key, at, width, f"__u{8 * width}") for key, (at, width) in members.items()),
        )

    return make


@pytest.fixture
def of():
    """of(struct, ...): a layout of these structures alone."""

    def make(*structs, **constants):
        return Layout({found.name: found for found in structs}, constants)

    return make
