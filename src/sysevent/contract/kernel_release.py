"""Kernel releases as numbers that can be compared."""

from __future__ import annotations

import re

from sysevent.abi.capabilities import Capability
from sysevent.errors import UsageError

# Linux 5.18-rc5, d495f942f40a: ndata, data[16] and KVM_CAP_SYSTEM_EVENT_DATA.
EVENT_DATA = Capability.SYSTEM_EVENT_DATA.since


def parse(release: str) -> tuple[int, int]:
    """Return (5, 10) for "5.10.0-32-cloud-amd64". A release candidate counts as the release before it.

    Returns (0, 0) for text that does not begin with a release: no release requires such a kernel to have a feature.
    """
    found = re.match(r"(\d+)\.(\d+)(?:\.\d+)?(-rc\d+)?", release)
    if not found:
        return (0, 0)
    major, minor = int(found[1]), int(found[2])
    return (major, minor - 1) if found[3] else (major, minor)


def floor(text: str) -> tuple[int, int]:
    """Return the release that --floor names. Raises UsageError if the text does not begin with one."""
    found = parse(text)
    if found == (0, 0):
        raise UsageError(f"--floor {text}: a kernel release such as 5.18 is meant")
    return found
