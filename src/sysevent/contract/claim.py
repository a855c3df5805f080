"""Claims: rows of what must hold, why, since when, and for whom."""

from __future__ import annotations

import enum

import msgspec

from sysevent.contract.checks import Check
from sysevent.model import Facts, Level

# Every claim's name in run.jsonl begins with this; kcidb-io wants [A-Za-z0-9_-] and dots.
PREFIX = "kvm.system_event"


class Contract(enum.StrEnum):
    """What struct kvm_run.system_event means on a kernel."""

    DATA = "type, ndata, data[16] (capability 215, since v5.18)"
    FLAGS = "type, flags (before v5.18)"


class Need(msgspec.Struct, frozen=True):
    """Something a kernel has or has not; asked of the kernel, owed from a release on."""

    words: str  # what it is, with the commit that brought it
    since: tuple[int, int] | None  # the release that owes it; None: a matter of configuration or hardware
    fact: str  # in Facts: "vm/216" of the capabilities, or "psci.features.0x84000012" of the features
    absent: bool = False  # the claim is about kernels that do not have it

    def met(self, facts: Facts) -> bool:
        if self.fact in facts.capabilities:
            there = facts.capabilities[self.fact] > 0
        else:
            # Firmware calls answer with negative errors, as 32 or 64 bits.
            there = facts.features.get(self.fact, 1 << 63) < 1 << 31
        return there is not self.absent

    def why_not(self, facts: Facts) -> str:
        """For a kernel that does not meet it and need not: what it would take."""
        if self.absent:
            return f"Linux {facts.release} has {self.words}; this claim is about kernels without"
        lacks = f"Linux {facts.release} offers no {self.words}"
        if self.since is None:
            return f"{lacks} here"
        since = ".".join(map(str, self.since))
        return (
            f"{lacks}: it came with v{since}; a kernel with a backport is judged, --floor {since} demands it"
        )


class Claim(msgspec.Struct, frozen=True):
    """One row of the contract."""

    name: str  # arm64.psci.reset2
    says: str  # one sentence
    scenario: str  # by its name in scenario/catalog/
    level: Level
    source: str  # the kernel document or code path it rests on, with the commit
    checks: tuple[Check, ...]
    before: tuple[Check, ...] | None = None  # the same under the old contract; None: as checks
    needs: tuple[Need, ...] = ()
    abi: str = ""  # of the VMM that must ask; empty: any

    @property
    def arch(self) -> str:
        """The architecture it is about."""
        return self.name.partition(".")[0]

    @property
    def test(self) -> str:
        """Its name in run.jsonl."""
        return f"{PREFIX}.{self.name}"
