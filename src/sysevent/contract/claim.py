"""Claims: rows of what must hold, why, since when, and for whom."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sysevent.contract import release
from sysevent.contract.checks import Check
from sysevent.errors import NotApplicable
from sysevent.model import Facts, Level

# Every claim's name in run.jsonl begins with this; kcidb-io wants [A-Za-z0-9_-] and dots.
PREFIX = "kvm.system_event"


class Contract(enum.StrEnum):
    """What struct kvm_run.system_event means on a kernel."""

    DATA = "type, ndata, data[16] (capability 215, since v5.18)"
    FLAGS = "type, flags (before v5.18)"


@dataclass(frozen=True, slots=True)
class Need:
    """Something a kernel has or has not; asked of the kernel, owed from a release on."""

    words: str  # what it is, with the commit that brought it
    since: tuple[int, int]
    fact: str  # in Facts: "vm/216" of the capabilities, or "psci.features.0x84000012" of the features
    least: int = 1  # what a capability must answer; a feature must not be negative as an int64

    def met(self, facts: Facts) -> bool:
        if self.fact in facts.capabilities:
            return facts.capabilities[self.fact] >= self.least
        return facts.features.get(self.fact, 1 << 63) < 1 << 31


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of the contract."""

    name: str  # arm64.psci.reset2
    says: str  # one sentence
    scenario: str  # by its name in probe/catalog/
    level: Level
    source: str  # the kernel document or code path it rests on, with the commit
    checks: tuple[Check, ...]
    before: tuple[Check, ...] | None = None  # the same under the old contract; None: as checks
    needs: tuple[Need, ...] = ()

    @property
    def test(self) -> str:
        """Its name in run.jsonl."""
        return f"{PREFIX}.{self.name}"


@dataclass(frozen=True, slots=True)
class Expectation:
    """A claim as it applies to one kernel."""

    claim: Claim
    contract: Contract
    checks: tuple[Check, ...]


def contract(facts: Facts, minimum: tuple[int, int] = (0, 0)) -> Contract:
    """Which contract a kernel is judged by: the new one when it says so or when it must."""
    says_so = any(facts.capabilities.get(f"{fd}/215", 0) > 0 for fd in ("system", "vm"))
    must = release.held_to(facts.release, minimum) >= release.EVENT_DATA
    return Contract.DATA if says_so or must else Contract.FLAGS


def bind(claim: Claim, facts: Facts, minimum: tuple[int, int] = (0, 0)) -> Expectation:
    """What a claim means for a kernel.

    NotApplicable when the kernel lacks what the claim is about and its release need not have it. A kernel
    that must have it is judged all the same: then the claim fails, and says so.
    """
    for need in claim.needs:
        if not need.met(facts) and release.held_to(facts.release, minimum) < need.since:
            since = ".".join(map(str, need.since))
            raise NotApplicable(
                f"Linux {facts.release} has no {need.words}: it came with v{since}; "
                f"a kernel with a backport of it is judged, and --floor {since} demands it"
            )
    which = contract(facts, minimum)
    old = which is Contract.FLAGS and claim.before is not None
    return Expectation(claim, which, claim.before if old and claim.before is not None else claim.checks)
