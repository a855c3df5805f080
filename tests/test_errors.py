"""Stored exceptions."""

import traceback

from sysevent.errors import GuestLost, LeaseLost, SyseventError, copy_of


def raised(error):
    """The number of frames in the traceback of an error, raised from here."""
    try:
        raise error
    except SyseventError as caught:
        return len(traceback.extract_tb(caught.__traceback__))


def test_a_copy_does_not_grow():
    """Raised a hundred times, an object has a hundred frames; a copy has its own one."""
    stored = GuestLost("arm64-tcg: gone")
    assert [raised(stored) for _ in range(100)][-1] == 100
    assert {raised(copy_of(stored)) for _ in range(100)} == {1}


def test_a_copy_says_the_same():
    stored = LeaseLost("taken away", 3)
    stored.__cause__ = OSError(28, "No space left on device")
    found = copy_of(stored)
    assert found is not stored
    assert (type(found), found.args, found.__cause__) == (LeaseLost, stored.args, stored.__cause__)
