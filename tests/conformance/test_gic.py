"""What the model of arm64 predicts with an interrupt controller in the kernel: which interrupt wakes a vCPU."""

import struct

import msgspec
import pytest
from conformance import followed
from conformance.model_kernels import FACTS

from sysevent.abi import psci
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.conformance.arm64_rules import GIC_NOT_READY, GIC_RULES
from sysevent.conformance.contract import Configuration
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.judge import judge
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.play import Sequence
from sysevent.conformance.simulation import observation
from sysevent.explore.validity import valid
from sysevent.scenario.arm64 import WFI
from sysevent.scenario.gic import PPI, SPI

ARM64 = CONTRACTS["arm64"](FACTS["arm64"])
ONE, ACCEPTS = Configuration(1, "gic"), Configuration(2, "gic accepts")
SLEEPS, SUSPENDED = Action("call", 0, (psci.CPU_SUSPEND_64, 0, 0, 0)), Action("set_state", 0, (10,))
RAISED, LOWERED = (Action("ppi", 0, (PPI, level)) for level in (1, 0))
DISTRIBUTOR, MASK = Action("distributor", 0, (1,)), Action("irq_mask", 0, (0xF0,))
ENABLED = Action("irq_enabled", 0, (PPI, 1))
READY = (DISTRIBUTOR, MASK, ENABLED)


def given(*actions, made=ONE):
    return followed.given(ARM64, made, actions)


def blocked(*actions, made=ONE):
    return followed.blocked(ARM64, made, actions)


def errors(*actions, made=ONE):
    return followed.errors(ARM64, made, actions)


def test_an_interrupt_wakes_that_is_let_through():
    assert blocked(*READY, RAISED, SLEEPS) == [False]
    assert blocked(*READY, RAISED, LOWERED, SLEEPS) == [True]


@pytest.mark.parametrize("left_out", READY, ids=str)
def test_each_thing_that_is_missing_keeps_the_vcpu_asleep(left_out):
    assert blocked(*(one for one in READY if one != left_out), RAISED, SLEEPS) == [True]


@pytest.mark.parametrize(
    ("more", "wakes"),
    [
        (("irq_priority", PPI, 0xA0), True),
        (("irq_priority", PPI, 0xF0), False),
        (("irq_active", PPI, 1), False),
        (("irq_enabled", PPI, 0), False),
        (("irq_mask", 0), False),
        (("distributor", 0), False),
        # Which groups are enabled does not matter.
        (("irq_group", 1), True),
        (("irq_group", 0), True),
    ],
)
def test_priority_mask_and_state_of_an_interrupt_count(more, wakes):
    kind, *values = more
    assert blocked(*READY, RAISED, Action(kind, 0, tuple(values)), SLEEPS) == [not wakes]


def test_an_interrupt_of_a_disabled_distributor_is_missed_until_something_is_set_again():
    late = (MASK, ENABLED, RAISED, DISTRIBUTOR)
    assert blocked(*late, SLEEPS) == [True]
    for again in ((ENABLED,), (LOWERED, RAISED), (Action("irq_pending", 0, (PPI, 1)),)):
        assert blocked(*late, *again, SLEEPS) == [False]


def test_the_end_of_a_kvm_run_takes_an_interrupt_out_while_the_distributor_is_off():
    off = Action("distributor", 0, (0,))
    call = Action("call", 0, (psci.VERSION,))
    assert blocked(*READY, RAISED, off, DISTRIBUTOR, SLEEPS) == [False]
    # The call goes on where it came back: the store behind it is completed first.
    then = Action("next", 0, SLEEPS.values)
    assert blocked(*READY, RAISED, off, call, DISTRIBUTOR, then) == [False, True]
    # One that ends before its loop looks at nothing.
    early = Action("run", 0, (), Mode.IMMEDIATE)
    assert blocked(*READY, RAISED, off, early, DISTRIBUTOR, SLEEPS) == [False, False]


def test_an_spi_stays_pending_for_the_first_vcpu_once_it_has_risen():
    spi, fallen = (Action("spi", 0, (SPI, level)) for level in (1, 0))
    let = (DISTRIBUTOR, MASK, Action("irq_enabled", 0, (SPI, 1)))
    assert blocked(*let, spi, fallen, SLEEPS) == [False]
    assert blocked(*let, fallen, SLEEPS) == [True]
    cleared = Action("irq_pending", 0, (SPI, 0))
    assert blocked(*let, spi, cleared, SLEEPS) == [True]


def test_a_suspended_vcpu_exits_as_wakeup_by_an_interrupt_of_its_own():
    call = Action("call", 0, (psci.VERSION,))
    assert blocked(RAISED, SUSPENDED, call, made=ACCEPTS) == [False]
    assert blocked(Action("ppi", 1, (PPI, 1)), SUSPENDED, call, made=ACCEPTS) == [True]


def test_an_interrupt_wakes_a_vcpu_that_sleeps_already():
    begun = Action(SLEEPS.kind, 0, SLEEPS.values, Mode.ASYNC)
    assert blocked(begun, RAISED, Action("wait", 0), made=ACCEPTS) == [False]


def test_init_leaves_the_interrupts_of_a_vcpu():
    init = Action("init", 0, (4,))
    assert blocked(RAISED, init, SLEEPS, made=ACCEPTS) == [False]


