"""Exceptions as text: one line, and where they were raised, without the values of variables.

Values can be megabytes of a kernel image, whose repr takes seconds and fills the log of a job.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from sysevent.checkout import ROOT
from sysevent.errors import SyseventError
from sysevent.text import escape

# Frames that are shown, the latest ones.
_FRAMES = 8
# Characters of a message that are shown: it can hold the end of a guest's console.
_LONGEST = 20_000


def ours(error: BaseException | None) -> bool:
    """Whether an exception says by itself what is wrong: a SyseventError, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(ours, error.exceptions))
    return isinstance(error, SyseventError)


def message(error: BaseException) -> str:
    """The message of an exception, escaped; of an exception that is not ours, with the name of its class."""
    if isinstance(error, BaseExceptionGroup) and ours(error):
        return "\n".join(map(message, error.exceptions))
    text = escape(str(error)[:_LONGEST]).strip()
    if ours(error) or isinstance(error, AssertionError):
        return text or type(error).__name__
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def reason(error: BaseException) -> str:
    """The first line of its message."""
    return message(error).partition("\n")[0]


def with_frames(error: BaseException) -> str:
    """The message of an exception, with its causes and where each was raised: file, line and function."""
    return "\n".join(_lines(error, 3))


def _lines(error: BaseException, causes: int) -> Iterator[str]:
    yield message(error)
    frames = traceback.extract_tb(error.__traceback__)
    if len(frames) > _FRAMES:
        yield f"  ({len(frames) - _FRAMES} frames before these are left out)"
    for frame in frames[-_FRAMES:]:
        yield f"  {escape(_short(frame.filename))}:{frame.lineno} in {frame.name}"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and causes:
        yield "caused by"
        yield from _lines(cause, causes - 1)


def _short(path: str) -> str:
    found = Path(path)
    return str(found.relative_to(ROOT)) if found.is_relative_to(ROOT) else path
