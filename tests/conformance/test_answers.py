"""What the models predict where one action depends on another: kicks, NMIs, machine checks, SMCs, SUSP."""

import struct

import msgspec
from conformance.model_kernels import FACTS, changed

from sysevent.abi import kvm_run, psci, sbi
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import MSR_RESET
from sysevent.abi.mp_state import MpState
from sysevent.conformance.contract import Configuration
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.judge import judge
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.play import Sequence
from sysevent.conformance.simulation import observation
from sysevent.model import Answer
from sysevent.scenario.arm64 import RAM
from sysevent.scenario.riscv64 import STARTED_AT
from sysevent.scenario.x86_64_state import CORRECTED, UNCORRECTED

X86, ARM64, RISCV64 = (CONTRACTS[arch](FACTS[arch]) for arch in ("x86_64", "arm64", "riscv64"))
ONE, APIC = Configuration(1), Configuration(2, "split")
RETURNS = Action("call", 0, (MSR_RESET, 0))
# The bytes of hypercall.ret in kvm_run.
RET = kvm_run.UNION[0] + 56


def seen(contract, *actions, made=ONE):
    """Return the sequence of some actions, and what a kernel gives that follows the model."""
    sequence = Sequence(contract.arch, made, actions)
    return sequence, observation(contract, sequence)


def reasons(contract, *actions, made=ONE):
    """Return the exit reason of each KVM_RUN."""
    _, given = seen(contract, *actions, made=made)
    return [struct.unpack_from("<I", raw.head, 8)[0] for raw in given.exits.values()]


def errors(contract, *actions):
    """Return the error number of each ioctl."""
    return [answer.errno for answer in seen(contract, *actions)[1].answers.values()]


def test_a_kick_wakes_a_vcpu_that_sleeps_once():
    halted, get, run = Action("set_state", 0, (MpState.HALTED,)), Action("get_state", 0), Action("run")
    runs = Action("set_state", 1, (MpState.RUNNABLE,))
    actions = (runs, RETURNS, halted, Action("kick_cpu", 1, (0,)), get, run, halted, get, run)
    _, given = seen(X86, *actions, made=APIC)
    states = [answer.data[0] for label, answer in given.answers.items() if "get_state" in label]
    assert states == [MpState.RUNNABLE, MpState.HALTED]
    assert [raw.kicked for raw in given.exits.values()] == [False, False, False, True]


def test_the_result_of_a_hypercall_may_be_in_kvm_run():
    sequence, given = seen(X86, Action("kick_cpu", 0, (0,)), made=APIC)
    ((label, raw),) = given.exits.items()
    for result, follows in ((bytes(8), True), (b"\1" + bytes(7), False)):
        other = msgspec.structs.replace(given, exits={label: changed(raw, RET, result)})
        assert (judge(X86, sequence, other).disagreement is None) is follows


def test_an_nmi_ends_a_guest_without_an_idt():
    nmi = Action("nmi", 0)
    assert reasons(X86, RETURNS, nmi, Action("run")) == [ExitReason.IO, ExitReason.SHUTDOWN]
    # Masked since: it comes when KVM_SET_VCPU_EVENTS has cleared that.
    assert reasons(X86, nmi, RETURNS, nmi, RETURNS) == [ExitReason.SHUTDOWN, ExitReason.IO]
    unmask = Action("triple_fault", 0, (0,))
    assert reasons(X86, nmi, RETURNS, nmi, unmask, RETURNS) == [ExitReason.SHUTDOWN] * 2


def test_an_nmi_waits_for_a_signal_and_for_events():
    signalled, run = Action("run", 0, (), Mode.SIGNALLED), Action("run")
    actions = (RETURNS, Action("nmi", 0), signalled, run)
    assert reasons(X86, *actions) == [ExitReason.IO, ExitReason.INTR, ExitReason.SHUTDOWN]
    actions = (RETURNS, Action("nmi", 0), Action("set_msr", 0, (MSR_RESET, 1)), run, run)
    assert reasons(X86, *actions) == [ExitReason.IO, ExitReason.SYSTEM_EVENT, ExitReason.SHUTDOWN]


def test_a_machine_check_shuts_down_once_it_is_set_up():
    check, set_up = Action("mce", 0, (UNCORRECTED,)), Action("set_up_mce", 0)
    assert reasons(X86, check, RETURNS) == [ExitReason.IO]
    assert reasons(X86, set_up, Action("mce", 0, (CORRECTED,)), RETURNS) == [ExitReason.IO]
    assert reasons(X86, set_up, check, RETURNS, Action("run")) == [ExitReason.SHUTDOWN, ExitReason.IO]
    assert errors(X86, Action("mce", 0, (0,))) == [Errno.EINVAL]


