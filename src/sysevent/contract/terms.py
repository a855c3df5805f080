"""By what terms a kernel is judged: the old or the new structure, what it must have, and how strictly."""

from __future__ import annotations

import enum

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.contract import kernel_release
from sysevent.model import Facts


class Contract(enum.StrEnum):
    """What struct kvm_run.system_event means on a kernel."""

    DATA = "type, ndata, data[16] (capability 215, since v5.18)"
    FLAGS = "type, flags (before v5.18)"


class Need(msgspec.Struct, frozen=True):
    """Something that a kernel must have for a claim to apply: asked of the kernel, required from a release on."""

    # What it is, with the commit that brought it. Continues "Linux 6.1 offers no …".
    words: str
    # The first release required to have it. None: a matter of configuration or hardware.
    since: tuple[int, int] | None
    # Its key in Facts: "vm/216" of the capabilities, or "psci.features.0x84000012" of the features.
    fact: str
    # True: the claim is about kernels that do not have it.
    absent: bool = False

    def met(self, facts: Facts) -> bool:
        """Whether a kernel is as the claim needs it."""
        if self.fact in facts.capabilities:
            there = facts.capabilities[self.fact] > 0
        else:
            # Firmware calls answer with negative errors, as 32 or 64 bits.
            there = facts.features.get(self.fact, 1 << 63) < 1 << 31
        return there is not self.absent

    def required(self, release: tuple[int, int]) -> bool:
        """Whether a kernel held to a release must have it."""
        return self.since is not None and release >= self.since

    def why_not(self, facts: Facts) -> str:
        """Why the claim does not apply to a kernel that lacks this and may lack it, and what would change that."""
        if self.absent:
            return f"Linux {facts.release} has {self.words}; this claim is about kernels without"
        lacks = f"Linux {facts.release} offers no {self.words}"
        if self.since is None:
            return f"{lacks} here"
        since = version(self.since)
        return (
            f"{lacks}: it came with v{since}; a kernel with a backport is judged, --floor {since} demands it"
        )


class Terms(msgspec.Struct, frozen=True):
    """What the user asks of every kernel of a run."""

    # The release whose features a kernel must have, whatever it calls itself (--floor).
    floor: tuple[int, int] = (0, 0)
    # True: a change of behaviour that is only observed fails as well (--strict-observed).
    strict_observed: bool = False

    def release(self, facts: Facts) -> tuple[int, int]:
        """The release whose promises a kernel must keep."""
        return max(kernel_release.parse(facts.release), self.floor)

    def contract(self, facts: Facts) -> Contract:
        """Which structure a kernel is judged by: the new one if it has capability 215, or must have it."""
        data = Capability.SYSTEM_EVENT_DATA
        has = any(facts.capabilities.get(fact, 0) > 0 for fact in (data.on_system, data.on_vm))
        must = self.release(facts) >= kernel_release.EVENT_DATA
        return Contract.DATA if has or must else Contract.FLAGS


def version(release: tuple[int, int]) -> str:
    """A release as people write it: "5.18"."""
    return ".".join(map(str, release))
