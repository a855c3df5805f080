"""The addresses that a scenario recorded."""

import struct

import pytest

from sysevent import wire
from sysevent.decode import kcov
from sysevent.errors import BadWire
from sysevent.model import Answer

LOWEST = 0xFFFF_8000_8000_1000


def answer(*offsets, cut=0, lowest=LOWEST, errno=0):
    return Answer(0, errno, struct.pack(f"<IIQ{len(offsets)}I", cut, 0, lowest, *offsets))


def test_addresses_are_distances_from_the_lowest():
    found = kcov.executed(answer(0, 0x10, 0xFFFF_FFFF))
    assert found.addresses == {LOWEST, LOWEST + 0x10, LOWEST + 0xFFFF_FFFF}
    assert not found.cut


def test_none_and_too_many():
    assert kcov.executed(answer(lowest=0)) == kcov.Executed(frozenset())
    assert kcov.executed(answer(0, cut=1)).cut


def test_a_kernel_without_kcov_has_none():
    assert kcov.executed(Answer(-1, 2, b"")).addresses == frozenset()


@pytest.mark.parametrize("size", [0, 15, 17, 18, kcov.LONGEST + 4])
def test_hostile_lengths(size):
    with pytest.raises(BadWire, match=f"{size} bytes"):
        kcov.executed(Answer(0, 0, bytes(size)))


def test_the_vmm_keeps_no_more_than_fits():
    assert kcov.LONGEST == 16 + 4 * wire.COVER_MAX < wire.BODY_MAX - wire.LOG_MAX
