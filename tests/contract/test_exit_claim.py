"""Which kernels a claim applies to, and the verdict and its reason."""

import msgspec
import pytest
from sample_exits import poke, seen

from sysevent.contract.exit_claim import ExitClaim, ExitEvidence
from sysevent.contract.system_events import old_system_event, system_event
from sysevent.contract.terms import EventDefinition, Need, Terms
from sysevent.errors import HarnessError, NotApplicable, StepRefused
from sysevent.model import Facts, Level, Status
from sysevent.scenario.steps import Scenario

NEED = Need("SYSTEM_RESET2 (d43583b890e7)", (5, 18), "psci.features.0x84000012")
CLAIM = ExitClaim(
    "test",
    "It is so.",
    asks=Scenario("arm64.test", "arm64", ()),
    gives=system_event(2, 1),
    before_5_18=old_system_event(2, 1),
    source="api.rst",
)
NEEDY = msgspec.structs.replace(CLAIM, needs=(NEED,))
MINUS_ONE = 0xFFFF_FFFF_FFFF_FFFF


def kernel(release="6.12.1", event_data=1, **features):
    """Return the facts of an arm64 kernel. event_data: capability 215."""
    return Facts("arm64", release, {"system/215": event_data, "vm/215": event_data}, features)


def with_feature(facts, value):
    """Return the facts with what PSCI_FEATURES returned for SYSTEM_RESET2."""
    return msgspec.structs.replace(facts, features={NEED.fact: value})


DEFAULT = Terms()
FLOOR = Terms(floor=(5, 18))
STRICT = Terms(strict_observed=True)


def judged(claim, facts, observation, terms=DEFAULT):
    """Return the verdict on a claim that applies; NotApplicable otherwise."""
    claim.require_applicable(facts, terms)
    return claim.judge(ExitEvidence(facts, observation, terms))


@pytest.mark.parametrize(
    ("facts", "which"),
    [
        (kernel("6.12.1"), EventDefinition.DATA),
        (kernel("5.18.0"), EventDefinition.DATA),
        (kernel("5.17.9", 0), EventDefinition.FLAGS),
        (kernel("5.18.0-rc4", 0), EventDefinition.FLAGS),
        (kernel("5.10.0", 1), EventDefinition.DATA),
        (kernel("6.1.0", 0), EventDefinition.DATA),
        (kernel("vendor", 0), EventDefinition.FLAGS),
        (Facts("arm64", "5.10.0", {"system/215": 1, "vm/215": -1}, {}), EventDefinition.DATA),
        (Facts("arm64", "5.10.0", {"system/215": -1}, {}), EventDefinition.FLAGS),
        (Facts("arm64", "5.10.0", {}, {}), EventDefinition.FLAGS),
    ],
)
def test_which_definition(facts, which):
    """A kernel has the new system_event if it has capability 215, or if its release must have it."""
    assert Terms().definition(facts) is which
    assert CLAIM.checks(which) == (CLAIM.gives if which is EventDefinition.DATA else CLAIM.before_5_18)


def test_a_floor_raises_the_release():
    """--floor 5.18 judges a vendor's 4.18 as a 5.18: with the new definition, and all features of 5.18."""
    old = kernel("4.18.0-553.el8", 0)
    assert Terms().definition(old) is EventDefinition.FLAGS
    assert FLOOR.definition(old) is EventDefinition.DATA
    with pytest.raises(NotApplicable):
        NEEDY.require_applicable(with_feature(old, MINUS_ONE), Terms())
    NEEDY.require_applicable(with_feature(old, MINUS_ONE), FLOOR)


def test_a_set_up_that_fails_for_lack_of_a_required_feature():
    """FAIL, not ERROR, and the reason names the feature. With the feature, the kernel is not blamed."""
    old = with_feature(kernel("4.18.0-553.el8", 0), MINUS_ONE)
    error = StepRefused("arm64.test: step 4, which must succeed, was refused: IOCTL gave errno 22 (EINVAL)")
    found = NEEDY.refused(old, error)
    assert found.status is Status.FAIL
    assert "must have SYSTEM_RESET2 (d43583b890e7), as v5.18 does, but set-up failed: " in found.reason
    assert NEEDY.refused(with_feature(old, 0), error) is None


@pytest.mark.parametrize("value", [None, MINUS_ONE, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFE])
def test_an_old_kernel_that_lacks_a_feature_is_not_judged(value):
    """NotApplicable names the kernel, the feature, its release, and the option that would make the claim apply."""
    facts = kernel("5.10.0", 0) if value is None else with_feature(kernel("5.10.0", 0), value)
    with pytest.raises(NotApplicable) as skipped:
        NEEDY.require_applicable(facts, Terms())
    assert str(skipped.value) == (
        "Linux 5.10.0 offers no SYSTEM_RESET2 (d43583b890e7): it came with v5.18; "
        "a kernel with a backport is judged, --floor 5.18 demands it"
    )


