"""Gives inputs to a parser, and says which of them are defects."""

import contextlib
import resource
import signal
import time

from fuzz import mutate
from fuzz.parsers import messages

# Seconds of processor time that one input may take, on a slow machine; usually it is a millisecond.
SECONDS_MAX = 20
# Bytes of memory that one run may take, beyond what it has at its start.
MEMORY_MAX = 1 << 30
# Characters of a message: an error must not carry its input.
MESSAGE_MAX = 2000


class TooLong(BaseException):
    """A parser has not come back."""


def defect(parser, data):
    """Return what is wrong with the parser's answer to data; "" if it returned or raised a small SyseventError."""
    begin = time.process_time()
    try:
        with _clock():
            error = messages(data, parser)
    except TooLong:
        return f"did not return within {SECONDS_MAX} s"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    if error is not None and len(str(error)) > MESSAGE_MAX:
        return f"a message of {len(str(error))} characters"
    # What a traceback, or a report of pytest, would show of frames that hold the input.
    if error is not None and (
        error.__cause__ is not None or (not error.__suppress_context__ and error.__context__)
    ):
        return f"{type(error).__name__} keeps {(error.__cause__ or error.__context__)!r:.200}"
    seconds = time.process_time() - begin
    return f"took {seconds:.1f} s" if seconds > SECONDS_MAX / 4 else ""


@contextlib.contextmanager
def _clock():
    def late(number, frame):
        raise TooLong

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def mutations(parser, seed, count):
    """Yield inputs made of the parser's samples; the same for the same seed."""
    source = mutate.random_source(parser.name, seed)
    samples = parser.samples()
    for _ in range(count):
        yield mutate.mutate(source, samples, parser.tokens, parser.text)


def peak():
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
