"""Claims about exits: a scenario runs in a guest, and its exits must hold what the rows say. No I/O."""

from __future__ import annotations

import msgspec

from sysevent.contract.checks import Check
from sysevent.contract.claim import PREFIX
from sysevent.contract.terms import Contract, Need, Terms, version
from sysevent.errors import HarnessError, NotApplicable, StepRefused
from sysevent.model import Facts, Level, Mismatch, Observation, Status, Verdict
from sysevent.scenario.steps import Scenario


class ExitEvidence(msgspec.Struct, frozen=True):
    """What one scenario gave on one kernel, and the terms that this kernel is judged by."""

    facts: Facts
    seen: Observation
    terms: Terms = Terms()

    @property
    def contract(self) -> Contract:
        """The structure that the kernel is judged by."""
        return self.terms.contract(self.facts)


class ExitClaim(msgspec.Struct, frozen=True):
    """What must come back from one scenario."""

    # Without the architecture, which is the scenario's: "psci.off".
    title: str
    # One sentence.
    says: str
    # What the guest and its VMM do.
    asks: Scenario
    # What must come back: every one of these checks holds.
    gives: tuple[Check, ...]
    # The kernel document or code path that it rests on, with the commit.
    source: str
    # What the kernel must have; otherwise the claim does not apply.
    needs: tuple[Need, ...] = ()
    # What must come back from a kernel without capability 215. None: the same.
    before_5_18: tuple[Check, ...] | None = None
    level: Level = Level.ABI
    # The ABI of the VMM that must ask. "": any that the architecture has.
    abi: str = ""

    @property
    def arch(self) -> str:
        """The architecture that it is about."""
        return self.asks.arch

    @property
    def name(self) -> str:
        """The name that a user selects it by: "arm64.psci.off"."""
        return f"{self.asks.arch}.{self.title}"

    def test(self, abi: str = "") -> str:
        """Its name in run.jsonl, which is the same for every ABI: the record has the ABI in a field."""
        return f"{PREFIX}.{self.name}"

    def require_applicable(self, facts: Facts, terms: Terms) -> None:
        """NotApplicable when the kernel lacks what the claim is about, and its release may lack it.

        A kernel that must have it is judged all the same: then the claim fails, and says so.
        """
        release = terms.release(facts)
        for need in self.needs:
            if not need.met(facts) and not need.required(release):
                raise NotApplicable(need.why_not(facts))

    def checks(self, contract: Contract) -> tuple[Check, ...]:
        """What must hold under a contract."""
        return self.gives if contract is Contract.DATA or self.before_5_18 is None else self.before_5_18

    def judge(self, evidence: ExitEvidence) -> Verdict:
        """PASS, FAIL with every mismatch, or DONE: behaviour that is only observed has changed.

        A change of observed behaviour is FAIL under strict terms. HarnessError when the observation is
        another scenario's.
        """
        seen, contract = evidence.seen, evidence.contract
        if seen.scenario != self.asks.name:
            raise HarnessError(
                f"{self.name} is about {self.asks.name}, and was compared with {seen.scenario}"
            )
        wrong = _mismatches(self.checks(contract), seen)
        if not wrong:
            words = self.says
            if contract is Contract.FLAGS and self.before_5_18 is not None:
                words += f" Judged by the old contract: {Contract.FLAGS}."
            return Verdict(self.test(), Status.PASS, self.level, words)
        reason = f"{summary(wrong)}. {self.says}"
        if self.level is Level.OBSERVED and not evidence.terms.strict_observed:
            note = f"Behaviour that nobody promised has changed: {reason}"
            return Verdict(self.test(), Status.DONE, self.level, note, wrong)
        return Verdict(self.test(), Status.FAIL, self.level, reason, wrong)

    def refused(self, facts: Facts, error: StepRefused) -> Verdict | None:
        """FAIL when the kernel refused to set up the scenario for lack of a feature that it must have.

        Call it after require_applicable(): whatever the kernel lacks then is required. None when the refusal
        has another reason, which is the harness's.
        """
        lacking = next((need for need in self.needs if not need.met(facts)), None)
        if lacking is None:
            return None
        since = version(lacking.since or (0, 0))
        told = f"this kernel must have {lacking.words}, as v{since} does, and refuses it: {error}"
        return Verdict(self.test(), Status.FAIL, self.level, told)


def _mismatches(checks: tuple[Check, ...], seen: Observation) -> tuple[Mismatch, ...]:
    """What the checks object to; those behind a failed gate would only repeat it."""
    wrong: list[Mismatch] = []
    for check in checks:
        found = check.mismatches(seen)
        wrong += found
        if found and check.gate:
            break
    return tuple(wrong)


def summary(wrong: tuple[Mismatch, ...]) -> str:
    """The first mismatch in words, and how many follow."""
    first = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return f"{first.what}: got {first.got}, expected {first.expected}{more}"
