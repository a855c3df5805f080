"""An event that no guest asked for: the one failure of controls that says something of the kernel."""

from __future__ import annotations

from typing import Any

import msgspec

from sysevent.contract.claim import Claim
from sysevent.contract.exit_claim import ExitClaim, ExitEvidence
from sysevent.engine.asker import Asker
from sysevent.errors import EventUnasked
from sysevent.model import Facts, Observation, Verdict
from sysevent.plugin.case import Case
from sysevent.scenario.control import CONTROLS, ENTRIES

# Guests whose controls ended with the same event, until nothing more is asked: engine/controls.py.
_SEEN = 2


def judge(claim: Claim[Any], case: Case, error: EventUnasked, guest: Asker | None) -> Verdict:
    """Judge what controls gave, and fill the case, for the claim about entries; raise error for any other claim."""
    seen = error.seen
    if not (isinstance(claim, ExitClaim) and isinstance(seen, Observation)):
        raise error
    arch = claim.asks.arch
    if claim.asks is not ENTRIES[arch] or seen.scenario != CONTROLS[arch].scenario.name:
        raise error
    kernel = guest.kernel if guest else None
    case.kernel = kernel.release if kernel else ""
    seen = msgspec.structs.replace(seen, scenario=claim.asks.name)
    case.evidence = ExitEvidence(Facts(arch, case.kernel, {}, {}), seen)
    case.verdict = verdict = claim.judge(case.evidence)
    case.confirmed = _SEEN
    return verdict
