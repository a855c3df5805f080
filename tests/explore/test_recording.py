"""The verdicts of an exploration."""

import msgspec
import pytest
from conformance.model_kernels import FACTS

from sysevent.cli.explore import _exit_code
from sysevent.conformance import arm64_rules as rule
from sysevent.conformance.arm64 import Arm64
from sysevent.conformance.arm64_rules import GIC_RULES
from sysevent.conformance.contract import Configuration
from sysevent.conformance.judge import Disagreement
from sysevent.conformance.machine import Action
from sysevent.conformance.play import Sequence
from sysevent.conformance.scenario import scenario
from sysevent.conformance.simulation import observation
from sysevent.explore import recording
from sysevent.explore.session import Finding, Report
from sysevent.model import Level, Mismatch, Status

FACTS_6_12 = msgspec.structs.replace(
    FACTS["arm64"], features={"psci.default": 0x1_0001, "smc.version": 0x1_0001, "smccc.filter": 0}
)
CONTRACT = Arm64(FACTS_6_12)
SEQUENCE = Sequence("arm64", Configuration(1), (Action("call", 0, (0x8400_0009,)),))


def verdicts(report, *, replayed=False):
    """Return the verdicts by rule."""
    found = recording.verdicts(CONTRACT, FACTS_6_12, "arm64-tcg", report, replayed=replayed)
    return {one.test.partition(".explore.")[2]: one for one in found}


def finding(wrong=Mismatch("0 call 0: data[0]", "0x0", "0x5", (40, 48))):  # noqa: B008 - it is frozen
    seen = observation(CONTRACT, SEQUENCE)
    return Finding(
        SEQUENCE, scenario(CONTRACT, SEQUENCE), Disagreement(rule.RESET, 0, (wrong,)), seen, confirmed=True
    )


def test_each_rule_has_a_verdict():
    report = Report(sequences=3, unrepeated={rule.OFF: "once"}, findings=[finding()])
    report.rules.update([rule.VERSION, rule.VERSION])
    found = verdicts(report)
    assert found["psci.version"].status is Status.PASS
    assert "2 of 3 sequences" in found["psci.version"].reason
    assert found["psci.system_off"].status is Status.MISS
    assert found["psci.features"].status is Status.SKIP
    assert "--budget" in found["psci.features"].reason
    assert found["psci.system_off2"].reason == "this kernel gives no occasion for it"
    assert found["kernel.log"].status is Status.PASS
    assert len(found) == len(CONTRACT.rules) + 1


def test_a_finding_is_a_failure_with_its_bytes():
    failed = verdicts(Report(sequences=1, findings=[finding()]))["psci.system_reset"]
    assert failed.status is Status.FAIL
    assert failed.confirmed == 2
    assert failed.got == {"0 call 0: data[0]": "0x5"}
    assert failed.expected == {"0 call 0: data[0]": "0x0"}
    assert list(failed.raw) == ["0 call 0"]
    assert failed.written == {"0 call 0": ((32, 168),)}
    assert "1 vCPUs; 0 vCPU 0 call(0x84000009)" in failed.reason


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (Mismatch("0 call 0: exit_reason", "KVM_RUN returns by itself", "no exit"), Status.FAIL),
        (Mismatch("0 call 0: x0", "0x0", "0x5"), Status.DONE),
        (Mismatch("0 set_state", "EINVAL", "0"), Status.DONE),
    ],
)
def test_what_is_not_promised_is_no_failure(wrong, status):
    found = verdicts(Report(sequences=1, findings=[finding(wrong)]))["psci.system_reset"]
    assert found.status is status
    assert (found.level is Level.ABI) is (status is Status.FAIL)
    assert found.reason.startswith("Behaviour that is not promised") is (status is Status.DONE)
    assert _exit_code([found]) == 1


def test_a_replay_says_nothing_about_other_rules():
    assert list(verdicts(Report(sequences=1), replayed=True)) == [
        "psci.system_off2",
        "psci.system_off2.invalid",
        *(rule.name for rule in GIC_RULES),
        "kernel.log",
    ]


def test_nothing_asked_is_no_success():
    assert verdicts(Report())["kernel.log"].status is Status.MISS
