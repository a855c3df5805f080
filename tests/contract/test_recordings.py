"""Every claim that applies to a recorded kernel is judged on what that kernel wrote."""

import contextlib

import msgspec
import pytest

from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.contract.terms import EventDefinition, Terms
from sysevent.errors import NotApplicable
from sysevent.model import Status

# By recording, target and ABI: claims that are judged on it, at least. The others do not apply, or their scenario is
# newer than the recording.
LEAST = {
    ("debian-5.10", "arm64-tcg", "arm64"): 41,
    ("debian-5.10", "x86_64-tcg", "i386"): 38,
    ("debian-5.10", "x86_64-tcg", "x86_64"): 38,
    ("debian-6.1", "arm64-tcg", "arm64"): 100,
    ("debian-6.1", "x86_64-tcg", "i386"): 48,
    ("debian-6.1", "x86_64-tcg", "x86_64"): 48,
    ("debian-6.12", "arm64-tcg", "arm64"): 105,
    ("debian-6.12", "riscv64-tcg", "riscv64"): 50,
    # Scenarios that are newer than the others' recording.
    ("debian-6.12-x86_64", "x86_64-tcg", "x86_64"): 116,
    ("debian-6.12", "x86_64-tcg", "i386"): 50,
    ("debian-6.12", "x86_64-tcg", "x86_64"): 52,
    # Only machines with several vCPUs, a GIC or other options.
    ("debian-6.12-arm64", "arm64-tcg", "arm64"): 18,
    # Only machines with an interrupt controller that the model has (tests/conformance/test_rows.py).
    ("debian-6.12-irqchips", "arm64-tcg", "arm64"): 8,
    ("debian-6.12-irqchips", "riscv64-tcg", "riscv64"): 3,
    ("debian-7.2", "arm64-tcg", "arm64"): 124,
    ("debian-7.2", "riscv64-tcg", "riscv64"): 52,
    ("debian-7.2", "x86_64-tcg", "i386"): 50,
    ("debian-7.2", "x86_64-tcg", "x86_64"): 52,
    ("debian-newest", "arm64-tcg", "arm64"): 124,
    ("debian-newest", "riscv64-tcg", "riscv64"): 52,
    ("debian-newest", "x86_64-tcg", "i386"): 50,
    ("debian-newest", "x86_64-tcg", "x86_64"): 52,
}


def judge_all(found, target, abi):
    """Return the verdicts, by name of the claim, on all claims that apply and whose scenario was recorded."""
    facts, verdicts = found.facts[target], {}
    for claim in catalogue.load().exits:
        if claim.arch != facts.arch or (claim.abi and abi != facts.arch):
            continue
        try:
            claim.require_applicable(facts, Terms())
        except NotApplicable:
            continue
        seen = found.seen.get((target, claim.asks.name, claim.abi or abi))
        asked = {
            getattr(check, name)
            for check in claim.checks(Terms().definition(facts))
            for name in ("label", "first", "second")
            if hasattr(check, name)
        }
        if seen is not None and asked <= {*seen.exits, *seen.answers}:
            verdicts[claim.name] = claim.judge(ExitEvidence(facts, seen))
    return verdicts


@pytest.mark.parametrize(("name", "place", "vmm"), LEAST, ids=map("-".join, LEAST))
def test_claims_hold_on_recorded_kernels(recording, name, place, vmm):
    """Every claim that is judged is PASS or has an erratum, and as many are judged as when it was recorded.

    A new claim whose scenario was not recorded is not judged here, so that it needs no new recordings.
    """
    verdicts = judge_all(recording(name), place, vmm)
    wrong = {name: found for name, found in verdicts.items() if found.status is not Status.PASS}
    assert {name: found.reason for name, found in wrong.items() if not found.erratum} == {}
    assert {found.status for found in wrong.values()} <= {Status.DONE}
    # None passes although an erratum says that it fails.
    assert {name for name, found in verdicts.items() if found.erratum} == wrong.keys()
    assert len(verdicts) >= LEAST[name, place, vmm]


def test_every_recording_is_judged(recording):
    """LEAST has every target and ABI of a recording, except for arm, for which KVM cannot be opened."""
    for name in sorted({name for name, _, _ in LEAST}):
        seen = {(target, abi) for target, _, abi in recording(name).seen if abi != "arm"}
        assert seen == {(target, abi) for other, target, abi in LEAST if other == name}


def test_old_kernels_are_judged_by_the_old_definition(recording):
    """Linux 5.10 does not have capability 215; with --floor 5.18 it fails for that."""
    for target, facts in recording("debian-5.10").facts.items():
        assert facts.capabilities["vm/215"] == 0
        assert Terms().definition(facts) is EventDefinition.FLAGS, target
        claim = catalogue.load().claim(f"{facts.arch}.capability")
        seen = recording("debian-5.10").of(target, f"{facts.arch}.facts")
        assert claim.judge(ExitEvidence(facts, seen, Terms(floor=(5, 18)))).status is Status.FAIL


@pytest.mark.parametrize("name", sorted({"debian-6.1", "debian-6.12", "debian-7.2", "debian-newest"}))
def test_new_kernels_have_the_capability(recording, name):
    """Linux 6.1 and later report capability 215 on /dev/kvm and on a VM."""
    for facts in recording(name).facts.values():
        assert (facts.capabilities["system/215"], facts.capabilities["vm/215"]) == (1, 1)
        assert Terms().definition(facts) is EventDefinition.DATA


def test_a_kernel_without_hyper_v(recording):
    """With CONFIG_KVM_HYPERV=n (an option since v6.8) capabilities 44 and 199 are 0; Hyper-V's claims do not apply."""
    facts = recording("debian-6.12").facts["x86_64-tcg"]
    lacking = dict.fromkeys(("system/44", "vm/44", "system/199", "vm/199"), 0)
    facts = msgspec.structs.replace(facts, capabilities=facts.capabilities | lacking)
    left = set()
    for claim in catalogue.load().exits:
        if claim.arch == "x86_64":
            with contextlib.suppress(NotApplicable):
                claim.require_applicable(facts, Terms())
                left.add(claim.name.removeprefix("x86_64."))
    # The subjects of those that are left: the others write Hyper-V's MSRs.
    subjects = {
        "after_shutdown",
        "capability",
        "entry",
        "mp_state",
        "triple_fault",
        "options",
        "xen",
    }
    assert {name.split(".")[0] for name in left} == subjects
    assert {"triple_fault", "triple_fault.written", "triple_fault.injected", "xen.hypercall"} <= left
    assert not any("reset" in name or "crash" in name for name in left)
