"""KVM_GET_MP_STATE and KVM_SET_MP_STATE on arm64: the states that a system event sets, set by userspace.

Userspace sets each state and reads it back, and enters KVM_RUN: a STOPPED vCPU blocks, however often it is entered, and
a RUNNABLE one runs. A vCPU with the feature KVM_ARM_VCPU_POWER_OFF begins as STOPPED. SUSPENDED exists since v5.19
(7b33a09d036f). Source: api.rst, KVM_GET_MP_STATE, KVM_SET_MP_STATE; arch/arm64/kvm/arm.c.
"""

from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.ioctls import Request
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import Function
from sysevent.contract.arm64 import CAP_SUSPEND
from sysevent.contract.checks import Exits, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Returns, Sleeps
from sysevent.contract.system_events import old_system_event, system_event
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import IRQ_OFF, IRQ_ON, registers, scenario, vcpu_init, vm_with_vcpus
from sysevent.scenario.steps import BLOCKED_MS, SETTLE_MS, Entry, Ioctl, run

DOC = "Documentation/virt/kvm/api.rst, KVM_GET_MP_STATE, KVM_SET_MP_STATE"
SOURCE = f"{DOC}; arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_set_mpstate"
INIT = "Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT, KVM_ARM_VCPU_POWER_OFF"
# Every state that include/uapi/linux/kvm.h has for any architecture, the next number, and two with a valid low half.
# The others follow STOPPED, so that it shows if one of them changes the state.
STATES = (*range(MpState.SUSPENDED + 2), 0x1_0000, 0xFFFF_FFFF)
REFUSED = tuple(state for state in STATES if state not in tuple(MpState))
CALLS_OFF = Entry("call", registers(Function.SYSTEM_OFF))

VALUES = scenario(
    "mp_state.values",
    *vm_with_vcpus(),
    ioctls.get_mp_state(0, "get at first"),
    ioctls.set_mp_state(0, MpState.STOPPED, "set STOPPED"),
    ioctls.get_mp_state(0, "get STOPPED"),
    *(
        step
        for state in REFUSED
        for step in (ioctls.set_mp_state(0, state, f"set {state}"), ioctls.get_mp_state(0, f"get {state}"))
    ),
    ioctls.set_mp_state(0, MpState.SUSPENDED, "set SUSPENDED"),
    ioctls.get_mp_state(0, "get SUSPENDED"),
    ioctls.set_mp_state(0, MpState.RUNNABLE, "set RUNNABLE"),
    ioctls.get_mp_state(0, "get RUNNABLE"),
    CALLS_OFF,
    *run("exit"),
)
# Userspace stops a vCPU, with an interrupt pending; then it lets it run.
STOPPED = scenario(
    "mp_state.stopped",
    *vm_with_vcpus(),
    CALLS_OFF,
    ioctls.set_mp_state(0, MpState.STOPPED),
    *run("first", milliseconds=SETTLE_MS),
    IRQ_ON,
    # Long, so that the CPU time of its beginning and end is little of it, on a busy machine as well.
    *run("second", milliseconds=BLOCKED_MS),
    IRQ_OFF,
    *run("third", milliseconds=1),
    ioctls.get_mp_state(0, "mp_state"),
    ioctls.set_mp_state(0, MpState.RUNNABLE),
    *run("exit"),
)
# Userspace suspends a vCPU and stops it then, and the other way round.
SUSPENDED = scenario(
    "mp_state.suspended",
    *vm_with_vcpus(),
    CALLS_OFF,
    IRQ_ON,
    ioctls.set_mp_state(0, MpState.SUSPENDED),
    ioctls.set_mp_state(0, MpState.STOPPED),
    *run("stopped", milliseconds=SETTLE_MS),
    ioctls.get_mp_state(0, "mp_state stopped"),
    ioctls.set_mp_state(0, MpState.SUSPENDED),
    *run("wakeup"),
    ioctls.get_mp_state(0, "mp_state suspended"),
    IRQ_OFF,
    *run("asleep", milliseconds=SETTLE_MS),
    *run("asleep still", milliseconds=BLOCKED_MS),
    ioctls.set_mp_state(0, MpState.RUNNABLE),
    *run("exit"),
)
# A vCPU that is created off, runs, and is initialized as off again.
CREATED = scenario(
    "mp_state.power_off",
    *vm_with_vcpus(off=(0,)),
    ioctls.get_mp_state(0, "mp_state created"),
    CALLS_OFF,
    *run("created", milliseconds=SETTLE_MS),
    ioctls.set_mp_state(0, MpState.RUNNABLE),
    *run("exit"),
    ioctls.set_mp_state(0, MpState.RUNNABLE),
    Ioctl(0, Request.ARM_VCPU_INIT, buffer=vcpu_init(off=True)),
    ioctls.get_mp_state(0, "mp_state off"),
    CALLS_OFF,
    *run("off", milliseconds=SETTLE_MS),
)


