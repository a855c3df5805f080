"""What sequences are drawn, and how long the end of each KVM_RUN is waited for."""

import pytest
from conformance.model_kernels import FACTS

from sysevent.conformance.contract import Configuration
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.play import Sequence
from sysevent.conformance.scenario import BLOCKS_MS, RETURNS_MS, SPINS_MS, scenario
from sysevent.explore import generate, validity
from sysevent.scenario.steps import Wait


@pytest.mark.parametrize("arch", CONTRACTS)
def test_some_sequences_have_few_kinds_of_actions(arch):
    """What needs three certain actions is met sooner where many of the others are left out."""
    drawn = generate.batch(CONTRACTS[arch](FACTS[arch]), 5, 128)
    kinds = [len({one.kind for one in each.actions}) for each in drawn if len(each.actions) >= 12]
    assert min(kinds) <= 5 < 7 <= max(kinds)


def test_a_guest_without_a_program_is_not_run():
    """A hart that HART_START may have started has a program in some states of the model, and none in the others."""
    contract = CONTRACTS["riscv64"](FACTS["riscv64"])
    made = Configuration(2)
    start = Action("call", 0, (1, 0x80000004, 7, 0, 0, 0, 0, 0x48534D))
    runnable, run = Action("set_state", 1, (0,)), Action("run", 1)
    assert validity.valid(contract, Sequence("riscv64", made, (start, runnable, run)))
    assert not validity.valid(contract, Sequence("riscv64", made, (runnable, run)))


def test_a_vcpu_that_sleeps_without_a_program_is_not_run():
    """Another vCPU may wake it. One that is UNINITIALIZED does not run then."""
    contract = CONTRACTS["x86_64"](FACTS["x86_64"])
    made, run = Configuration(2, "split"), Action("run", 1)
    halted, call = Action("set_state", 1, (3,)), Action("call", 1, (0x40000003, 0))
    assert validity.valid(contract, Sequence("x86_64", made, (run,)))
    assert not validity.valid(contract, Sequence("x86_64", made, (halted, run)))
    assert validity.valid(contract, Sequence("x86_64", made, (call, halted, run)))


def test_a_vcpu_that_executes_until_a_signal_comes_is_not_waited_for_as_one_that_blocks():
    """A KVM_RUN that blocks needs no CPU time of this machine; one that executes needs all of it."""
    contract = CONTRACTS["arm64"](FACTS["arm64"])
    actions = (
        Action("call", 0, (0x84000000,)),
        Action("set_state", 0, (5,)),
        Action("run"),
        Action("init", 0, (4,)),
        Action("run"),
    )
    asked = scenario(contract, Sequence("arm64", Configuration(1), actions))
    waits = [step.milliseconds for step in asked.steps if isinstance(step, Wait)]
    assert waits == [RETURNS_MS, BLOCKS_MS, SPINS_MS]


def test_what_needs_no_other_vcpu_is_shrunk_to_a_call_that_is_waited_for():
    contract = CONTRACTS["arm64"](FACTS["arm64"])
    begun = Action("call", 0, (0x84000000,), int(Mode.ASYNC | Mode.KEEP))
    found = Sequence("arm64", Configuration(2), (begun, Action("get_state", 1), Action("wait", 0)))

    def disagrees(sequence):
        return any(one.values == begun.values for one in sequence.actions)

    left = generate.drop_actions(contract, found, disagrees)
    assert left.actions == (Action("call", 0, begun.values),)
