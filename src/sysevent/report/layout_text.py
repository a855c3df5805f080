"""The results of `sysevent layout scan` and `sysevent layout diff` as text. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from sysevent.arches import Abi, native
from sysevent.headers.compare import Change, Comparison, Kind
from sysevent.headers.compat import Fate
from sysevent.headers.scan import Hazard, Padding
from sysevent.report.drawing import Line, Look

# Moved members of one structure that are listed.
_SHOWN = 6


class Scanned(msgspec.Struct, frozen=True):
    """One kernel scanned for one pair of ABIs. hazards is None if the architecture had no KVM in that kernel."""

    spec: str
    userspace: Abi
    hazards: tuple[Hazard, ...] | None
    padding: tuple[Padding, ...]

    @property
    def pair(self) -> str:
        """Return the names of the kernel's own ABI and of the other one."""
        return f"{native(self.userspace.arch).name}/{self.userspace.name}"

    @property
    def unknown(self) -> list[Hazard]:
        """Return the structures that are read wrongly and have no row in headers/compat.py."""
        return [hazard for hazard in self.hazards or () if hazard.fate is Fate.WRONG and not hazard.known]


def table(report: Sequence[Scanned]) -> list[Line]:
    """Return a row for each pair of ABIs and kernel: the number of structures by fate, and those read wrongly."""
    rows = [("ABI pair", "kernel", *Fate, "implicit padding", "read wrongly")]
    pairs = [entry.pair for entry in report]
    for entry in sorted(report, key=lambda entry: pairs.index(entry.pair)):
        if entry.hazards is None:
            rows.append((entry.pair, entry.spec, *("-" for _ in Fate), "-", "no KVM there"))
            continue
        counts = Counter(hazard.fate for hazard in entry.hazards)
        gaps = f"{len(entry.padding)}, {sum(1 for gap in entry.padding if not gap.shared)} not for all"
        wrong = ", ".join(_name(hazard) for hazard in entry.hazards if hazard.fate is Fate.WRONG)
        rows.append((entry.pair, entry.spec, *(str(counts[fate]) for fate in Fate), gaps, wrong or "none"))
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines: list[Line] = []
    for number, row in enumerate(rows):
        text = "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        bad = number > 0 and row[-1] not in ("none", "no KVM there")
        lines.append(((text, Look.HEAD if number == 0 else Look.OTHER if bad else Look.PLAIN),))
    return lines


def _name(hazard: Hazard) -> str:
    """Return the name of a structure; of kvm_run, the names of the members that differ."""
    if hazard.struct == "kvm_run":
        return ", ".join(f"kvm_run.{shift.path}" for shift in hazard.shifts)
    return hazard.struct


def details(report: Iterable[Scanned], *, with_padding: bool) -> list[Line]:
    """Return, for each structure that differs, its fate, the reason, and the offsets of its members.

    with_padding: True to list implicit padding, too.
    """
    lines: list[Line] = []
    for entry in report:
        lines += [(("", Look.PLAIN),), ((f"{entry.spec}, {entry.pair}", Look.HEAD),)]
        if entry.userspace.unreachable:
            lines.append(((f"  no such program reaches KVM: {entry.userspace.unreachable}", Look.PLAIN),))
        for hazard in entry.hazards or ():
            lines += _hazard(hazard)
        if with_padding:
            lines += [((f"  padding      {_gap(gap)}", Look.PADDING),) for gap in entry.padding]
    return lines


def _hazard(hazard: Hazard) -> list[Line]:
    look = Look.OTHER if hazard.fate is Fate.WRONG else Look.PLAIN
    inside = f" (is {', '.join(hazard.within)})" if hazard.within else ""
    lines: list[Line] = [
        ((f"  {hazard.fate:12} struct {hazard.struct}{inside}", look),),
        ((f"  {'':12} {hazard.source}", Look.PLAIN),),
    ]
    if hazard.fate in (Fate.WRONG, Fate.REFUSED):
        for shift in hazard.shifts[:_SHOWN]:
            mine, theirs = (f"@{at}, {size} bytes" for at, size in (shift.native, shift.other))
            if not shift.path:
                mine, theirs = f"{shift.native[1]} bytes", f"{shift.other[1]} bytes"
            lines.append(((f"  {'':12} {shift.path or 'size':24} {mine} / {theirs}", look),))
        if len(hazard.shifts) > _SHOWN:
            lines.append(((f"  {'':12} and {len(hazard.shifts) - _SHOWN} more", look),))
    return lines


def _gap(gap: Padding) -> str:
    where = f"{gap.struct}.{gap.hole.where}".rstrip(".")
    place = "at the end" if gap.hole.tail else f"after {gap.hole.after.rpartition('.')[2]}"
    alone = "" if gap.shared else ", not in every ABI"
    return f"{where}: {gap.hole.offset}..{gap.hole.end - 1} {place}{alone}"


_REMARKS = {
    Kind.FILLED: "an old kernel leaves anything there: not to be read without a capability or a flag",
}


def changes(old: str, new: str, userspace: Abi, found: Comparison) -> list[Line]:
    """Return what changed for one ABI between two kernels: what an old binary misreads, then the rest.

    old, new: the kernels as the user named them.
    """
    lines: list[Line] = [((f"{userspace.name}: {old} -> {new}", Look.HEAD),)]
    if userspace.unreachable:
        lines.append(((f"  no such program reaches KVM: {userspace.unreachable}", Look.PLAIN),))
    misread = [change for change in found.changes if change.misread]
    spared = [change for change in found.changes if change.kind.misread and change.spared]
    filled = [change for change in found.changes if change.kind is Kind.FILLED]
    other = [change for change in found.changes if change.kind is not Kind.FILLED and not change.kind.misread]
    for title, group, look in (
        ("an old binary misreads", misread, Look.OTHER),
        ("moved, but not read", spared, Look.PLAIN),
        ("added into padding", filled, Look.SAME),
        ("other", other, Look.PLAIN),
    ):
        if group:
            lines.append(((f"  {title}: {len(group)}", Look.HEAD),))
            texts = dict.fromkeys(f"    {_change(change)}" for change in group)
            lines += [((text, look),) for text in texts]
    if not misread:
        lines.append((("  an old binary misreads nothing", Look.SAME),))
    if found.renumbered:
        lines.append(((f"  an old binary has another number: {len(found.renumbered)}", Look.HEAD),))
    for numbers, look in ((found.renumbered, Look.OTHER), (found.bounds, Look.PLAIN)):
        lines += [((f"  {name}: {before:#x} -> {after:#x}", look),) for name, before, after in numbers]
    for name, before, after in found.sizes:
        lines.append(((f"  struct {name}: {before} -> {after} bytes", Look.PLAIN),))
    for word, names in (("new", found.added), ("gone", found.removed)):
        if names:
            lines.append(((f"  {word} structures: {', '.join(names)}", Look.PLAIN),))
    lines.append((("", Look.PLAIN),))
    return lines


def _change(change: Change) -> str:
    if change.kind is Kind.ALTERNATIVE:
        return f"{change.kind:13} {change.struct}.{change.path.partition('.')[0]}"
    place = " -> ".join(f"@{at} ({size} bytes)" for at, size in filter(None, (change.old, change.new)))
    remarks = "; ".join(filter(None, (change.note, _REMARKS.get(change.kind, ""), change.spared)))
    return f"{change.kind:13} {change.struct}.{change.path} {place}{f': {remarks}' if remarks else ''}"