def blocked(*labels):
    """Return the checks that each of these KVM_RUN blocked and wrote nothing to the union."""
    return tuple(check for label in labels for check in (Blocks(label), Written((), label)))


CLAIMS = claims(
    ExitClaim(
        "mp_state.values",
        "KVM_SET_MP_STATE takes RUNNABLE and STOPPED, and KVM_GET_MP_STATE returns them; it refuses the states of "
        "other architectures with EINVAL, and leaves the vCPU as it was.",
        asks=VALUES,
        gives=(
            BufferHolds("get at first", MpState.RUNNABLE),
            Returns("set STOPPED"),
            BufferHolds("get STOPPED", MpState.STOPPED),
            *(
                check
                for state in REFUSED
                for check in (
                    Returns(f"set {state}", errno=Errno.EINVAL),
                    BufferHolds(f"get {state}", MpState.STOPPED),
                )
            ),
            Returns("set RUNNABLE"),
            BufferHolds("get RUNNABLE", MpState.RUNNABLE),
            Exits(ExitReason.SYSTEM_EVENT),
        ),
        source=SOURCE,
    ),
    ExitClaim(
        "mp_state.values.suspended",
        "KVM_SET_MP_STATE takes SUSPENDED, and KVM_GET_MP_STATE returns it.",
        asks=VALUES,
        gives=(Returns("set SUSPENDED"), BufferHolds("get SUSPENDED", MpState.SUSPENDED)),
        source=f"{SOURCE}; 7b33a09d036f, v5.19",
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "mp_state.stopped",
        "A vCPU that userspace stops blocks in each KVM_RUN, with or without an interrupt, until it is RUNNABLE.",
        asks=STOPPED,
        gives=(
            *blocked("first", "second", "third"),
            BufferHolds("mp_state", MpState.STOPPED),
            *system_event(EventType.SHUTDOWN, 0),
        ),
        before_5_18=(
            *blocked("first", "second", "third"),
            BufferHolds("mp_state", MpState.STOPPED),
            *old_system_event(EventType.SHUTDOWN, 0),
        ),
        source=SOURCE,
    ),
    ExitClaim(
        "mp_state.suspended",
        "The last state that userspace set counts: a vCPU that was SUSPENDED blocks as STOPPED, and the other way "
        "round it wakes up; without an interrupt each KVM_RUN blocks until it is RUNNABLE.",
        asks=SUSPENDED,
        gives=(
            *blocked("stopped"),
            BufferHolds("mp_state stopped", MpState.STOPPED),
            *system_event(EventType.WAKEUP, label="wakeup"),
            BufferHolds("mp_state suspended", MpState.SUSPENDED),
            *blocked("asleep", "asleep still"),
            *system_event(EventType.SHUTDOWN, 0),
        ),
        source=f"{SOURCE}; kvm_vcpu_suspend",
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "mp_state.sleeps",
        "A vCPU that userspace stops sleeps in KVM_RUN: it uses no CPU time while it blocks.",
        asks=STOPPED,
        gives=(Blocks("first"), Blocks("second"), Sleeps(("first", "second"))),
        source="arch/arm64/kvm/arm.c, kvm_vcpu_sleep",
    ),
    ExitClaim(
        "mp_state.suspended.sleeps",
        "A vCPU that userspace suspends sleeps in KVM_RUN: it uses no CPU time while it blocks.",
        asks=SUSPENDED,
        gives=(Blocks("asleep"), Blocks("asleep still"), Sleeps(("asleep", "asleep still"))),
        source="arch/arm64/kvm/arm.c, kvm_vcpu_suspend",
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "mp_state.power_off",
        "A vCPU with the feature KVM_ARM_VCPU_POWER_OFF is STOPPED and blocks after each KVM_ARM_VCPU_INIT, "
        "until userspace makes it RUNNABLE.",
        asks=CREATED,
        gives=(
            BufferHolds("mp_state created", MpState.STOPPED),
            *blocked("created"),
            Exits(ExitReason.SYSTEM_EVENT),
            BufferHolds("mp_state off", MpState.STOPPED),
            *blocked("off"),
        ),
        source=INIT,
    ),
)


@CLAIMS.each
def test_mp_state(check, claim):
    """KVM_SET_MP_STATE decides whether KVM_RUN blocks, and KVM_GET_MP_STATE returns what was set."""
    check(claim)
