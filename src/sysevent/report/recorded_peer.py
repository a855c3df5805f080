"""The record of a program of others that ran in a guest: `peer`."""

from __future__ import annotations

import msgspec

from sysevent.model import Status
from sysevent.report.recorded_observation import Natural, Seconds


class Peer(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="peer"):
    """A test program of others that ran in a guest of a target (`sysevent peers`). It is no verdict on a claim."""

    target: str
    """Name of the target."""
    suite: str
    """`selftests`: tools/testing/selftests/kvm of the kernel. `kvm-unit-tests`."""
    program: str
    """Name of the program."""
    source: str
    """What it was compiled from: `linux-source 6.12.117-1`, or the tree with its version."""
    status: Status
    """PASS, SKIP and FAIL: what the program said, FAIL in two guests. MISS: it said nothing, because it could not be
    compiled, was ended by its deadline, or lost its guest; or it failed in the first guest only."""
    reason: str
    """One sentence that explains the status, from what the program printed. Empty with PASS."""
    exit: int | None
    """Exit code of the program, negative for the number of a signal. null if it did not end by itself."""
    seconds: Seconds
    """Time that it took in the guest, in seconds. 0 if it did not run."""
    confirmed: Natural
    """Number of guests in which it failed: 2 for a FAIL, 0 otherwise."""
    output: tuple[str, ...]
    """The last lines that it printed, unless it passed."""
