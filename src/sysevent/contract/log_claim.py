"""Claims about a kernel's log: that no scenario of the other claims makes KVM warn. No I/O."""

from __future__ import annotations

import msgspec

from sysevent.abi import names
from sysevent.contract.claim import PREFIX
from sysevent.contract.errata import weigh
from sysevent.contract.exit_claim import summary
from sysevent.contract.terms import Terms
from sysevent.decode.kernel_log import Splat, splats
from sysevent.errors import NotApplicable
from sysevent.model import Facts, KernelLog, Level, Mismatch, Status, Verdict

# Documentation/admin-guide/tainted-kernels.rst: the kernel has died (D, bit 7), has warned (W, 9).
_DIED = 1 << 7
_WARNED = 1 << 9


class ScenarioLog(msgspec.Struct, frozen=True):
    """What a kernel logged around one scenario."""

    # Names of the scenario, and of the ABI of the VMM.
    scenario: str
    abi: str
    log: KernelLog


class LogEvidence(msgspec.Struct, frozen=True):
    """What a kernel logged around every scenario of the claims that apply to it."""

    facts: Facts
    logs: tuple[ScenarioLog, ...]
    # True: other programs run on that machine, so that lines from before a scenario are not due to the suite.
    shared: bool = False
    # The logs of VMMs of other ABIs on the same target, which claims of their own are about.
    others: tuple[ScenarioLog, ...] = ()
    terms: Terms = Terms()

    def splats(self) -> list[tuple[ScenarioLog, Splat]]:
        """The splats of all logs, each with the scenario around which it was logged."""
        return self._splats(self.logs)

    def elsewhere(self) -> list[tuple[ScenarioLog, Splat]]:
        """The splats of VMMs of other ABIs with KVM in their traces: one that is given once is in one log only."""
        return [(one, splat) for one, splat in self._splats(self.others) if splat.in_kvm and not splat.stall]

    def _splats(self, logs: tuple[ScenarioLog, ...]) -> list[tuple[ScenarioLog, Splat]]:
        return [
            (one, splat)
            for one in logs
            for lines in (() if self.shared else one.log.before, one.log.lines)
            for splat in splats(lines)
        ]


class LogClaim(msgspec.Struct, frozen=True):
    """What a kernel must not log while the scenarios of the other claims run."""

    # The name without the architecture: "kernel.log".
    title: str
    arch: str
    # What must hold, in one sentence that ends with a full stop.
    says: str
    # The kernel document that promises it.
    source: str
    level: Level = Level.ABI

    @property
    def name(self) -> str:
        """The name that a user selects the claim by: "arm64.kernel.log"."""
        return f"{self.arch}.{self.title}"

    def test(self, abi: str = "") -> str:
        """Return its name in run.jsonl. It is the same for every ABI, which is a field of the record."""
        return f"{PREFIX}.{self.name}"

    def require_applicable(self, evidence: LogEvidence) -> None:
        """Raise NotApplicable if neither the log nor the taint bits can show a warning."""
        logs = [one.log for one in evidence.logs]
        if not logs or any(not log.log_errno for log in logs):
            return
        why = f"/dev/kmsg cannot be read there (errno {names.errno(logs[0].log_errno)})"
        needs = "required: CONFIG_PRINTK=y, and root, or kernel.dmesg_restrict=0"
        if all(log.taint is None for log in logs):
            raise NotApplicable(f"{why}, nor can /proc/sys/kernel/tainted; {needs}")
        if all(log.taint is not None and log.taint[0] & _WARNED for log in logs):
            raise NotApplicable(
                f"{why}, and the kernel is tainted by an earlier warning, so none shows; {needs}"
            )

    def judge(self, evidence: LogEvidence) -> Verdict:
        """Return FAIL for each splat with KVM in its trace, DONE for any other sign of a defect, or PASS.

        Splats that an erratum explains are DONE, too (contract/errata.py).
        """
        asked = {one.scenario for one in evidence.logs}
        return weigh(self._judge(evidence), self.name, "", evidence.facts, evidence.terms, asked)

    def _judge(self, evidence: LogEvidence) -> Verdict:
        wrong, notes = [], []
        for one, splat in evidence.splats():
            if splat.in_kvm and not splat.stall:
                wrong.append(Mismatch(_where(one), "no warning with KVM in its trace", splat.headline))
            else:
                notes.append(f"Not known to be KVM's: {_where(one)}: {splat.headline}")
        if wrong:
            reason = f"{summary(tuple(wrong))}. {self.says}"
            return Verdict(self.test(), Status.FAIL, self.level, reason, tuple(wrong))
        notes = notes or [f"Not known to be KVM's: {doubt}" for doubt in _doubts(evidence)]
        notes = notes or [
            f"Not known for this ABI, as KVM can warn once only: {_where(one)}: {splat.headline}"
            for one, splat in evidence.elsewhere()
        ]
        if notes:
            more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
            return Verdict(self.test(), Status.DONE, self.level, f"{notes[0]}{more}.")
        unread = any(one.log.log_errno for one in evidence.logs)
        words = " Judged by the taint bits: the log cannot be read there." if unread else ""
        return Verdict(self.test(), Status.PASS, self.level, self.says + words)


def _where(one: ScenarioLog) -> str:
    return f"while {one.scenario} ran ({one.abi})"


def _doubts(evidence: LogEvidence) -> list[str]:
    """Return what may be a warning whose lines are not there: new taint bits, and messages that were lost."""
    found = []
    for one in evidence.logs:
        log, new = one.log, one.log.new_taint & (_DIED | _WARNED)
        if new:
            found.append(
                f"{_where(one)}: the kernel became tainted ({new:#x}), and its log does not show why"
            )
        elif (log.lost or log.cut) and (log.taint is None or log.taint[0] & _WARNED):
            found.append(f"{_where(one)}: some messages of the kernel are missing")
    return found
