"""What a scan and a comparison found, as lines for a person. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from sysevent.arches import Abi, native
from sysevent.headers.compare import Change, Comparison, Kind
from sysevent.headers.scan import Hazard, Padding
from sysevent.headers.translated import Fate
from sysevent.report.drawing import Line, Look

_SHOWN = 6  # moved members of one structure


class Scanned(msgspec.Struct, frozen=True):
    """One kernel for one pair of ABIs; hazards None when the architecture had no KVM then."""

    spec: str
    userspace: Abi
    hazards: tuple[Hazard, ...] | None
    padding: tuple[Padding, ...]

    @property
    def pair(self) -> str:
        return f"{native(self.userspace.arch).name}/{self.userspace.name}"

    @property
    def unknown(self) -> list[Hazard]:
        """What is wrong, and that no row of the table speaks of."""
        return [hazard for hazard in self.hazards or () if hazard.fate is Fate.WRONG and not hazard.known]


def table(report: Sequence[Scanned]) -> list[Line]:
    """A row for each pair of ABIs and kernel: how many structures meet each fate, which are read wrongly."""
    rows = [("ABI pair", "kernel", *Fate, "implicit padding", "read wrongly")]
    for entry in sorted(report, key=lambda e: [e2.pair for e2 in report].index(e.pair)):
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
    """kvm_xen_exit, or kvm_run.system_event.flags when single members of a structure are meant."""
    if hazard.struct == "kvm_run":
        return ", ".join(f"kvm_run.{shift.path}" for shift in hazard.shifts)
    return hazard.struct


def details(report: Iterable[Scanned], *, with_padding: bool) -> list[Line]:
    """Each structure that differs: what becomes of it and why, and where its members lie."""
    lines: list[Line] = []
    for entry in report:
        lines += [((("", Look.PLAIN)),), ((f"{entry.spec}, {entry.pair}", Look.HEAD),)]
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


_WORDS = {
    Kind.FILLED: "an old kernel leaves anything there: not to be read without a capability or a flag",
    Kind.RESERVED: "",
}


def changes(old: str, new: str, userspace: Abi, found: Comparison) -> list[Line]:
    """What changed for one ABI: first what an old binary would misread, then what came where."""
    lines: list[Line] = [((f"{userspace.name}: {old} -> {new}", Look.HEAD),)]
    if userspace.unreachable:
        lines.append(((f"  no such program reaches KVM: {userspace.unreachable}", Look.PLAIN),))
    misread = [change for change in found.changes if change.misread]
    for title, group, look in (
        ("an old binary misreads", misread, Look.OTHER),
        ("moved, and nobody reads it", [c for c in found.changes if c.kind.misread and c.spared], Look.PLAIN),
        ("added into padding", [c for c in found.changes if c.kind is Kind.FILLED], Look.SAME),
        (
            "other",
            [c for c in found.changes if c.kind not in (Kind.FILLED,) and not c.kind.misread],
            Look.PLAIN,
        ),
    ):
        if group:
            lines.append(((f"  {title}: {len(group)}", Look.HEAD),))
            told = dict.fromkeys(f"    {_change(change)}" for change in group)
            lines += [((text, look),) for text in told]
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
    told = "; ".join(filter(None, (change.note, _WORDS.get(change.kind, ""), change.spared)))
    return f"{change.kind:13} {change.struct}.{change.path} {place}{f': {told}' if told else ''}"
