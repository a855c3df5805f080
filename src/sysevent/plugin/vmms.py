"""Claims about real VMMs: they are asked only if --vmm names the VMM that they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sysevent.arches import native
from sysevent.checkout import SUITES
from sysevent.contract.claim import Claim, of_test
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.vmm_claims import family, subject
from sysevent.engine.asker import Asker
from sysevent.errors import SyseventError, copy_of
from sysevent.model import Observation
from sysevent.plugin.case import Case
from sysevent.plugin.run import Run
from sysevent.report import records
from sysevent.targets.spec import TargetSpec

FOLDER = SUITES / "vmms"


def selected(claim: ExitClaim, spec: TargetSpec, abi: str, config: pytest.Config) -> bool:
    """Whether a claim is asked of a target in this run, for a VMM of this ABI.

    A real VMM has no ABI but the kernel's own, and a kernel that runs already has no kit beside it.
    """
    if not claim.asks.runs_programs:
        return True
    if not spec.booted:
        return False
    vmm = config.getoption("vmm")
    return bool(vmm and subject(claim)[0] == family(vmm) and abi == native(claim.arch).name)


def ignored(path: Path, config: pytest.Config) -> bool:
    """Whether the files of a folder are not even read: those of suites/vmms without --vmm, unless they were named."""
    named = (Path(word.partition("::")[0]).resolve() for word in config.args)
    return (
        path == FOLDER
        and not config.getoption("vmm")
        and not any(one.is_relative_to(FOLDER) for one in named)
    )


def require(guest: Asker) -> None:
    """Raise why the guests of a target lack the VMM of --vmm; nothing if they have it."""
    error: SyseventError | None = getattr(guest.restarts.opener, "vmm_error", None)
    if error is not None:
        raise copy_of(error)


def needed(item: pytest.Item, config: pytest.Config) -> bool:
    """Whether a test is left out because all its claims are about real VMMs, and --vmm names none."""
    claims = of_test(getattr(item, "function", None)) or ()
    return bool(claims) and not config.getoption("vmm") and all(_runs_programs(claim) for claim in claims)


def _runs_programs(claim: Claim[Any]) -> bool:
    return isinstance(claim, ExitClaim) and claim.asks.runs_programs


def record(config: pytest.Config, case: Case, seen: Observation | None, run: Run) -> dict[str, str]:
    """Append what the VMM of a claim showed to run.jsonl; returns the dimension of the claim's verdict.

    seen: what the verdict rests on, which can be read, since it was judged. {} for any other claim.
    """
    if not (isinstance(case.claim, ExitClaim) and case.claim.asks.runs_programs):
        return {}
    vmm = str(config.getoption("vmm"))
    if seen is not None:
        # Here: only a run with --vmm reads what programs print.
        from sysevent.contract.outcome_checks import outcome_of
        from sysevent.report.recorded_outcome import Seen

        run.log.write(
            records.Outcome(
                target=case.target,
                kernel=case.kernel,
                test=case.claim.test(),
                vmm=vmm,
                seen=Seen.of(outcome_of(case.claim, seen)),
            )
        )
    return {"vmm": vmm}