def test_registers_are_refused_while_a_vcpu_is_in_kvm_run():
    begun = Action("call", 1, (psci.CPU_SUSPEND_64, 0, 0, 0), Mode.ASYNC)
    sequence = Sequence("arm64", ACCEPTS, (begun, DISTRIBUTOR, Action("wait", 1)))
    seen = observation(ARM64, sequence)
    ((where, answer),) = seen.answers.items()
    # The thread of the vCPU may not be there yet.
    for errno, follows in ((Errno.EBUSY, True), (0, True), (Errno.EINVAL, False)):
        other = msgspec.structs.replace(answer, errno=errno, ret=-bool(errno))
        changed = msgspec.structs.replace(seen, answers={where: other})
        assert (judge(ARM64, sequence, changed).disagreement is None) is follows


def test_lines_of_other_kinds_are_refused():
    wrong = (
        ("ppi", 0, (15, 1)),
        ("ppi", 0, (32, 1)),
        ("ppi", 1, (PPI, 1)),
        ("spi", 0, (31, 1)),
        ("spi", 0, (256, 1)),
    )
    assert errors(*(Action(*one) for one in wrong)) == [Errno.EINVAL] * 5
    assert errors(Action("line", 0, (1,))) == [Errno.ENXIO]
    others = Action("ppi", 0, (PPI, 1)), Action("spi", 0, (SPI, 1))
    assert errors(*others, made=Configuration(1)) == [Errno.ENXIO] * 2


LATE, INITIALIZE = Configuration(2, "gic late"), Action("gic_init")


def test_before_it_is_initialized_a_gicv3_has_no_interrupts():
    spi = Action("spi", 0, (SPI, 1))
    assert errors(RAISED, spi, MASK, DISTRIBUTOR, made=LATE) == [Errno.EBUSY] * 4
    # What is wrong in itself is refused first, but not an SPI that the GIC will not have.
    wrong = Action("ppi", 0, (15, 1)), Action("line", 0, (1,)), Action("spi", 0, (256, 1))
    assert errors(*wrong, made=LATE) == [Errno.EINVAL, Errno.ENXIO, Errno.EBUSY]
    assert errors(INITIALIZE, INITIALIZE, RAISED, wrong[2], made=LATE) == [0, 0, 0, Errno.EINVAL]
    assert blocked(INITIALIZE, *READY, RAISED, SLEEPS, made=LATE) == [False]


@pytest.mark.parametrize(("made", "free"), [(LATE, True), (ONE, False)])
def test_a_wrong_number_may_be_refused_for_the_gic_first(made, free):
    sequence = Sequence("arm64", made, (Action("ppi", 0, (15, 1)),))
    seen = observation(ARM64, sequence)
    ((where, answer),) = seen.answers.items()
    busy = msgspec.structs.replace(answer, errno=Errno.EBUSY)
    other = msgspec.structs.replace(seen, answers={where: busy})
    assert (judge(ARM64, sequence, other).disagreement is None) is free


def test_kvm_run_waits_until_the_gic_is_initialized():
    """A KVM_RUN before that ends the VM, on Linux 6.12: no ioctl succeeds any more (kvm_vgic_map_resources)."""
    sequence = (Action("set_state", 1, (MpState.STOPPED,)), SLEEPS)
    assert not valid(ARM64, Sequence("arm64", LATE, sequence))
    assert valid(ARM64, Sequence("arm64", LATE, (INITIALIZE, *sequence)))


def test_wfi_sleeps_and_changes_no_register():
    for made, wakes in ((Configuration(1), Action("line", 0, (1,))), (ACCEPTS, RAISED)):
        asleep, woken = given(Action("wfi", 0, (7,)), wakes, Action("wfi", 0, (8,)), made=made).exits.values()
        assert asleep.kicked
        assert asleep.registers[:2] == (7, 0x5E01)
        assert asleep.registers[-2] == WFI + 4
        assert not woken.kicked
        assert struct.unpack_from("<I", woken.head, 8)[0] == ExitReason.MMIO
        assert woken.registers[:2] == (8, 0x5E01)


def test_a_kernel_without_a_gic_is_not_asked_about_it():
    facts = FACTS["arm64"]
    without = msgspec.structs.replace(
        facts, features={name: one for name, one in facts.features.items() if name != "gicv3"}
    )
    contract = CONTRACTS["arm64"](without)
    assert set(GIC_RULES) <= set(contract.lacking())
    assert not valid(contract, Sequence("arm64", ONE, READY))
    # Nor is a machine without one.
    assert not valid(ARM64, Sequence("arm64", Configuration(1), (MASK,)))
    assert SUSPENDED.values[0] == MpState.SUSPENDED


def test_a_gicv2_has_the_same_machines_by_other_registers():
    facts = FACTS["arm64"]
    features = {name: one for name, one in facts.features.items() if name != "gicv3"} | {"gicv2": 0}
    contract = CONTRACTS["arm64"](msgspec.structs.replace(facts, features=features))
    assert contract.configurations == ARM64.configurations
    for action in (*READY, RAISED):
        (v3,), (v2,) = (one.steps(action, "") for one in (ARM64, contract))
        assert (v3 == v2) is (action == RAISED)
    # It is initialized by what needs it.
    sequence = Sequence("arm64", LATE, (RAISED, *READY))
    assert [one.errno for one in observation(contract, sequence).answers.values()] == [0] * 4
    assert GIC_NOT_READY in contract.lacking()
