"""Sequences that are asked first: those that reach each rule, and those with which a kernel disagreed before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from sysevent.conformance.play import Sequence
from sysevent.errors import UsageError
from sysevent.reading import read_file
from sysevent.settings import Settings

# In the package: a line for each sequence, as read() takes it.
COMMON = Path(__file__).with_name("corpus.jsonl")
# Bytes of a file of sequences.
_LARGEST = 16 << 20


def read(path: Path) -> list[Sequence]:
    """Return the sequences of a file: one JSON value on each line. UsageError if it is not such a file."""
    try:
        lines = read_file(path, _LARGEST).decode().splitlines()
        return [msgspec.json.decode(line, type=Sequence) for line in lines if line.strip()]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, msgspec.DecodeError) as error:
        raise UsageError(f"{path} has a line that is not a sequence of `sysevent explore`: {error}") from None


def line(sequence: Sequence) -> str:
    """Return a sequence as one line of such a file."""
    return msgspec.json.encode(sequence).decode() + "\n"


def found_before(settings: Settings) -> Path:
    """Return the directory of the sequences with which kernels disagreed, one file each."""
    return settings.cache / "explore"


def known(settings: Settings, arch: str) -> Iterator[Sequence]:
    """Yield what is asked first: the common sequences of an architecture, then those that were found before.

    A file that is damaged, or of an older version, is left out.
    """
    yield from (sequence for sequence in read(COMMON) if sequence.arch == arch)
    for path in sorted(found_before(settings).glob(f"{arch}-*.jsonl")):
        try:
            yield from (sequence for sequence in read(path) if sequence.arch == arch)
        except UsageError:
            continue
