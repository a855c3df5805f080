"""Which claims are about which real VMM. No I/O."""

from __future__ import annotations

import re

from sysevent.contract.exit_claim import ExitClaim

# In the titles of such claims: "vmm.qemu.psci.off".
_TITLE = re.compile(r"vmm\.([a-z0-9_]+)\.(.+)")


def family(vmm: str) -> str:
    """Return which VMM the value of --vmm names, whatever release: "qemu" of qemu-10, "crosvm" of crosvm=PATH."""
    return re.split(r"[-=]\d|=", vmm, maxsplit=1)[0].replace("-", "_")


def subject(claim: ExitClaim) -> tuple[str, str]:
    """Return the family of VMMs that a claim is about, and the event: ("qemu", "psci.off"). ("", "") for others."""
    found = _TITLE.fullmatch(claim.title) if claim.asks.runs_programs else None
    return (found[1], found[2]) if found else ("", "")
