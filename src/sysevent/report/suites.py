"""The verdicts of a run as other programs take them: a suite for each target and ABI, with facts in words. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sysevent.contract.claim import PREFIX
from sysevent.report import merging, records
from sysevent.report.matrix import column, last_verdicts, ordered_columns
from sysevent.report.order import claim_key
from sysevent.report.records import Record
from sysevent.text import escape_line

# What every consumer takes in a name: kcidb's paths, LAVA's test cases, KernelCI's KTAP.
_OTHER = re.compile(r"[^A-Za-z0-9_.-]+")
# Bytes of kvm_run that are shown at least, and exits if what is wrong names none.
_SHOWN, _EXITS = 64, 2
# Characters of a name.
_LONGEST = 200


class Suite(msgspec.Struct, frozen=True):
    """The verdicts that count of one target with one ABI of the VMM, in the order of the matrix."""

    # As the column of the matrix.
    name: str
    # None if no kernel has answered, and for headers.
    target: records.Target | None
    verdicts: tuple[records.Verdict, ...]

    @property
    def seconds(self) -> float:
        """The time that the scenarios took, in seconds."""
        return sum(verdict.seconds for verdict in self.verdicts)


def suites(run: Sequence[Record]) -> list[Suite]:
    """Return the suites of a run, in the order of the columns of its matrix."""
    counted = last_verdicts(run).values()
    targets = {record.name: record for record in run if isinstance(record, records.Target)}
    found: dict[str, list[records.Verdict]] = {name: [] for name in ordered_columns(counted)}
    for verdict in sorted(counted, key=lambda one: claim_key(one.test.removeprefix(f"{PREFIX}."))):
        found[column(verdict)].append(verdict)
    return [Suite(name, targets.get(verdicts[0].target), tuple(verdicts)) for name, verdicts in found.items()]


def unfinished(run: Sequence[Record]) -> dict[str, str]:
    """Return why runs are not complete, by their names in a report; empty if all are."""
    return {
        escape_line(merging.name_of(part)): escape_line(why)
        for part in merging.split(run)
        if (why := merging.how_it_ended(part))
    }


def facts(suite: Suite) -> dict[str, str]:
    """Return what is known of the kernel, its machine and the VMM of a suite, by name, in printable words."""
    first, target = suite.verdicts[0], suite.target
    found = {"target": first.target, "kernel": first.kernel, "vmm_abi": first.abi}
    if target is not None:
        found |= {
            "kernel": target.kernel,
            "kernel_spec": target.spec,
            "package": target.package,
            "arch": target.arch,
            "build_id": target.build_id,
            "module_build_ids": _words(target.module_build_ids),
            "identity": target.identity or "",
            "mode": _words(target.mode),
            "where": target.where,
            "origin": target.origin,
            "qemu": target.qemu,
            "vmm_build_id": target.vmm,
        }
    return {name: escape_line(value) for name, value in found.items() if value}


def details(verdict: records.Verdict) -> list[str]:
    """Return what is worth reading about a verdict: its reason, what is wrong, and the bytes that it rests on."""
    lines = [verdict.reason]
    for what, expected in verdict.expected.items():
        lines.append(f"{what}: got {verdict.got.get(what, 'nothing')}, expected {expected}")
    # Those that a mismatch names, as in "second: ndata"; with a single exit, none does.
    named = {what.partition(": ")[0] for what in verdict.expected}
    shown = [label for label in verdict.raw if label in named] or list(verdict.raw)[:_EXITS]
    lines += [_bytes(label, verdict) for label in shown if verdict.expected]
    return [escape_line(line) for line in lines]


def _bytes(label: str, verdict: records.Verdict) -> str:
    """The bytes of an exit up to the last one that the kernel wrote, and which it wrote."""
    written = verdict.written.get(label, ())
    ranges = ", ".join(f"{first}-{end - 1}" for first, end in written) or "none"
    shown = max((end for _, end in written), default=0)
    return f"kvm_run at {label}, written: {ranges}: {verdict.raw[label][: 2 * max(shown, _SHOWN)]}"


def headline(verdict: records.Verdict) -> str:
    """Return the first line of the reason, in printable words."""
    return escape_line((verdict.reason.splitlines() or [""])[0])


def safe_names(names: Iterable[str], *, taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a name of letters, digits, `_`, `.` and `-` for each name, by it: all are different, and none is taken."""
    found: dict[str, str] = {}
    used = set(taken)
    for name in dict.fromkeys(names):
        safe = base = safe_name(name)
        number = 1
        while safe in used:
            number += 1
            safe = f"{base}_{number}"
        found[name] = safe
        used.add(safe)
    return found


def safe_name(name: str) -> str:
    """Return a name of letters, digits, `_`, `.` and `-`, not empty and not too long; it may not be unique.

    It does not begin with `-`, which KTAP takes for a separator, and has no empty part between dots.
    """
    parts = (part for part in _OTHER.sub("_", name)[:_LONGEST].lstrip("-").split(".") if part)
    return ".".join(parts) or "_"


def _words(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(values.items()))