def test_an_smc_is_a_call_as_an_hvc_is():
    off = (psci.Function.SYSTEM_OFF, 0, 0, 0)
    exits = [next(iter(seen(ARM64, Action(kind, 0, off))[1].exits.values())) for kind in ("call", "smc")]
    hvc, smc = ([*one.registers] for one in exits)
    assert exits[0].head == exits[1].head
    assert (hvc.pop(-2), smc.pop(-2)) == (RAM + 4, RAM + 20)
    assert hvc == smc


def test_a_filter_is_refused_for_its_range_and_its_time():
    first = psci.Function.SYSTEM_OFF
    deny = Action("filter", 0, (first, 2, 1))
    wrong = ((first, 0, 1), (first, 1, 3), (0xFFFF_FFFF, 2, 1), (0x8000_FFFF, 2, 1), (first + 1, 4, 2))
    found = errors(ARM64, deny, *(Action("filter", 0, one) for one in wrong))
    assert found == [0, *[Errno.EINVAL] * 3, *[Errno.EEXIST] * 2]
    late = Action("run", 0, (), Mode.IMMEDIATE), deny
    assert errors(ARM64, Action("call", 0, (psci.VERSION,), Mode.IMMEDIATE), *late) == [Errno.EBUSY]


def test_a_filter_may_come_before_a_kvm_run_that_is_not_waited_for():
    begun, deny = Action("call", 0, (psci.VERSION,), Mode.ASYNC), Action("filter", 0, (psci.VERSION, 1, 1))
    sequence, given = seen(ARM64, begun, deny, Action("wait", 0))
    for errno, x0 in ((Errno.EBUSY, psci.version(1, 3)), (0, psci.NOT_SUPPORTED)):
        (raw,), (ioctl,) = given.exits.values(), given.answers
        exits = {
            label: msgspec.structs.replace(
                changed(raw, kvm_run.MMIO_ADDRESS.offset + 8, struct.pack("<Q", x0)),
                registers=(x0, *raw.registers[1:]),
            )
            for label in given.exits
        }
        other = msgspec.structs.replace(given, exits=exits, answers={ioctl: Answer(-bool(errno), errno, b"")})
        assert judge(ARM64, sequence, other).disagreement is None


def test_a_filter_denies_and_forwards():
    reset, off = psci.Function.SYSTEM_RESET, psci.Function.SYSTEM_OFF
    filters = Action("filter", 0, (reset, 1, 1)), Action("filter", 0, (off, 1, 2))
    denied, forwarded = Action("call", 0, (reset, 7, 7, 7)), Action("smc", 0, (off, 7, 7, 7))
    # The store behind the call is completed before the program counter is set.
    completed = Action("run", 0, (), Mode.IMMEDIATE)
    _, given = seen(ARM64, *filters, denied, completed, forwarded, Action("run"))
    first, _, second, third = given.exits.values()
    assert first.registers[:4] == (psci.NOT_SUPPORTED, 0, 0, 0)
    words = struct.unpack_from("<9Q", second.head, kvm_run.UNION[0])
    assert struct.unpack_from("<I", second.head, 8)[0] == ExitReason.HYPERCALL
    assert words == (off, *[0] * 7, 1)
    assert struct.unpack_from("<I", third.head, 8)[0] == ExitReason.MMIO


SUSPENDS = (0, STARTED_AT, 7, 3, 4, 5, 0, sbi.SUSP)


def test_system_suspend_is_completed_and_then_begins_at_its_address():
    on, kept = Action("enable_susp", 0, (1,)), Action("run", 0, (), Mode.KEEP | Mode.IMMEDIATE)
    _, given = seen(RISCV64, on, Action("call", 0, SUSPENDS), kept, Action("run"))
    forwarded, completed, begun = given.exits.values()
    words = struct.unpack_from("<10Q", forwarded.head, kvm_run.UNION[0])
    assert struct.unpack_from("<I", forwarded.head, 8)[0] == ExitReason.RISCV_SBI
    assert words == (sbi.SUSP, 0, *SUSPENDS[:6], sbi.NOT_SUPPORTED, 0)
    # The program counter, then x1 and so on: a0 is x10.
    assert completed.registers[0] == forwarded.registers[0] + 4
    assert completed.registers[10:12] == (sbi.NOT_SUPPORTED, 0)
    assert struct.unpack_from("<Q", begun.head, kvm_run.MMIO_ADDRESS.offset + 8)[0] == SUSPENDS[2]


def test_system_suspend_needs_userspace_and_stopped_harts():
    call, on = Action("call", 0, SUSPENDS), Action("enable_susp", 0, (1,))
    others = Action("set_state", 1, (MpState.RUNNABLE,))
    for actions, error in (((call,), sbi.NOT_SUPPORTED), ((on, others, call), sbi.DENIED)):
        _, given = seen(RISCV64, *actions, made=Configuration(2))
        (raw,) = given.exits.values()
        assert raw.registers[10] == error
    assert errors(RISCV64, on, Action("enable_susp", 0, (2,)), call, on) == [0, Errno.EINVAL, Errno.EBUSY]
