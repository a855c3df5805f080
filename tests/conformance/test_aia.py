"""What the model of riscv64 predicts with an interrupt controller in the kernel: which interrupt wakes a hart."""

import struct

import msgspec
import pytest
from conformance import followed
from conformance.model_kernels import FACTS

from sysevent.abi import aia, sbi
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.conformance.contract import Configuration
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.play import Sequence
from sysevent.conformance.riscv64_rules import AIA_RULES
from sysevent.explore.validity import valid
from sysevent.scenario.aia import IDENTITY
from sysevent.scenario.riscv64 import RETURNED_AT, WFI

RISCV64 = CONTRACTS["riscv64"](FACTS["riscv64"])
ONE, ACCEPTS = Configuration(1, "aia"), Configuration(2, "aia accepts")
SLEEPS = Action("call", 0, (0, 0, 0, 3, 4, 5, sbi.HART_SUSPEND, sbi.HSM))
MSI, UNSET = Action("msi", 0, (IDENTITY,)), Action("interrupt", 0, (0xFFFF_FFFE,))
SET = Action("interrupt", 0, (0xFFFF_FFFF,))


def aplic(register, value):
    """Return a write to the APLIC."""
    return Action("aplic", 0, (register, value))


def imsic(register, value):
    """Return a write to the IMSIC of hart 0."""
    return Action("imsic", 0, (register, value))


def source(*levels):
    """Return changes of the input of source 1."""
    return tuple(Action("source", 0, (1, level)) for level in levels)


def given(*actions, made=ACCEPTS):
    return followed.given(RISCV64, made, actions)


def blocked(*actions, made=ACCEPTS):
    return followed.blocked(RISCV64, made, actions)


def errors(*actions, made=ACCEPTS):
    return followed.errors(RISCV64, made, actions)


@pytest.mark.parametrize(
    ("more", "wakes"),
    [
        ((), True),
        ((imsic(aia.IMSIC_EIDELIVERY, 0),), False),
        ((imsic(aia.IMSIC_EIE0, 0),), False),
        ((imsic(aia.IMSIC_EIP0, 0),), False),
        # Interrupts below it pass.
        ((imsic(aia.IMSIC_EITHRESHOLD, IDENTITY),), False),
        ((imsic(aia.IMSIC_EITHRESHOLD, IDENTITY + 1),), True),
        ((Action("sie", 0, (0,)),), False),
        ((Action("sie", 0, (0,)), Action("sie", 0, (1,))), True),
        # Both are the same bit for the hart.
        ((UNSET,), False),
        ((UNSET, MSI), True),
    ],
)
def test_a_message_wakes_that_is_let_through(more, wakes):
    assert blocked(MSI, *more, SLEEPS) == [not wakes]


def test_a_write_takes_back_what_userspace_has_set_itself():
    assert blocked(SET, SLEEPS) == [False]
    assert blocked(SET, imsic(aia.IMSIC_EITHRESHOLD, 0), SLEEPS) == [True]
    # Also one that is refused.
    assert blocked(SET, imsic(aia.IMSIC_EIDELIVERY + 1, 0), SLEEPS) == [True]


@pytest.mark.parametrize(
    ("mode", "levels", "wakes"),
    [
        (aia.SOURCE_EDGE_RISE, (1,), True),
        (aia.SOURCE_EDGE_RISE, (0,), False),
        (aia.SOURCE_EDGE_FALL, (1,), False),
        (aia.SOURCE_EDGE_FALL, (1, 0), True),
        (aia.SOURCE_LEVEL_HIGH, (1,), True),
        (aia.SOURCE_LEVEL_LOW, (0,), True),
        (aia.SOURCE_LEVEL_LOW, (1,), False),
        (aia.SOURCE_DETACHED, (1, 0), False),
        (aia.SOURCE_INACTIVE, (1, 0), False),
    ],
)
def test_the_mode_of_a_source_says_when_it_is_sent(mode, levels, wakes):
    assert blocked(aplic(aia.APLIC_SOURCECFG1, mode), *source(*levels), SLEEPS) == [not wakes]


@pytest.mark.parametrize(
    "late", [aplic(aia.APLIC_DOMAINCFG, aia.APLIC_DOMAINCFG_IE), aplic(aia.APLIC_SETIENUM, 1)], ids=str
)
def test_a_source_that_is_pending_is_sent_once_it_is_enabled(late):
    off = aplic(aia.APLIC_DOMAINCFG, 0), aplic(aia.APLIC_CLRIENUM, 1)
    on = aplic(aia.APLIC_DOMAINCFG, aia.APLIC_DOMAINCFG_IE), aplic(aia.APLIC_SETIENUM, 1)
    before = tuple(one for one in on if one != late)
    assert blocked(*off, *before, *source(1), SLEEPS) == [True]
    assert blocked(*off, *before, *source(1), late, SLEEPS) == [False]
    cleared = aplic(aia.APLIC_CLRIPNUM, 1)
    assert blocked(*off, *before, *source(1), cleared, late, SLEEPS) == [True]


