"""Known defects of released kernels: a run of such a kernel reports them, and does not fail. No I/O."""

from __future__ import annotations

import re

import msgspec

from sysevent.abi.number import Release
from sysevent.contract import kernel_release
from sysevent.decode.kernel_log import Splat


class KnownWarning(msgspec.Struct, frozen=True):
    """A warning in a kernel's log, of a defect that the kernel's developers have mended since."""

    # Name of the only scenario that it is known to happen in.
    scenario: str
    # The function in its headline.
    function: str
    # From the release that introduced the defect, up to, and without, the first that has a stable release without it.
    since: Release
    before: Release
    # What KVM does, in one sentence with the commit that mends it. Without a full stop.
    says: str

    def explains(self, scenario: str, splat: Splat, release: str) -> bool:
        """Return whether a splat that a kernel of this release logged around a scenario is this one."""
        return (
            scenario == self.scenario
            and self.since <= kernel_release.parse(release) < self.before
            and re.search(rf"^WARNING: .*\b{self.function}\+0x", splat.headline) is not None
        )


WARNINGS = (
    KnownWarning(
        "x86_64.triple_fault.smm",
        "kvm_vcpu_reset",
        # ed129ec9057f. a2620f8932fa is in 6.6.92, 6.12.29 and v6.15, and in no 6.1.
        since=(6, 1),
        before=(6, 6),
        says="KVM resets a vCPU in System Management Mode without leaving it, and warns (CVE-2025-37957, a2620f8932fa)",
    ),
)


def known_warning(scenario: str, splat: Splat, release: str) -> KnownWarning | None:
    """Return the known defect that explains a splat; None if it is new."""
    return next((known for known in WARNINGS if known.explains(scenario, splat, release)), None)
