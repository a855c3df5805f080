"""Every claim there is, by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from sysevent.contract import arm64, arm64_callers, arm64_states, riscv64, x86_64, x86_64_states, xen
from sysevent.contract.claim import Claim
from sysevent.errors import HarnessError

CLAIMS: dict[str, Claim] = {
    claim.name: claim
    for rows in (arm64, arm64_callers, arm64_states, riscv64, x86_64, x86_64_states, xen)
    for claim in rows.CLAIMS
}


def claim(name: str) -> Claim:
    """The claim called name; HarnessError when a test expects what no row says."""
    try:
        return CLAIMS[name]
    except KeyError:
        raise HarnessError(f"no claim is called {name!r}; they stand in src/sysevent/contract/") from None


def select(patterns: Iterable[str]) -> list[Claim]:
    """The claims whose names match a glob, in the order of the tables; HarnessError for a glob without any."""
    for pattern in patterns:
        if not fnmatch.filter(CLAIMS, pattern):
            raise HarnessError(f"no claim matches {pattern!r}; they stand in src/sysevent/contract/")
    wanted = {name for pattern in patterns for name in fnmatch.filter(CLAIMS, pattern)}
    return [claim for name, claim in CLAIMS.items() if name in wanted]
