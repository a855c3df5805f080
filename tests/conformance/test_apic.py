"""What the model of x86 predicts of INIT and SIPI through local APICs in the kernel."""

import struct

import msgspec
from conformance import followed
from conformance.model_kernels import FACTS

from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import MSR_RESET
from sysevent.abi.mp_state import MpState
from sysevent.abi.x86_64 import MSI_INIT, MSI_STARTUP
from sysevent.conformance.contract import Configuration
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.judge import judge
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.play import Sequence
from sysevent.conformance.simulation import observation
from sysevent.explore.validity import valid
from sysevent.scenario.x86_64_machine import SIPI_VECTOR

X86 = CONTRACTS["x86_64"](FACTS["x86_64"])
STARTS = Configuration(3, "starts")
INIT, SIPI = Action("msi", 1, (MSI_INIT,)), Action("msi", 1, (MSI_STARTUP | SIPI_VECTOR,))
RUN, GET = Action("run", 1), Action("get_state", 1)
CALL = Action("call", 1, (MSR_RESET, 0))


def state(value):
    """Return KVM_SET_MP_STATE of vCPU 1."""
    return Action("set_state", 1, (value,))


RUNNABLE, HALTED, WAITS = (state(one) for one in (MpState.RUNNABLE, MpState.HALTED, MpState.INIT_RECEIVED))


def given(*actions, made=STARTS):
    return followed.given(X86, made, actions)


def reasons(*actions, made=STARTS):
    """Return the exit reason of each KVM_RUN; None for one that a signal has ended."""
    exits = given(*actions, made=made).exits.values()
    return [None if raw.kicked else struct.unpack_from("<I", raw.head, 8)[0] for raw in exits]


def states(*actions):
    """Return what each KVM_GET_MP_STATE gives."""
    return [raw.data[0] for label, raw in given(*actions).answers.items() if "get_state" in label]


def test_init_and_sipi_start_a_vcpu():
    assert states(GET, INIT, GET, SIPI, GET) == [
        MpState.UNINITIALIZED,
        MpState.INIT_RECEIVED,
        MpState.RUNNABLE,
    ]
    assert reasons(INIT, GET, SIPI, RUN) == [ExitReason.IO]
    assert reasons(INIT, GET, RUN) == [None]
    # At the page of the vector, again and again.
    assert reasons(INIT, SIPI, GET, RUN, RUN) == [ExitReason.IO] * 2


def test_kvm_run_of_an_uninitialized_vcpu_accepts_them():
    for sent in ((INIT,), (SIPI,), (INIT, SIPI)):
        (raw,) = given(*sent, RUN).exits.values()
        assert (raw.errno, raw.kicked) == (Errno.EAGAIN, False)
    assert states(INIT, RUN, GET) == [MpState.INIT_RECEIVED]
    assert states(INIT, SIPI, RUN, GET) == [MpState.RUNNABLE]
    assert states(SIPI, RUN, GET) == [MpState.UNINITIALIZED]


def test_an_init_takes_a_sipi_back():
    assert states(SIPI, INIT, GET) == [MpState.INIT_RECEIVED]


def test_an_init_resets_a_vcpu_that_has_a_program():
    assert reasons(RUNNABLE, CALL, INIT, RUN) == [ExitReason.IO, None]
    assert reasons(RUNNABLE, CALL, INIT, SIPI, RUN) == [ExitReason.IO] * 2
    # What is requested comes first.
    event = Action("set_msr", 1, (MSR_RESET, 1))
    assert reasons(RUNNABLE, CALL, event, INIT, RUN, RUN) == [ExitReason.IO, ExitReason.SYSTEM_EVENT, None]


def test_a_sipi_in_another_state_is_dropped_but_wakes():
    assert reasons(RUNNABLE, CALL, HALTED, RUN) == [ExitReason.IO, None]
    assert reasons(RUNNABLE, CALL, HALTED, SIPI, RUN) == [ExitReason.IO] * 2
    # KVM_GET_MP_STATE drops it before that.
    assert reasons(RUNNABLE, CALL, HALTED, SIPI, GET, RUN) == [ExitReason.IO, None]
    begun = Action("run", 1, (), Mode.ASYNC)
    assert reasons(RUNNABLE, CALL, HALTED, begun, SIPI, Action("wait", 1)) == [ExitReason.IO] * 2


def test_userspace_can_make_a_vcpu_wait_for_a_sipi():
    assert reasons(RUNNABLE, CALL, WAITS, RUN) == [ExitReason.IO, None]
    assert reasons(RUNNABLE, CALL, WAITS, SIPI, RUN) == [ExitReason.IO] * 2
    assert reasons(RUNNABLE, CALL, WAITS, RUNNABLE, RUN) == [ExitReason.IO] * 2


def test_a_message_returns_how_many_have_got_it():
    first, last = Action("msi", 0, SIPI.values), Action("msi", 2, INIT.values)
    for message, none in ((first, False), (last, True)):
        sequence = Sequence("x86_64", STARTS, (message, Action("get_state", message.vcpu)))
        seen = observation(X86, sequence)
        where, state_of = seen.answers
        waiting = MpState.RUNNABLE if message is first else MpState.UNINITIALIZED
        answers = {
            where: msgspec.structs.replace(seen.answers[where], ret=0),
            state_of: msgspec.structs.replace(seen.answers[state_of], data=struct.pack("<I", waiting)),
        }
        # KVM may not know the vCPU that was created last.
        other = msgspec.structs.replace(seen, answers=answers)
        assert (judge(X86, sequence, other).disagreement is None) is none


def test_without_local_apics_there_are_no_messages():
    answers = given(Action("msi", 0, (MSI_INIT,)), made=Configuration(1)).answers
    assert [answer.errno for answer in answers.values()] == [Errno.EINVAL]


def test_the_first_vcpu_gets_no_init():
    assert not valid(X86, Sequence("x86_64", STARTS, (Action("msi", 0, (MSI_INIT,)),)))
    assert not valid(X86, Sequence("x86_64", STARTS, (Action("nmi", 1),)))
