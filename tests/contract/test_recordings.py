"""Every claim that applies to a recorded kernel, judged on what that kernel really wrote."""

import contextlib

import msgspec
import pytest

from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.contract.terms import Contract, Terms
from sysevent.errors import NotApplicable
from sysevent.model import Status

# (recording, target, ABI): claims that hold, that do not apply, and whose scenario was another one then, or none
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
    """(claim, verdict, why there is none) of each claim that a VMM of this ABI would have to ask."""
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
            for check in claim.checks(Terms().contract(facts))
            for name in ("label", "first", "second")
            if hasattr(check, name)
        }
        if seen is None or not asked <= {*seen.exits, *seen.answers}:
            yield claim, None, ""
        else:
            yield claim, claim.judge(ExitEvidence(facts, seen)), ""


@pytest.mark.parametrize(("name", "place", "vmm"), COUNTS, ids=map("-".join, COUNTS))
def test_a_recorded_kernel_keeps_the_contract(recording, name, place, vmm):
    """PASS, every one that applies, and as many as are known to; never DONE: nothing observed has changed."""
    verdicts = list(judge_all(recording(name), place, vmm))
    wrong = {
        claim.name: found.reason for claim, found, _ in verdicts if found and found.status is not Status.PASS
    }
    assert wrong == {}
    held = sum(found is not None for _, found, _ in verdicts)
    skipped = sum(bool(why) for _, _, why in verdicts)
    assert (held, skipped, len(verdicts) - held - skipped) == COUNTS[name, place, vmm]


def test_all_that_was_recorded_is_judged(recording):
    """No target and no ABI of a recording is left out here. The VMM that KVM refuses has claims of its own."""
    for name in sorted({name for name, _, _ in COUNTS}):
        seen = {(target, abi) for target, _, abi in recording(name).seen if abi != "arm"}
        assert seen == {(target, abi) for other, target, abi in COUNTS if other == name}


def test_old_kernels_are_judged_by_the_old_contract(recording):
    for target, facts in recording("debian-5.10").facts.items():
        assert facts.capabilities["vm/215"] == 0
        assert Terms().contract(facts) is Contract.FLAGS, target
        claim = catalogue.load().claim(f"{facts.arch}.capability")
        seen = recording("debian-5.10").of(target, f"{facts.arch}.facts")
        assert claim.judge(ExitEvidence(facts, seen, Terms(floor=(5, 18)))).status is Status.FAIL


@pytest.mark.parametrize("name", sorted({"debian-6.1", "debian-6.12", "debian-7.2", "debian-newest"}))
def test_new_kernels_say_so(recording, name):
    for facts in recording(name).facts.values():
        assert (facts.capabilities["system/215"], facts.capabilities["vm/215"]) == (1, 1)
        assert Terms().contract(facts) is Contract.DATA


def test_a_kernel_without_hyper_v_is_not_blamed(recording):
    """CONFIG_KVM_HYPERV=n, an option since v6.8: its claims do not apply; both capabilities are 0 then."""
    facts = recording("debian-6.12").facts["x86_64-tcg"]
    lacking = dict.fromkeys(("system/44", "vm/44", "system/199", "vm/199"), 0)
    facts = msgspec.structs.replace(facts, capabilities=facts.capabilities | lacking)
    left = set()
    for claim in catalogue.load().exits:
        if claim.arch == "x86_64":
            with contextlib.suppress(NotApplicable):
                claim.require_applicable(facts, Terms())
                left.add(claim.name.removeprefix("x86_64."))
    assert left == {
        *("capability", "capability.triple_fault", "triple_fault", "triple_fault.state"),
        *("triple_fault.written", "triple_fault.injected"),
        *("xen.hypercall", "xen.hypercall.i386", "xen.result", "xen.result.i386"),
    }
