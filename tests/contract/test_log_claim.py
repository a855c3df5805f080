"""The claim about the kernel's log: FAIL for KVM's splats, DONE for other signs of a defect, PASS otherwise."""

import pytest

from sysevent.contract import catalogue
from sysevent.contract.log_claim import LogClaim, LogEvidence, ScenarioLog
from sysevent.errors import NotApplicable
from sysevent.model import Facts, KernelIdentity, KernelLog, Level, Proof, Status

CLAIM = catalogue.load().claim("arm64.kernel.log")
FACTS = Facts("arm64", "6.12.1", {}, {})
KVM = (
    "[ cut here ]",
    "WARNING: CPU: 0 PID: 7 at arch/arm64/kvm/psci.c:183 kvm_psci_call+0x1/0x2",
    "---[ end trace",
)
OTHER = ("[ cut here ]", "WARNING: CPU: 0 PID: 7 at mm/slub.c:1 kfree+0x1/0x2", "---[ end trace")
STALL = ("rcu: INFO: rcu_sched self-detected stall on CPU", " kvm_vcpu_ioctl+0x1/0x2")
WARNED, DIED = 1 << 9, 1 << 7


def judge(*logs, shared=False):
    named = tuple(ScenarioLog(f"arm64.s{n}", "arm64", log) for n, log in enumerate(logs))
    evidence = LogEvidence(FACTS, named, shared)
    CLAIM.require_applicable(evidence)
    return CLAIM.judge(evidence)


def log(lines=(), taint=(0, 0), **fields):
    return KernelLog(lines=lines, taint=taint, **fields)


@pytest.mark.parametrize("arch", ["arm64", "riscv64", "x86_64"])
def test_every_architecture_has_the_claim(arch):
    claim = catalogue.load().claim(f"{arch}.kernel.log")
    assert isinstance(claim, LogClaim)
    assert (claim.test(), claim.level) == (f"kvm.system_event.{arch}.kernel.log", Level.ABI)


def test_a_quiet_kernel():
    verdict = judge(log(), log(("kvm: a message",)))
    assert (verdict.status, verdict.reason) == (Status.PASS, CLAIM.says)


def test_a_kernel_that_was_tainted_before():
    """A warning during its boot, or an unsigned module, is not due to a scenario."""
    assert judge(log(taint=(WARNED | 4096, WARNED | 4096))).status is Status.PASS


def test_kvm_warns():
    """The reason names the scenario and the first line; each splat is a mismatch."""
    verdict = judge(log(), log(KVM, (0, WARNED)), log(KVM, (WARNED, WARNED)))
    assert verdict.status is Status.FAIL
    assert [wrong.what for wrong in verdict.mismatches] == [
        "while arm64.s1 ran (arm64)",
        "while arm64.s2 ran (arm64)",
    ]
    assert verdict.reason.startswith(f"while arm64.s1 ran (arm64): got {KVM[1]}, expected no warning")


@pytest.mark.parametrize(
    "found",
    [
        log(OTHER, (0, WARNED)),
        log(STALL),
        log((), (0, WARNED)),
        log((), (WARNED, WARNED | DIED)),
        log((), (WARNED, WARNED), lost=True),
        log((), None, cut=True),
        log((), (0, WARNED), log_errno=1),
    ],
    ids=["other", "stall", "taint", "died", "lost", "cut", "taint_alone"],
)
def test_what_is_not_known_to_be_kvm_s(found):
    """It is reported, and neither PASS nor FAIL."""
    assert judge(log(), found).status is Status.DONE


def test_lost_messages_of_a_kernel_that_has_not_warned():
    """The taint bits show that no warning was among them."""
    assert judge(log((), (0, 0), lost=True)).status is Status.PASS


def test_messages_from_before_a_scenario():
    """They count in a guest, where nothing else runs, and not on a machine that others use."""
    early = KernelLog(before=KVM, taint=(WARNED, WARNED))
    assert judge(early).status is Status.FAIL
    assert judge(early, shared=True).status is Status.PASS


def test_the_taint_bits_alone():
    """A PASS says so."""
    verdict = judge(log((), (4, 4), log_errno=1))
    assert (verdict.status, "the taint bits" in verdict.reason) == (Status.PASS, True)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (log((), None, log_errno=2), r"neither|nor can /proc/sys/kernel/tainted; required: CONFIG_PRINTK=y"),
        (log((), (WARNED, WARNED), log_errno=1), "tainted by an earlier warning"),
    ],
    ids=["nothing", "tainted"],
)
def test_a_machine_that_shows_nothing(found, words):
    """The claim does not apply, and the reason says what is required."""
    with pytest.raises(NotApplicable, match=words):
        judge(found)


SMM = (
    "[ cut here ]",
    "WARNING: CPU: 0 PID: 85 at arch/x86/kvm/x86.c:12184 kvm_vcpu_reset+0x83/0x5b0 [kvm]",
    "---[ end trace",
)


SVM = KernelIdentity("", {}, Proof.PROVEN, mode={"vendor": "amd"})


def judge_x86(release, scenario, *splats):
    logs = tuple(ScenarioLog(scenario, "i386", log(splat, (0, WARNED if splat else 0))) for splat in splats)
    claim = catalogue.load().claim("x86_64.kernel.log")
    return claim.judge(LogEvidence(Facts("x86_64", release, {}, {}, identity=SVM), logs))


@pytest.mark.parametrize("release", ["6.1.0-50-cloud-amd64", "6.1.176", "6.5.13", "6.6.91", "6.12.28"])
def test_a_known_defect(release):
    """It is reported with the name of its erratum, and is not FAIL."""
    verdict = judge_x86(release, "x86_64.triple_fault.smm", SMM)
    assert (verdict.status, verdict.erratum) == (Status.DONE, "smm-reset-warning")


def test_a_known_defect_that_does_not_show():
    """PASS says so, if its scenario ran."""
    assert judge_x86("6.1.176", "x86_64.triple_fault.smm", ()).erratum == "smm-reset-warning"
    assert judge_x86("6.1.176", "x86_64.triple_fault", ()).erratum == ""


@pytest.mark.parametrize(
    ("release", "scenario", "splats"),
    [
        ("6.6.92", "x86_64.triple_fault.smm", (SMM,)),
        ("6.12.107", "x86_64.triple_fault.smm", (SMM,)),
        ("5.10.223", "x86_64.triple_fault.smm", (SMM,)),
        ("6.1.176", "x86_64.triple_fault", (SMM,)),
        ("6.1.176", "x86_64.triple_fault.smm", (KVM,)),
        ("6.1.176", "x86_64.triple_fault.smm", (SMM, KVM)),
        ("6.1.176", "x86_64.triple_fault.smm", (tuple(line.replace("WARNING", "BUG") for line in SMM),)),
    ],
    ids=["mended", "regressed", "older", "scenario", "function", "another", "kind"],
)
def test_what_no_known_defect_explains(release, scenario, splats):
    """The same warning from another release or scenario, or one more, is FAIL."""
    assert judge_x86(release, scenario, *splats).status is Status.FAIL


@pytest.mark.parametrize(
    ("lines", "status"), [(KVM, Status.DONE), (OTHER, Status.PASS), (STALL, Status.PASS)]
)
def test_a_warning_of_another_abi(lines, status):
    """KVM may give it once, so that this ABI, which was asked later, cannot show it: no PASS."""
    logs = (ScenarioLog("arm64.s", "arm64", log(taint=(WARNED, WARNED))),)
    others = (ScenarioLog("arm64.s", "arm", log(lines)),)
    assert CLAIM.judge(LogEvidence(FACTS, logs, others=others)).status is status
