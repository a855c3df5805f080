"""The evidence of claims about a kernel's log: what it logged around the scenarios of all other claims."""

from __future__ import annotations

from sysevent.abi import names
from sysevent.arches import ABIS, native
from sysevent.contract import catalogue
from sysevent.contract.log_claim import LogClaim, LogEvidence, ScenarioLog
from sysevent.contract.terms import Terms
from sysevent.engine.asker import Asker
from sysevent.engine.question import Key
from sysevent.errors import HarnessError, InfrastructureError, NotApplicable
from sysevent.model import Status


def gather(claim: LogClaim, abi: str, guest: Asker, terms: Terms) -> LogEvidence:
    """What the kernel of a target logged around the scenarios of all claims that apply to it; asks those not asked yet.

    NotApplicable if neither its log nor its taint bits can show a warning. If a scenario could not be run, the error,
    unless another one made KVM warn.
    """
    facts = guest.facts()
    lost: InfrastructureError | None = None
    for asked in catalogue.load().applicable(claim.arch, abi, facts, terms):
        try:
            guest.observe(asked.asks, asked.abi or abi)
        except InfrastructureError as error:
            lost = lost or error
        except (NotApplicable, HarnessError):
            # The claim itself is judged by it. What the kernel logged is there all the same.
            pass
    logs = [
        (_owner(key), ScenarioLog(key.scenario, key.abi, log))
        for key, log in guest.restarts.kernel_logs.entries
    ]
    found = LogEvidence(
        facts,
        tuple(log for owner, log in logs if owner == abi),
        shared=not guest.spec.booted,
        others=tuple(log for owner, log in logs if owner != abi),
        terms=terms,
    )
    claim.require_applicable(found)
    if lost is not None and claim.judge(found).status is not Status.FAIL:
        raise lost
    return found


def _owner(key: Key) -> str:
    """The ABI whose claim a log counts for: the kernel's own, if claims are not judged for that of the VMM."""
    return key.abi if ABIS[key.abi].can_use_kvm else native(ABIS[key.abi].arch).name


def unreadable(guest: Asker) -> str:
    """Why the log of a target's kernel could not be read; "" if it could."""
    for _, log in guest.restarts.kernel_logs.entries:
        if log.log_errno:
            return f"/dev/kmsg: errno {names.errno(log.log_errno)}"
    return ""
