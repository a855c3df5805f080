"""What a run means, in a few sentences for somebody who sees this project for the first time. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from sysevent.model import Status
from sysevent.report import merging, records
from sysevent.report.matrix import last_verdicts
from sysevent.report.order import natural

# Columns that a sentence names.
_NAMED = 3

MEANINGS = {
    Status.FAIL: "the kernel breaks what its documentation promises to VMMs",
    Status.ERROR: "the test itself broke; says nothing about the kernel",
    Status.MISS: "could not be asked, or a failure was not seen a second time; says nothing about the kernel",
    Status.PASS: "the claim holds",
    Status.DONE: "behaves differently, in a way that is known or that nothing promises",
    Status.SKIP: "does not apply to this kernel or machine",
}
_BROKEN = (
    "A VMM (QEMU, Firecracker, crosvm…) learns from struct kvm_run why its guest stopped. In a FAIL the kernel left "
    "something else there than its documentation promises, so the VMM takes the event for another one, or reads bytes "
    "that were never written. Every FAIL was seen in two guests, the second one booted for that purpose."
)


class Headline(msgspec.Struct, frozen=True):
    """The worst status of a run, what that means, and what is missing from the run."""

    # None: no verdict at all.
    status: Status | None
    sentence: str
    meaning: str
    # Why the run is not complete, a sentence each.
    gaps: tuple[str, ...]


def headline(run: Sequence[records.Record]) -> Headline:
    """Return the sentences at the top of a page about the records of one run, or of several that are merged."""
    last = list(last_verdicts(run).values())
    gaps = tuple(_gaps(run))
    if not last:
        return Headline(None, "No claim was judged.", "The run ended before a kernel had answered.", gaps)
    counts = Counter(one.status for one in last)
    worst = min(counts, key=lambda status: status.severity)
    if worst is Status.FAIL:
        return Headline(worst, _failing(last, counts), _BROKEN, gaps)
    if worst in (Status.ERROR, Status.MISS):
        what = " and ".join(f"{counts[one]} {one}" for one in (Status.ERROR, Status.MISS) if counts[one])
        sentence = f"No kernel failed, but {what} on {_places(one for one in last if one.status <= worst)}."
        others = f"{counts[Status.PASS]} claims PASS." if counts[Status.PASS] else "Nothing passed."
        return Headline(worst, sentence, f"{what}: {MEANINGS[worst]}. {others}", gaps)
    if not counts[Status.PASS]:
        return Headline(worst, "Nothing was judged: no claim applies.", f"{worst}: {MEANINGS[worst]}.", gaps)
    sentence = f"All PASS: every claim that applies holds on {_places(last)}."
    return Headline(Status.PASS, sentence, _rest(counts), gaps)


def _failing(last: Sequence[records.Verdict], counts: Counter[Status]) -> str:
    failed = [one for one in last if one.status is Status.FAIL]
    applied = sum(count for status, count in counts.items() if status is not Status.SKIP)
    sentence = f"{len(failed)} of {applied} verdicts FAIL, on {_places(failed)}."
    good = len(_targets(last)) - len(_targets(failed))
    if good:
        sentence += f" Nothing fails on the other {f'{good} targets' if good > 1 else 'target'}."
    return sentence


def _targets(verdicts: Iterable[records.Verdict]) -> list[str]:
    """Return the names of the targets of some verdicts. Headers are no target, unless there is nothing else."""
    names = sorted({one.target for one in verdicts}, key=natural)
    return [name for name in names if not _headers(name)] or list(names)


def _headers(target: str) -> bool:
    return target.partition("@")[0] == "headers"


def _places(verdicts: Iterable[records.Verdict]) -> str:
    """Return where verdicts are: "arm64-tcg (Linux 5.10.0)", or "12 targets with 3 kernels"."""
    found = list(verdicts)
    targets = _targets(found)
    kernels = list(dict.fromkeys(one.kernel for one in found if one.kernel and one.target in targets))
    linux = f" (Linux {', '.join(kernels)})" if 0 < len(kernels) <= _NAMED else ""
    if len(targets) <= _NAMED:
        return ", ".join(targets) + linux
    return f"{len(targets)} targets" + (linux if len(kernels) <= 1 else f" with {len(kernels)} kernels")


def _rest(counts: Counter[Status]) -> str:
    parts = [f"{counts[Status.PASS]} PASS"]
    parts += [f"{counts[one]} {one}: {MEANINGS[one]}" for one in (Status.DONE, Status.SKIP) if counts[one]]
    return "; ".join(parts) + "."


def _gaps(run: Sequence[records.Record]) -> Iterable[str]:
    for part in merging.split(run):
        if note := merging.how_it_ended(part):
            yield f"{merging.name_of(part)}: {note}."
