"""Kernel releases in order, and what a release obliges a kernel to have."""

from __future__ import annotations

import re

from sysevent.abi.capabilities import Capability
from sysevent.errors import UsageError

# Linux 5.18-rc5, d495f942f40a: ndata, data[16] and KVM_CAP_SYSTEM_EVENT_DATA.
EVENT_DATA = Capability.SYSTEM_EVENT_DATA.since


def parse(release: str) -> tuple[int, int]:
    """(5, 10) of "5.10.0-32-cloud-amd64"; a release candidate counts as the release before it.

    (0, 0) for a release that is no number: such a kernel is only held to what it says it has.
    """
    found = re.match(r"(\d+)\.(\d+)(?:\.\d+)?(-rc\d+)?", release)
    if not found:
        return (0, 0)
    major, minor = int(found[1]), int(found[2])
    return (major, minor - 1) if found[3] else (major, minor)


def floor(text: str) -> tuple[int, int]:
    """What --floor says a vendor kernel must have, whatever it calls itself; UsageError when it is no release."""
    found = parse(text)
    if found == (0, 0):
        raise UsageError(f"--floor {text}: a kernel release such as 5.18 is meant")
    return found
