"""From verdicts to what a bisection is told. Pure: the whole table stands here.

    every selected claim PASS or DONE                                good         0
    any FAIL                                                         bad          1
    not built, not booted, guest lost, any MISS or ERROR,
    everything skipped, nothing selected, two boots that disagree    cannot tell  125
    wrong usage, a full disk, an error of our own                    stop         129

The numbers are git's (git-bisect(1), "bisect run"): 125 skips a revision, 128 and more end the search.
Only a judged observation makes "bad", unless the user asks for --boot-failure=bad.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence

from sysevent.model import Status

STOP = 129


class Outcome(enum.StrEnum):
    """What one revision is."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "cannot tell"

    @property
    def code(self) -> int:
        """For `git bisect run`."""
        return {"good": 0, "bad": 1, "cannot tell": 125}[self.value]


def decide(statuses: Sequence[Status], *, all_apply: bool = False) -> tuple[Outcome, str]:
    """What the verdicts on the selected claims make of a revision, and why in a few words.

    all_apply: the claims are known to apply at both ends, so that one that is skipped leaves a gap. Without
    it a claim that does not apply to a revision says nothing about it, as long as another one does.
    """
    count = Counter(statuses)
    told = ", ".join(f"{count[status]} {status}" for status in Status if count[status])
    if not statuses:
        return Outcome.UNKNOWN, "no claim is selected"
    if count[Status.FAIL]:
        return Outcome.BAD, told
    if count[Status.ERROR] or count[Status.MISS]:
        return Outcome.UNKNOWN, told
    if not count[Status.PASS] and not count[Status.DONE]:
        return Outcome.UNKNOWN, f"{told}: nothing applies to this kernel"
    if all_apply and count[Status.SKIP]:
        return Outcome.UNKNOWN, f"{told}: what is searched for does not apply here"
    return Outcome.GOOD, told


def boot_failure(as_bad: bool) -> Outcome:
    """What a kernel is that does not come up: --boot-failure."""
    return Outcome.BAD if as_bad else Outcome.UNKNOWN
