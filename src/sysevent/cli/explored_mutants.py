"""What random sequences find on a mutant, for `sysevent sensitivity --explore`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from sysevent.checkout import GUESTS, PACKAGE
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.scenario import scenario
from sysevent.digests import listing
from sysevent.errors import HarnessError, InfrastructureError, NotApplicable
from sysevent.explore import corpus
from sysevent.explore.kernels import Boots, guests
from sysevent.explore.session import Limits, Report, Session
from sysevent.explore.shrinking import ScenarioOf
from sysevent.model import Incident, Status
from sysevent.sensitivity.beside import Original
from sysevent.sensitivity.verdicts import Verdicts
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec
from sysevent.text import one_line

SUITE = "explore"
"""How the table of who catches what names it."""
# The same sequences on every mutant.
_SEED = 1
# Seconds for shrinking: the sequence is not reported.
_SHRINKING = 1.0
# What decides which sequences are asked, and how they are judged.
_PARTS = ("conformance", "explore", "scenario")


def real_guests(target: TargetSpec, logs: Path, settings: Settings) -> Boots:
    """Return what boots guests of a target, each from the beginning: a mutant is booted once or twice."""
    own = msgspec.structs.replace(settings, snapshots=False)
    return guests(target, own, logs, _hush, _ignore)


class ExploreAsker:
    """Asks kernels of one target random sequences, until one disagrees with the model in two guests."""

    def __init__(
        self,
        target: TargetSpec,
        settings: Settings,
        seconds: float,
        boots: Callable[[TargetSpec, Path, Settings], Boots] = real_guests,
        scenario_of: ScenarioOf = scenario,
    ) -> None:
        """seconds: for asking one kernel, without booting it. scenario_of: makes scenarios."""
        self._target, self._settings, self._seconds = target, settings, seconds
        self._boots, self._scenario_of = boots, scenario_of

    def __call__(self, image: Path, logs: Path, budget: float, original: Original | None) -> Verdicts:
        """Ask the kernel in a boot image; see Asks in sensitivity/beside.py.

        The sequences of earlier findings are not asked: what is found must not depend on the order of the mutants.
        """
        begin = time.monotonic()
        row = msgspec.structs.replace(self._target, name=f"{self._target.name}-explored", kernel=str(image))
        limits = Limits(min(self._seconds, budget), findings=1)
        boots = self._boots(row, logs, self._settings)
        session = Session(boots, limits, _SEED, _hush, scenario_of=self._scenario_of, shrinking=_SHRINKING)
        statuses: dict[str, Status]
        obstacle = ""
        try:
            facts = session.open()
            of_arch = CONTRACTS[row.arch]
            if why := of_arch.fits(facts):
                raise NotApplicable(f"Linux {facts.release}: {why}")
            first = (one for one in corpus.read(corpus.COMMON) if one.arch == row.arch)
            report = session.run(of_arch(facts), first)
            if report.interrupted:
                raise KeyboardInterrupt
            statuses = _statuses(report)
        except (InfrastructureError, HarnessError, NotApplicable) as error:
            statuses, obstacle = {f"{SUITE}.guest": Status.MISS}, one_line(error)
        finally:
            session.close()
        return Verdicts(statuses, obstacle=obstacle, seconds=round(time.monotonic() - begin, 2))


def _statuses(report: Report) -> dict[str, Status]:
    """Return a status for each rule that was reached, and whether guests were lost."""
    found = {f"{SUITE}.{rule.name}": Status.PASS for rule in report.rules}
    found |= {f"{SUITE}.{rule.name}": Status.MISS for rule in report.unrepeated}
    found |= {f"{SUITE}.{one.disagreement.rule.name}": Status.FAIL for one in report.findings}
    if report.losses:
        found[f"{SUITE}.guest"] = Status.MISS
    return found


def exploring_key(seconds: float) -> str:
    """Return what changes with the sequences, the model and the VMM, and with the time for them."""
    total = hashlib.sha256(f"{seconds}".encode())
    for root in (*(PACKAGE / part for part in _PARTS), GUESTS):
        total.update(listing(root, lambda name: "__pycache__" not in name.parts))
    return total.hexdigest()


def _hush(_line: str) -> None:
    """Discard the progress: there are hundreds of mutants."""


def _ignore(_incident: Incident) -> None:
    """Discard an incident: a mutant may kill its guest."""
