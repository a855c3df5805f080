"""Exceptions as text."""

import pytest

from sysevent import errors, tracebacks
from sysevent.plugin import exceptions


def caught(error):
    try:
        raise error
    except BaseException as found:
        return found


def test_which_exceptions_are_ours():
    """Those that say what is wrong, also several at once. A skip is neither ours nor foreign."""
    lost = errors.GuestLost("gone")
    assert tracebacks.ours(lost)
    assert tracebacks.ours(ExceptionGroup("two", [lost, ExceptionGroup("in it", [errors.NoKvm("none")])]))
    assert not tracebacks.ours(ExceptionGroup("two", [lost, ValueError()]))
    assert not exceptions.foreign(lost)
    assert exceptions.foreign(KeyError("x"))
    assert not exceptions.foreign(caught(pytest.skip.Exception("no")))
    assert not exceptions.foreign(None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.GuestLost("gone\nits console"), "gone"),
        (errors.GuestLost(), "GuestLost"),
        (KeyError("x86"), "KeyError: 'x86'"),
        (MemoryError(), "MemoryError"),
        (OSError(24, "Too many open files"), "OSError: [Errno 24] Too many open files"),
        (AssertionError("so"), "so"),
        (ValueError("\x1b[2J\x9b"), "ValueError: \\x1b[2J\\x9b"),
    ],
)
def test_reason(error, reason):
    """One line, whatever the exception is."""
    assert tracebacks.reason(error) == reason


def test_frames_and_causes():
    """The latest frames, and what an exception was raised from."""

    def deep(left):
        if left:
            deep(left - 1)
        raise ValueError("deep")

    try:
        try:
            deep(30)
        except ValueError as error:
            raise errors.ImageError("no kernel") from error
    except errors.ImageError as error:
        first, raised, caused, *rest = tracebacks.with_frames(error).splitlines()
    assert first == "no kernel"
    assert raised.startswith("  tests/test_tracebacks.py:")
    assert (caused, rest[0]) == ("caused by", "ValueError: deep")
    assert rest[1] == "  (24 frames before these are left out)"
    assert len(rest) == 10
