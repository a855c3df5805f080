"""Every claim there is, by name."""

from __future__ import annotations

from sysevent.contract import arm64, riscv64, x86_64
from sysevent.contract.claim import Claim
from sysevent.errors import HarnessError

CLAIMS: dict[str, Claim] = {
    claim.name: claim for rows in (arm64.CLAIMS, riscv64.CLAIMS, x86_64.CLAIMS) for claim in rows
}


def claim(name: str) -> Claim:
    """The claim called name; HarnessError when a test expects what no row says."""
    try:
        return CLAIMS[name]
    except KeyError:
        raise HarnessError(f"no claim is called {name!r}; they stand in src/sysevent/contract/") from None
