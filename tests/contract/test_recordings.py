"""Every claim that applies to a recorded kernel is judged on what that kernel wrote."""

import contextlib

import msgspec
import pytest

from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.contract.terms import EventDefinition, Terms
from sysevent.errors import NotApplicable
from sysevent.model import Status

# (recording, target, ABI): numbers of claims that hold, that do not apply, and whose scenario was not recorded.
COUNTS = {
    ("debian-5.10", "arm64-tcg", "arm64"): (41, 83, 0),
    ("debian-5.10", "x86_64-tcg", "i386"): (39, 14, 0),
    ("debian-5.10", "x86_64-tcg", "x86_64"): (39, 16, 0),
    ("debian-6.1", "arm64-tcg", "arm64"): (100, 24, 0),
    ("debian-6.1", "x86_64-tcg", "i386"): (49, 4, 0),
    ("debian-6.1", "x86_64-tcg", "x86_64"): (49, 6, 0),
    ("debian-6.12", "arm64-tcg", "arm64"): (105, 19, 0),
    ("debian-6.12", "riscv64-tcg", "riscv64"): (50, 4, 0),
    ("debian-6.12", "x86_64-tcg", "i386"): (51, 2, 0),
    ("debian-6.12", "x86_64-tcg", "x86_64"): (53, 2, 0),
    ("debian-7.2", "arm64-tcg", "arm64"): (124, 0, 0),
    ("debian-7.2", "riscv64-tcg", "riscv64"): (52, 2, 0),
    ("debian-7.2", "x86_64-tcg", "i386"): (51, 2, 0),
    ("debian-7.2", "x86_64-tcg", "x86_64"): (53, 2, 0),
    ("debian-newest", "arm64-tcg", "arm64"): (124, 0, 0),
    ("debian-newest", "riscv64-tcg", "riscv64"): (52, 2, 0),
    ("debian-newest", "x86_64-tcg", "i386"): (51, 2, 0),
    ("debian-newest", "x86_64-tcg", "x86_64"): (53, 2, 0),
}


def judge_all(found, target, abi):
    """Yield (claim, verdict, reason of its absence) for each claim that is about VMMs of this ABI."""
    facts = found.facts[target]
    for claim in catalogue.load().exits:
        if claim.arch != facts.arch or (claim.abi and abi != facts.arch):
            continue
        try:
            claim.require_applicable(facts, Terms())
        except NotApplicable as why:
            yield claim, None, str(why)
            continue
        seen = found.seen.get((target, claim.asks.name, claim.abi or abi))
        asked = {
            getattr(check, name)
            for check in claim.checks(Terms().definition(facts))
            for name in ("label", "first", "second")
            if hasattr(check, name)
        }
        if seen is None or not asked <= {*seen.exits, *seen.answers}:
            yield claim, None, ""
        else:
            yield claim, claim.judge(ExitEvidence(facts, seen)), ""


@pytest.mark.parametrize(("name", "place", "vmm"), COUNTS, ids=map("-".join, COUNTS))
def test_claims_hold_on_recorded_kernels(recording, name, place, vmm):
    """Every claim that applies is PASS, and their numbers are as before. None is DONE."""
    verdicts = list(judge_all(recording(name), place, vmm))
    wrong = {
        claim.name: found.reason for claim, found, _ in verdicts if found and found.status is not Status.PASS
    }
    assert wrong == {}
    held = sum(found is not None for _, found, _ in verdicts)
    skipped = sum(bool(why) for _, _, why in verdicts)
    assert (held, skipped, len(verdicts) - held - skipped) == COUNTS[name, place, vmm]


def test_every_recording_is_judged(recording):
    """COUNTS has every target and ABI of a recording, except for arm, for which KVM cannot be opened."""
    for name in sorted({name for name, _, _ in COUNTS}):
        seen = {(target, abi) for target, _, abi in recording(name).seen if abi != "arm"}
        assert seen == {(target, abi) for other, target, abi in COUNTS if other == name}


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
    # fmt: off
    assert left == {
        "capability", "capability.triple_fault", "triple_fault", "triple_fault.state",
        "triple_fault.written", "triple_fault.injected",
        "xen.hypercall", "xen.hypercall.i386", "xen.result", "xen.result.i386",
    }
    # fmt: on
