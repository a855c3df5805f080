"""From the verdicts on a kernel to the outcome of a bisection step, without I/O.

    every selected claim is PASS or DONE                             good         0
    any FAIL                                                         bad          1
    not built, not booted, guest lost, any MISS or ERROR,
    everything skipped, nothing selected, two boots that disagree    cannot tell  125
    wrong usage, a full disk, an error in our own code               stop         129

The exit codes are git's (git-bisect(1), "bisect run"): 125 skips a revision, 128 and more end the search.
Only a judged observation makes a revision "bad", unless the user asks for --boot-failure=bad.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence

from sysevent.model import Status


class Outcome(enum.StrEnum):
    """What one revision was found to be."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "cannot tell"

    @property
    def code(self) -> int:
        """The exit code for `git bisect run`."""
        return {"good": 0, "bad": 1, "cannot tell": 125}[self.value]


def decide(statuses: Sequence[Status], *, all_apply: bool = False) -> tuple[Outcome, str]:
    """The outcome of a revision by the verdicts on the selected claims, and the reason in a few words.

    all_apply: the claims apply at both ends, so that a SKIP in between makes the revision UNKNOWN. Otherwise a SKIP
    is ignored, as long as another claim is judged.
    """
    count = Counter(statuses)
    counts = ", ".join(f"{count[status]} {status}" for status in Status if count[status])
    if not statuses:
        return Outcome.UNKNOWN, "no claim is selected"
    if count[Status.FAIL]:
        return Outcome.BAD, counts
    if count[Status.ERROR] or count[Status.MISS]:
        return Outcome.UNKNOWN, counts
    if not count[Status.PASS] and not count[Status.DONE]:
        return Outcome.UNKNOWN, f"{counts}: nothing applies to this kernel"
    if all_apply and count[Status.SKIP]:
        return Outcome.UNKNOWN, f"{counts}: what is searched for does not apply to this kernel"
    return Outcome.GOOD, counts


def boot_failure(as_bad: bool) -> Outcome:
    """The outcome of a kernel that does not boot. as_bad: --boot-failure=bad was given."""
    return Outcome.BAD if as_bad else Outcome.UNKNOWN
