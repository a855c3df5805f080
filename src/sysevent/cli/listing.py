"""sysevent list: the claims, a line each."""

from __future__ import annotations

import argparse

from sysevent import nearest
from sysevent.arches import architecture
from sysevent.bisect import selection
from sysevent.cli import show
from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.log_claim import LogClaim
from sysevent.errors import UsageError


def run(args: argparse.Namespace) -> int:
    """Print the name and the sentence of each claim that matches; UsageError if none does. Return 0."""
    archs = {architecture(name).name for name in args.arch}
    found = [
        claim
        for claim in selection.select([args.glob], catalogue.load())
        if not archs or not isinstance(claim, ExitClaim | LogClaim) or claim.arch in archs
    ]
    if not found:
        hint = nearest.hint(args.glob, [claim.name for claim in catalogue.load()], tails=True)
        raise UsageError(f"no claim matches {args.glob!r}{hint}; `sysevent list` prints all of them")
    width = max(len(claim.name) for claim in found)
    show("\n".join(f"{claim.name:<{width}}  {claim.says}" for claim in found))
    return 0
