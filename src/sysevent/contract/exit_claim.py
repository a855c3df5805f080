"""Claims about exits: a guest runs a scenario, and every check of the claim must hold for what it gave. No I/O."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sysevent.contract.checks import Check
from sysevent.contract.claim import PREFIX
from sysevent.contract.errata import weigh
from sysevent.contract.leaks import leaks
from sysevent.contract.terms import EventDefinition, Need, Terms, version
from sysevent.errors import HarnessError, NotApplicable, StepRefused
from sysevent.model import Facts, Level, Mismatch, Observation, Status, Verdict
from sysevent.scenario.steps import Scenario


class ExitEvidence(msgspec.Struct, frozen=True):
    """What one scenario gave on one kernel, and the terms that this kernel is judged by."""

    facts: Facts
    seen: Observation
    terms: Terms = Terms()

    @property
    def definition(self) -> EventDefinition:
        """The definition of system_event that the kernel is judged by."""
        return self.terms.definition(self.facts)


class ExitClaim(msgspec.Struct, frozen=True):
    """What a scenario must give on every kernel that the claim applies to."""

    # The name without the architecture, which is the scenario's: "psci.off".
    title: str
    # What must hold, in one sentence that ends with a full stop.
    says: str
    # What the guest and its VMM do.
    asks: Scenario
    # What must come back: each of these checks holds.
    gives: tuple[Check, ...]
    # The kernel document or code path that promises it, with the commit.
    source: str
    # What the kernel must have; without it the claim does not apply.
    needs: tuple[Need, ...] = ()
    # What must come back from a kernel judged by EventDefinition.FLAGS. None: the same as from others.
    before_5_18: tuple[Check, ...] | None = None
    # ABI: the kernel's documentation promises it. OBSERVED: a change is DONE, not FAIL.
    level: Level = Level.ABI
    # The only ABI of the VMM that the claim is about. "": every ABI of the architecture.
    abi: str = ""

    @property
    def arch(self) -> str:
        """The architecture that the claim is about."""
        return self.asks.arch

    @property
    def name(self) -> str:
        """The name that a user selects the claim by: "arm64.psci.off"."""
        return f"{self.asks.arch}.{self.title}"

    @property
    def dimensions(self) -> dict[str, str]:
        """How its virtual machine differs from the default, by dimension: {"irqchip": "gicv3"}."""
        return self.asks.configuration.dimensions

    def test(self, abi: str = "") -> str:
        """Return its name in run.jsonl. It is the same for every ABI, which is a field of the record."""
        return f"{PREFIX}.{self.name}"

    def require_applicable(self, facts: Facts, terms: Terms) -> None:
        """Raise NotApplicable if the kernel does not meet a need, and its release does not have to.

        A kernel that must have the feature is judged all the same, and fails.
        """
        release = terms.release(facts)
        for need in self.needs:
            if not need.met(facts) and not need.required(release):
                raise NotApplicable(need.why_not(facts))

    def applies(self, facts: Facts, terms: Terms) -> bool:
        """Return whether require_applicable() raises nothing."""
        try:
            self.require_applicable(facts, terms)
        except NotApplicable:
            return False
        return True

    def checks(self, definition: EventDefinition) -> tuple[Check, ...]:
        """Return the checks for kernels with this definition of system_event."""
        new = definition is EventDefinition.DATA
        return self.gives if new or self.before_5_18 is None else self.before_5_18

    def judge(self, evidence: ExitEvidence) -> Verdict:
        """Return PASS; FAIL with every mismatch; or DONE with them, if changed behaviour is only observed.

        Under strict terms changed observed behaviour is FAIL, and a leak of a kernel address always is. A failure that
        an erratum explains is DONE (contract/errata.py). Raises HarnessError if the observation is that of another
        scenario.
        """
        found = self._judge(evidence)
        return weigh(found, self.name, evidence.seen.abi, evidence.facts, evidence.terms)

    def _judge(self, evidence: ExitEvidence) -> Verdict:
        seen, definition = evidence.seen, evidence.definition
        if seen.scenario != self.asks.name:
            raise HarnessError(
                f"{self.name} is about {self.asks.name}, and was compared with {seen.scenario}"
            )
        leaked = leaks(self.asks, seen)
        wrong = leaked + _mismatches(self.checks(definition), seen)
        if not wrong:
            words = self.says
            if definition is EventDefinition.FLAGS and self.before_5_18 is not None:
                words += f" Judged by the old definition: {EventDefinition.FLAGS}."
            return Verdict(self.test(), Status.PASS, self.level, words)
        reason = f"{summary(wrong)}. {self.says}"
        if self.level is Level.OBSERVED and not evidence.terms.strict_observed and not leaked:
            note = f"Behaviour that is not promised has changed: {reason}"
            return Verdict(self.test(), Status.DONE, self.level, note, wrong)
        return Verdict(self.test(), Status.FAIL, self.level, reason, wrong)

    def evidence(
        self, facts: Facts, terms: Terms, observe: Callable[[], Observation]
    ) -> ExitEvidence | Verdict:
        """Return what a kernel gave; or FAIL if it refused a step for lack of a feature that it must have.

        observe: runs the scenario on that kernel; it is not called if the claim does not apply. Raises NotApplicable
        then, StepRefused if the harness is to blame for a refused step, and what observe raises.
        """
        self.require_applicable(facts, terms)
        try:
            return ExitEvidence(facts, observe(), terms)
        except StepRefused as error:
            failed = self.refused(facts, error)
            if failed is None:
                raise
            return failed

    def refused(self, facts: Facts, error: StepRefused) -> Verdict | None:
        """Return FAIL if set-up of the scenario failed for lack of a required feature, else None.

        error: why it failed. Call require_applicable() first: a feature that the kernel still lacks then is required.
        With None the harness is to blame.
        """
        lacking = next((need for need in self.needs if not need.met(facts)), None)
        if lacking is None:
            return None
        since = version(lacking.since or (0, 0))
        reason = f"this kernel must have {lacking.words}, as v{since} does, but set-up failed: {error}"
        return Verdict(self.test(), Status.FAIL, self.level, reason)


def _mismatches(checks: tuple[Check, ...], seen: Observation) -> tuple[Mismatch, ...]:
    """Return the mismatches of the checks, up to those of the first gate that does not hold."""
    wrong: list[Mismatch] = []
    for check in checks:
        found = check.mismatches(seen)
        wrong += found
        if found and check.gate:
            break
    return tuple(wrong)


def summary(wrong: tuple[Mismatch, ...]) -> str:
    """Return the first mismatch in words, and the number of the others. There must be one."""
    first = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return f"{first.what}: got {first.got}, expected {first.expected}{more}"