def test_userspace_makes_a_source_pending_as_its_mode_allows():
    pending = aplic(aia.APLIC_SETIPNUM, 1)
    for mode, levels, wakes in (
        (aia.SOURCE_EDGE_RISE, (), True),
        (aia.SOURCE_DETACHED, (), True),
        (aia.SOURCE_INACTIVE, (), False),
        (aia.SOURCE_LEVEL_HIGH, (), False),
    ):
        configured = aplic(aia.APLIC_SOURCECFG1, mode)
        assert blocked(configured, *source(*levels), pending, SLEEPS) == [not wakes], mode


def test_a_target_and_a_message_of_its_own_name_the_hart():
    sleeper = Action("call", 1, SLEEPS.values)
    runs = Action("set_state", 1, (MpState.RUNNABLE,))
    other = 1 << aia.APLIC_TARGET_HART_SHIFT | IDENTITY
    assert blocked(runs, Action("aplic", 0, (aia.APLIC_TARGET1, other)), *source(1), sleeper) == [False]
    assert blocked(runs, *source(1), sleeper) == [True]
    assert blocked(runs, Action("aplic", 0, (aia.APLIC_GENMSI, other)), sleeper) == [False]


def test_the_reset_by_hart_start_clears_the_imsic():
    start = Action("call", 0, (1, RETURNED_AT, 7, 3, 4, 5, sbi.HART_START, sbi.HSM))
    message, sie, run = Action("msi", 1, (IDENTITY,)), Action("sie", 1, (1,)), Action("run", 1)
    sleeper = Action("next", 1, SLEEPS.values)
    assert blocked(start, run, sie, message, sleeper) == [False, False, True]
    # Its threshold and the interrupts that are enabled, too: userspace sets them again.
    again = tuple(
        Action("imsic", 1, one) for one in ((aia.IMSIC_EIDELIVERY, 1), (aia.IMSIC_EIE0, 1 << IDENTITY))
    )
    assert blocked(start, run, sie, *again, message, sleeper) == [False, False, False]


def test_a_message_wakes_a_hart_that_sleeps_already():
    begun = Action(SLEEPS.kind, 0, SLEEPS.values, Mode.ASYNC)
    for wakes in (MSI, *source(1), SET):
        assert blocked(begun, wakes, Action("wait", 0)) == [False]


def test_what_the_controller_does_not_have_is_refused():
    wrong = (Action("msi", 0, (0,)), Action("msi", 0, (64,)), Action("msi", 2, (IDENTITY,)))
    assert errors(*wrong) == [Errno.ENODEV, Errno.EINVAL, 0]
    assert errors(*(Action("source", 0, (number, 1)) for number in (0, 32))) == [Errno.ENODEV] * 2
    assert errors(aplic(0x2, 0), aplic(0x1000, 0)) == [Errno.EOPNOTSUPP, Errno.ENODEV]
    assert errors(imsic(0x71, 0), imsic(0x81, 0), imsic(0xC2, 0)) == [Errno.ENOENT, *[Errno.EINVAL] * 2]
    without = Action("msi", 0, (IDENTITY,)), Action("source", 0, (1, 1))
    assert errors(*without, made=Configuration(1)) == [Errno.EINVAL, Errno.ENXIO]


def test_wfi_sleeps_and_changes_no_register():
    values = (7, 8, 9, 3, 4, 5, 6, 7)
    for made, wakes in ((Configuration(1, "interrupts"), SET), (ACCEPTS, MSI)):
        sleeps = Action("wfi", 0, values)
        asleep, woken = given(sleeps, wakes, sleeps, made=made).exits.values()
        assert asleep.kicked
        # The program counter, then x1 and so on: a0 is x10.
        assert asleep.registers[0] == WFI + 4
        assert asleep.registers[10:18] == woken.registers[10:18] == values
        assert not woken.kicked
        assert struct.unpack_from("<I", woken.head, 8)[0] == ExitReason.MMIO


def test_a_kernel_without_an_aia_is_not_asked_about_it():
    facts = FACTS["riscv64"]
    features = {name: one for name, one in facts.features.items() if name != "aia"}
    contract = CONTRACTS["riscv64"](msgspec.structs.replace(facts, features=features))
    assert set(AIA_RULES) <= set(contract.lacking())
    assert not valid(contract, Sequence("riscv64", ONE, (MSI,)))
    assert valid(RISCV64, Sequence("riscv64", ONE, (MSI,)))
    # The write of an IMSIC waits for its hart, which may sleep for ever.
    begun = Action(SLEEPS.kind, 0, SLEEPS.values, Mode.ASYNC)
    waits = begun, imsic(aia.IMSIC_EIDELIVERY, 1), Action("wait", 0)
    assert not valid(RISCV64, Sequence("riscv64", ACCEPTS, waits))
