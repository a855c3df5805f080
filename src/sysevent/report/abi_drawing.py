"""The union of an exit drawn as bytes with the names of their members, for pages of Markdown. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sysevent.abi import kvm_run
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import Field
from sysevent.abi.union_members import UNION_MEMBERS
from sysevent.contract.terms import EventDefinition
from sysevent.model import RawExit

_ROW = 16
# Before v5.18: the bytes between the members have no name.
_OLD = (kvm_run.TYPE, Field("padding", 36, 4), kvm_run.FLAGS)
# A byte that the kernel did not write.
LEFT = "··"
# Classes of docs/site.css for members, in turn, so that neighbours differ.
_CLASSES = ("m0", "m1", "m2")


def drawing(raw: RawExit, definition: EventDefinition, before: RawExit | None = None) -> str:
    """Return the union as a block of preformatted HTML, which is readable without any style.

    before: the exit whose bytes the union still held when KVM_RUN began; None if it was filled with poison. Rows of
    equal bytes are drawn once.
    """
    members = _members(raw, definition)
    lines = [f"{'':8} {_names(members)}"] if members else []
    rows = list(range(*kvm_run.UNION, _ROW))
    while rows:
        same = _equal([_texts(raw, before, row) for row in rows]) if len(lines) > bool(members) else 1
        lines.append(f"{_range(rows[0], rows[same - 1]):>8} {_cells(raw, before, rows[0], members)}")
        del rows[:same]
    return '<pre class="bytes">\n' + "\n".join(line.rstrip() for line in lines) + "\n</pre>"


def _members(raw: RawExit, definition: EventDefinition) -> Sequence[Field]:
    """Return the members of the exit that lie in the first row. The others are all alike."""
    reason = int.from_bytes(raw.head[8:12], "little")
    if reason == ExitReason.SYSTEM_EVENT and definition is EventDefinition.FLAGS:
        return _OLD
    return [one for one in UNION_MEMBERS.get(reason, ()) if one.offset < kvm_run.UNION[0] + _ROW]


def _names(members: Sequence[Field]) -> str:
    """Return the line of names above the first row; a name that its member has no place for is cut."""
    line = ""
    for member in members:
        at = (member.offset - kvm_run.UNION[0]) * 3
        line = f"{line:{at}}" + member.name.rpartition(".")[2][: member.size * 3 - 1]
    return line


def _equal(rows: Sequence[Sequence[str]]) -> int:
    """Return how many rows from the first are like it."""
    return next((n for n, row in enumerate(rows) if row != rows[0]), len(rows))


def _texts(raw: RawExit, before: RawExit | None, row: int) -> list[str]:
    poison = before.poison if before else raw.poison
    return [LEFT if raw.head[at] == poison else f"{raw.head[at]:02x}" for at in range(row, row + _ROW)]


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last + _ROW - 1}"


def _cells(raw: RawExit, before: RawExit | None, row: int, members: Sequence[Field]) -> str:
    """Return the bytes of a row, those of each member in an element of its own."""
    texts = _texts(raw, before, row)
    pieces: list[str] = []
    at = row
    while at < row + _ROW:
        index, member = next(
            ((n, one) for n, one in enumerate(members) if one.offset <= at < one.offset + one.size),
            (-1, None),
        )
        end = min(row + _ROW, member.offset + member.size if member else row + _ROW)
        name = _CLASSES[index % len(_CLASSES)] if member else ""
        stale = before is not None and raw.head[at:end] == before.head[at:end]
        pieces += _marked(texts[at - row : end - row], name, "u" if stale else "b")
        at = end
    return " ".join(pieces)


def _marked(texts: Sequence[str], name: str, tag: str) -> Iterator[str]:
    """Yield a member's bytes: those that are not poison in the element of this tag, the others in italics."""
    start = 0
    while start < len(texts):
        left = texts[start] == LEFT
        end = start
        while end < len(texts) and (texts[end] == LEFT) is left:
            end += 1
        part = " ".join(texts[start:end])
        kind = f' class="{name}"' if name else ""
        yield f"<i>{part}</i>" if left else f"<{tag}{kind}>{part}</{tag}>"
        start = end
