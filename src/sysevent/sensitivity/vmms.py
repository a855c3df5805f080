"""What a user of a real VMM gets of each event on a mutant, and whether the original kernel gives the same (`--vmm`).

The claims of suites/vmms say what is asked. Their verdicts do not count here: some report a change on the original
kernel. What counts is that something differs from what the original gave: in two guests, after which the original must
give once more what it gave. A difference in one guest only is no result.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.contract import vmm_claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.outcome_checks import outcome_of
from sysevent.contract.terms import Terms
from sysevent.errors import GuestLost, HarnessError, InfrastructureError, NotApplicable, UsageError
from sysevent.model import Facts, Observation, Status
from sysevent.report.recorded_outcome import Seen
from sysevent.report.vmm_table import words
from sysevent.scenario.steps import Program, Scenario
from sysevent.sensitivity.beside import Original
from sysevent.sensitivity.verdicts import Verdicts
from sysevent.text import one_line

# Milliseconds for one step of a scenario. The longest, the start of the VMM, takes a few seconds.
_STEP_MS = 60_000
# Characters of what was got that are kept.
_KEPT = 300
# Events of a mutant that differ, after which no more are asked: one is enough, and each costs seconds in three guests.
_ENOUGH = 3
# Of an outcome's data, what vmm_table.words() has already.
_IN_WORDS = ("action", "arg1")


class Guest(Protocol):
    """A guest with the VMM in it; it boots for the first question."""

    def observe(self, scenario: Scenario) -> Observation:
        """Return what a scenario gives. InfrastructureError or HarnessError if it gives nothing."""

    def facts(self) -> Facts:
        """Return what the kernel reports about itself. Raises what observe() raises."""

    def close(self) -> None:
        """End the guest."""


class Got(msgspec.Struct, frozen=True):
    """What a user got of one event."""

    # PASS: `words` says it; SKIP: this VMM cannot be asked; MISS: it is not known.
    status: Status
    words: str
    # False: the VMM has not started its guest.
    ran: bool = True


class VmmAsker:
    """Asks kernels what a user of one VMM gets. See Asks in beside.py."""

    def __init__(
        self, arch: str, vmm: str, guest: Callable[[Path, Path, bool], Guest], claims: Sequence[ExitClaim]
    ) -> None:
        """guest: makes one that was not used before, of a boot image, with a directory for its logs.

        Its third argument is True if it must pass a control for its answers to count. vmm: as --vmm names it. claims:
        all that there are. UsageError if none of them is about this VMM and architecture.
        """
        self.name, self._guest = vmm.partition("=")[0], guest
        family = vmm_claims.family(vmm)
        self._claims = {
            f"{self.name}.{event}": claim
            for claim in claims
            for about, event in (vmm_claims.subject(claim),)
            if claim.arch == arch and about == family
        }
        if not self._claims:
            raise UsageError(f"--vmm {vmm}: there are no claims about it on {arch}")

    @property
    def asked(self) -> dict[str, Scenario]:
        """What is asked, by name: for beside.asking_key()."""
        return {name: claim.asks for name, claim in self._claims.items()}

    def __call__(self, image: Path, logs: Path, budget: float, original: Original | None) -> Verdicts:
        """Return FAIL for each event of which a user gets something else than on the original kernel, PASS for others.

        original: None: this is the original kernel. What it does not give twice in the same words is MISS there, and
        is not asked of mutants. budget: seconds for each guest, after which no further event is asked: MISS.
        """
        begin = time.monotonic()
        found = self._of_mutant(image, logs, budget, original) if original else self._of_original(image, logs)
        return Verdicts(
            {name: one.status for name, one in found.items()},
            seconds=round(time.monotonic() - begin, 2),
            shown={name: one.words for name, one in found.items()},
        )

    def _of_original(self, image: Path, logs: Path) -> dict[str, Got]:
        first = self._look(None, image, logs / "1", math.inf, controlled=True)
        found = dict(first)
        usable = [name for name, one in first.items() if one.status is Status.PASS]
        second = self._look(usable, image, logs / "2", math.inf, controlled=True)
        for name, again in second.items():
            if not first[name].ran or again != first[name]:
                found[name] = Got(Status.MISS, f"{first[name].words}, then {again.words}")
        return found

    def _of_mutant(self, image: Path, logs: Path, budget: float, original: Original) -> dict[str, Got]:
        wanted = original.verdicts.shown
        usable = [name for name, status in original.verdicts.statuses.items() if status is Status.PASS]
        found = self._look(usable, image, logs / "1", budget, wanted=wanted)
        if not (differing := _differing(found, wanted)):
            return found
        again = self._look(differing, image, logs / "2", budget)
        twice = _differing(again, wanted)
        # A machine that has much else to do is as slow for the original.
        control = self._look(twice, original.image, logs / "original", budget) if twice else {}
        for name in differing:
            same = name in control and control[name].words == wanted[name]
            status = Status.FAIL if name in twice and same else Status.MISS
            found[name] = Got(status, found[name].words)
        return found

    def _look(
        self,
        names: Sequence[str] | None,
        image: Path,
        logs: Path,
        budget: float,
        *,
        wanted: Mapping[str, str] | None = None,
        controlled: bool = False,
    ) -> dict[str, Got]:
        """Ask one guest for these events; None: for all whose claims apply to its kernel.

        wanted: what the original gives: enough events that differ end it. None: all are asked.
        """
        end = time.monotonic() + budget
        with contextlib.closing(self._guest(image, logs, controlled)) as guest:
            found: dict[str, Got] = {}
            if names is None:
                facts = guest.facts()
                names = [name for name, claim in self._claims.items() if claim.applies(facts, Terms())]
            for name in names:
                if wanted is not None and len(_differing(found, wanted)) >= _ENOUGH:
                    break
                if time.monotonic() >= end:
                    found[name] = Got(Status.MISS, "it was not asked: the time for this kernel is over")
                else:
                    found[name] = got(self._claims[name], guest)
            return found


def got(claim: ExitClaim, guest: Guest) -> Got:
    """Return what a user gets of the event of a claim about a real VMM, in one line."""
    try:
        seen = guest.observe(_bounded(claim.asks))
    except (InfrastructureError, HarnessError) as error:
        return Got(Status.MISS, one_line(error)[:_KEPT])
    try:
        outcome = outcome_of(claim, seen)
    except NotApplicable as error:
        return Got(Status.SKIP, one_line(error)[:_KEPT])
    except GuestLost as error:
        # The guest that runs the VMM has answered: a user gets a VMM that does not run its own guest.
        return Got(Status.PASS, one_line(error)[:_KEPT], ran=False)
    except (InfrastructureError, HarnessError) as error:
        return Got(Status.MISS, one_line(error)[:_KEPT])
    shown = Seen.of(outcome)
    more = [f"{name}={value}" for name, value in sorted(shown.data.items()) if name not in _IN_WORDS]
    return Got(Status.PASS, "; ".join([words(shown), *more])[:_KEPT])


def _differing(found: Mapping[str, Got], wanted: Mapping[str, str]) -> list[str]:
    return [name for name, one in found.items() if one.status is Status.PASS and one.words != wanted[name]]


def _bounded(scenario: Scenario) -> Scenario:
    """The scenario with at most _STEP_MS for each step: a mutant may stop its VMM for as long as it may take."""
    steps = (
        msgspec.structs.replace(step, milliseconds=min(step.milliseconds, _STEP_MS))
        if isinstance(step, Program)
        else step
        for step in scenario.steps
    )
    return msgspec.structs.replace(scenario, steps=tuple(steps))
