"""Kernel releases as numbers that can be compared."""

from __future__ import annotations

import re

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.errors import UsageError

# Linux 5.18-rc5, d495f942f40a: ndata, data[16] and KVM_CAP_SYSTEM_EVENT_DATA.
EVENT_DATA = Capability.SYSTEM_EVENT_DATA.since


# A number that follows x.y.0 is the vendor's own, as in 6.1.0-50-cloud-amd64, and hides the patch level.
_VENDORS = re.compile(r"-\d")


class Version(msgspec.Struct, frozen=True):
    """A release in full, as far as its text has it."""

    # (6, 12) of "6.12.29".
    series: tuple[int, int]
    # 29; None if the text does not have it.
    patch: int | None
    # True: a release candidate, which is a state between two releases.
    candidate: bool


Releases = tuple[tuple[int, ...], ...]
"""From which releases on a change is in: (6, 15) for all later ones, (6, 12, 29) for the stable ones of 6.12."""


def version(release: str) -> Version | None:
    """Return a release in full; None for text that does not begin with one."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?([-~]rc\d+)?", release)
    if not found:
        return None
    patch, candidate = int(found[3]) if found[3] else None, found[4] is not None
    if candidate:
        patch = patch or 0
    elif patch == 0 and _VENDORS.match(release, found.end()):
        patch = None
    return Version((int(found[1]), int(found[2])), patch, candidate)


def contains(changed: Releases, release: Version) -> bool | None:
    """Return whether a kernel has a change that came with these releases; None if its text does not decide that.

    A release candidate of a release in the table may or may not have the change, and a vendor's text can hide the
    patch level.
    """
    for one in changed:
        if one[:2] == release.series:
            patch = one[2] if len(one) > 2 else 0
            known = release.patch is not None or not patch
            if not known or (release.candidate and release.patch == patch):
                return None
            return patch <= (release.patch or 0)
    return any(len(one) == 2 and one <= release.series for one in changed)


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
