"""The terms that a kernel is judged by: which system_event it has, which features it must have, and how strictly."""

from __future__ import annotations

import enum

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.number import Number
from sysevent.contract import kernel_release
from sysevent.model import Facts

# Of an answer in Facts.features: firmware calls return negative errors, of 32 or 64 bits. A feature without an answer
# counts as one with an error.
_FIRST_ERROR = 1 << 31
_ABSENT = 1 << 63


class EventDefinition(enum.StrEnum):
    """The members of struct kvm_run.system_event on a kernel."""

    DATA = "type, ndata, data[16] (capability 215, since v5.18)"
    FLAGS = "type, flags (before v5.18)"


class Need(msgspec.Struct, frozen=True):
    """A feature without which a claim does not apply to a kernel.

    A kernel of a release that must have the feature is judged all the same.
    """

    # The feature, with the commit that added it. Continues the sentence "Linux 6.1 offers no …".
    words: str
    # The first release required to have it. None: it depends on configuration or hardware.
    since: tuple[int, int] | None
    # Its key in Facts: "vm/216" of the capabilities, or "psci.features.0x84000012" of the features.
    fact: str
    # True: the claim is about kernels that do not have the feature.
    absent: bool = False
    # What the feature requires, for one that depends on configuration or hardware. Continues "required: …".
    requires: str = ""

    @classmethod
    def of(cls, words: str, row: Number, fact: str) -> Need:
        """Return the need of what a row of abi/ describes, which has the release and the commit that added it."""
        return cls(f"{words} ({row.commit})", row.since, fact)

    def met(self, facts: Facts) -> bool:
        """Return whether a kernel has the feature; with absent, whether it does not have it."""
        if self.fact in facts.capabilities:
            present = facts.capabilities[self.fact] > 0
        else:
            present = facts.features.get(self.fact, _ABSENT) < _FIRST_ERROR
        return present is not self.absent

    def required(self, release: tuple[int, int]) -> bool:
        """Return whether a kernel must have the feature if it is judged as this release."""
        return self.since is not None and release >= self.since

    def why_not(self, facts: Facts) -> str:
        """Return why the claim does not apply to a kernel that does not meet the need, and what would change that.

        One sentence, without a full stop.
        """
        if self.absent:
            return f"Linux {facts.release} has {self.words}; this claim is about kernels without it"
        lacks = f"Linux {facts.release} offers no {self.words}"
        if self.since is None:
            return f"{lacks} here" + (f"; required: {self.requires}" if self.requires else "")
        since = version(self.since)
        return (
            f"{lacks}: it came with v{since}; a kernel with a backport is judged, --floor {since} demands it"
        )


class Terms(msgspec.Struct, frozen=True):
    """What the user requires of every kernel of a run."""

    # The lowest release that a kernel is judged as, for vendor kernels with backports (--floor).
    floor: tuple[int, int] = (0, 0)
    # True: changed behaviour that is only observed is FAIL, not DONE (--strict-observed).
    strict_observed: bool = False
    # True: a failure that an erratum explains is FAIL, not DONE (--strict-errata).
    strict_errata: bool = False

    @classmethod
    def of(cls, floor: str | None, strict_observed: bool, strict_errata: bool = False) -> Terms:
        """Return the terms of --floor, None or "" without one, --strict-observed and --strict-errata.

        Raises UsageError if the floor is not a release.
        """
        return cls(kernel_release.floor(floor) if floor else (0, 0), strict_observed, strict_errata)

    def release(self, facts: Facts) -> tuple[int, int]:
        """Return the release that a kernel is judged as: its own, or the floor if that is higher."""
        return max(kernel_release.parse(facts.release), self.floor)

    def definition(self, facts: Facts) -> EventDefinition:
        """Return DATA for a kernel that has capability 215, on /dev/kvm or on a VM, or must have it; else FLAGS."""
        data = Capability.SYSTEM_EVENT_DATA
        has = any(facts.capabilities.get(fact, 0) > 0 for fact in (data.on_system, data.on_vm))
        must = self.release(facts) >= kernel_release.EVENT_DATA
        return EventDefinition.DATA if has or must else EventDefinition.FLAGS


def version(release: tuple[int, int]) -> str:
    """Return a release as text: "5.18"."""
    return ".".join(map(str, release))