@pytest.mark.parametrize("value", [0, 1])
def test_a_backport_is_judged(value):
    """An old kernel with the feature is judged, by the old definition of system_event."""
    facts = with_feature(kernel("5.10.0", 0), value)
    assert judged(NEEDY, facts, seen(poke(36, bytes(4)))).reason.endswith("(before v5.18).")


def test_a_new_kernel_that_lacks_a_feature_is_judged():
    """A new kernel that lacks a required feature is judged."""
    assert (
        judged(NEEDY, with_feature(kernel("5.18.0"), MINUS_ONE), seen(poke(32, b"\1"))).status is Status.FAIL
    )
    assert judged(NEEDY, kernel("6.12.0"), seen(poke(32, b"\1"))).status is Status.FAIL


def test_a_need_that_is_a_capability():
    """A capability meets a need if KVM_CHECK_EXTENSION returned more than 0."""
    need = Need("suspend", (5, 19), "vm/216")
    old = kernel("5.10.0", 0)
    for value, applies in ((1, True), (0, False), (-1, False)):
        facts = msgspec.structs.replace(old, capabilities=old.capabilities | {"vm/216": value})
        assert need.met(facts) is applies


def test_a_need_on_hardware_or_configuration():
    """The reason says what the feature requires, and names no release, since none is required to have it."""
    need = Need("32-bit EL1", None, "vm/93", requires="a CPU that has it")
    assert need.why_not(kernel()) == "Linux 6.12.1 offers no 32-bit EL1 here; required: a CPU that has it"
    plain = msgspec.structs.replace(need, requires="")
    assert plain.why_not(kernel()) == "Linux 6.12.1 offers no 32-bit EL1 here"
    assert not need.required((99, 0))


def test_a_need_that_a_feature_is_absent():
    """Met by kernels without the feature; the reason says that this kernel has it."""
    need = Need("legacy SBI", None, "vm/1", absent=True)
    having = msgspec.structs.replace(kernel(), capabilities={"vm/1": 1})
    assert need.met(kernel())
    assert not need.met(having)
    assert need.why_not(having) == "Linux 6.12.1 has legacy SBI; this claim is about kernels without it"


def test_the_first_unmet_need_counts():
    """Needs that are met do not hide a later one that is not."""
    claim = msgspec.structs.replace(CLAIM, needs=(NEED, Need("more", (9, 0), "x")))
    with pytest.raises(NotApplicable, match="more"):
        claim.require_applicable(with_feature(kernel(), 0), Terms())


def test_pass():
    """The reason of a PASS is the claim's sentence."""
    verdict = judged(CLAIM, kernel(), seen())
    assert (verdict.test, verdict.status, verdict.level) == (
        "kvm.system_event.arm64.test",
        Status.PASS,
        Level.ABI,
    )
    assert (verdict.reason, verdict.mismatches) == ("It is so.", ())


def test_pass_by_the_old_definition():
    """The reason says which definition of system_event the kernel was judged by."""
    verdict = judged(CLAIM, kernel("5.10.0", 0), seen(poke(36, bytes(4))))
    assert verdict.status is Status.PASS
    assert verdict.reason == "It is so. Judged by the old definition: type, flags (before v5.18)."


def test_fail():
    """The verdict has every mismatch, and its reason the first one and the number of the others."""
    verdict = judged(CLAIM, kernel(), seen(poke(36, b"\0\0\0\0\5")))
    assert verdict.status is Status.FAIL
    assert verdict.reason == "ndata: got 0, expected 1 (and 1 more). It is so."
    assert [wrong.what for wrong in verdict.mismatches] == ["ndata", "data[0]"]


def test_another_exit_is_one_mismatch():
    """With another exit reason the fields of system_event are not compared, and the reason explains the exit."""
    mmio = poke(32, b"\xaa" * 136)
    mmio = msgspec.structs.replace(mmio, head=mmio.head[:8] + b"\x06" + mmio.head[9:])
    verdict = judged(CLAIM, kernel(), seen(mmio))
    assert len(verdict.mismatches) == 1
    assert verdict.reason == (
        "exit_reason: got 6 (MMIO): the guest went on, x0=0x0, expected 24 (SYSTEM_EVENT). It is so."
    )


def test_changed_behaviour_that_is_only_observed():
    """DONE with the mismatches; FAIL with --strict-observed. Unchanged, it is PASS with either."""
    observed = msgspec.structs.replace(CLAIM, level=Level.OBSERVED)
    noted = judged(observed, kernel(), seen(poke(36, b"\0")))
    assert noted.status is Status.DONE
    assert noted.reason.startswith("Behaviour that is not promised has changed: ndata: got 0, expected 1. ")
    assert noted.mismatches
    assert judged(observed, kernel(), seen(poke(36, b"\0")), STRICT).status is Status.FAIL
    assert judged(observed, kernel(), seen(), STRICT).status is Status.PASS


def test_the_observation_of_another_scenario():
    """HarnessError names both scenarios."""
    with pytest.raises(
        HarnessError, match=r"arm64.test is about arm64.test, and was compared with arm64.other"
    ):
        judged(CLAIM, kernel(), msgspec.structs.replace(seen(), scenario="arm64.other"))
