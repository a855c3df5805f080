"""Reads a file of a target, by scenarios of one step each."""

from __future__ import annotations

from collections.abc import Callable

from sysevent.abi import names
from sysevent.errors import BadWire, NotApplicable
from sysevent.model import Observation
from sysevent.scenario.steps import File, Scenario

# Bytes of a file in one reply (wire.BODY_MAX is 1 MiB).
PIECE = 960 << 10
# Bytes. The largest BTF seen has 8 MB.
LIMIT = 64 << 20


def read(
    ask: Callable[[Scenario], Observation],
    arch: str,
    path: str,
    where: str,
    *,
    piece: int = PIECE,
    limit: int = LIMIT,
) -> bytes:
    """Return the content of a file, read in pieces of so many bytes. where: the target, for messages.

    NotApplicable if it cannot be opened there, BadWire if it has more than limit bytes, and what ask raises.
    """
    data, size = b"", piece
    while size == piece:
        step = File(path, "file", len(data), piece)
        answer = ask(Scenario(f"file {path}", arch, (step,))).answers["file"]
        if answer.ret < 0:
            raise NotApplicable(f"{path} of {where}: errno {names.errno(answer.errno)}")
        data += answer.data
        size = len(answer.data)
        if len(data) > limit:
            raise BadWire(f"{path} of {where} has more than {limit} bytes")
    return data
