"""System events of an arm64 guest while something else happens: another vCPU's call, a signal, a third KVM_RUN.

Two vCPUs call at once: KVM stops all vCPUs at each call, so one event must come, or both; a vCPU that is stopped before
its call must not have a part of the other's event. A signal that userspace sends may come before or after the event,
which must come exactly once. And what an event stopped stays stopped, however often userspace kicks it: KVM asks for
sleep again after each signal (kvm_vcpu_sleep).
"""

from sysevent.abi.events import EventType, ResetFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import Function
from sysevent.contract.arm64 import BY_TITLE, IRQCHIPS, RESET2, STOPS
from sysevent.contract.checks import Exits, Holds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import AtLeastOneEvent, Blocks, BufferHolds, Interrupted, OneEventOfTwo
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import COOKIE, registers, scenario, vm_with_vcpus
from sysevent.scenario.arm64_peers import machine, mp_states
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.steps import SETTLE_MS, Entry, Sleep, Start, Wait, run

SLEEPS = "arch/arm64/kvm/arm.c, kvm_vcpu_sleep"
SIGNALS = "Documentation/virt/kvm/api.rst, KVM_RUN, KVM_SET_SIGNAL_MASK; virt/kvm/kvm_main.c, kvm_vcpu_ioctl"
RESETS = (Function.SYSTEM_RESET2, 0, COOKIE)
OFF_EVENT = (EventType.SHUTDOWN, (0,))
RESET_EVENT = (EventType.RESET, (ResetFlag.PSCI_RESET2,))
# Milliseconds in which one of two calls exits, on a busy machine, too.
FIRST_MS = 200
# Milliseconds in which all vCPUs that are entered block, or leave KVM_RUN.
ENTER_MS = 4

TOGETHER = (Configuration(vcpus=2), Configuration(irqchip="gicv3", vcpus=2))
AGAIN = (
    (Configuration(vcpus=2, caller=1, peers=Peers.RUNNING), BY_TITLE["reset2"]),
    (Configuration(irqchip="gicv3", vcpus=2, caller=1, peers=Peers.ASLEEP), BY_TITLE["off"]),
)


def together(where):
    """Return the scenario: vCPU 0 turns the system off while vCPU 1 resets it; then both are entered again."""
    return scenario(
        where.title("concurrent.calls"),
        *vm_with_vcpus(vcpus=2, irqchip=where.irqchip),
        Entry("call", registers(Function.SYSTEM_OFF)),
        Entry("call", registers(*RESETS), 1),
        Start(0),
        Start(1),
        # Most often vCPU 0 is first, and this is short.
        Wait("exit", 0, FIRST_MS),
        Wait("other", 1, SETTLE_MS),
        *mp_states(where),
        Start(0),
        Start(1),
        Wait("exit again", 0, ENTER_MS),
        Wait("other again", 1, 1),
        configuration=where,
    )


def again(where, call):
    """Return the scenario: after the event every vCPU is entered three times, and kicked each time."""
    vcpus = range(where.vcpus)
    return scenario(
        where.title(f"concurrent.kicks.{call.title}"),
        *machine(where),
        Entry("call", registers(*call.registers), where.caller),
        *run("exit", where.caller),
        *(Wait(f"peer {vcpu}", vcpu, 1) for vcpu in vcpus if vcpu != where.caller),
        *(
            step
            for turn in ("second", "third", "fourth")
            for step in (
                *(Start(vcpu) for vcpu in vcpus),
                Sleep(ENTER_MS),
                *(Wait(f"{turn} of {vcpu}", vcpu, 1) for vcpu in vcpus),
            )
        ),
        *mp_states(where),
        configuration=where,
    )


# A signal is sent as soon as KVM_RUN may have begun. Then the guest makes the call, or goes on behind it.
KICKED = scenario(
    "concurrent.kick",
    *vm_with_vcpus(),
    Entry("call", registers(*RESETS)),
    Start(0),
    Wait("kicked", 0, 0),
    ioctls.set_mp_state(0, MpState.RUNNABLE),
    *run("exit"),
)
# A signal is pending when KVM_RUN begins.
PENDING = scenario(
    "concurrent.signal",
    *vm_with_vcpus(),
    Entry("call", registers(*RESETS)),
    Start(0, signalled=True),
    Wait("signalled"),
    *run("exit"),
)


def stopped(where, *labels):
    """Return the checks that these KVM_RUN blocked and wrote nothing, and that every vCPU is STOPPED."""
    return (
        *(check for label in labels for check in (Blocks(label), Written((), label))),
        *(BufferHolds(f"mp_state {vcpu}", MpState.STOPPED) for vcpu in range(where.vcpus)),
    )


CLAIMS = claims(
    *(
        ExitClaim(
            where.title("concurrent.calls"),
            "Of SYSTEM_OFF and SYSTEM_RESET2 by two vCPUs at once one comes, or both, each with its own type and data; "
            "all vCPUs are STOPPED, and block when they are entered again.",
            asks=together(where),
            gives=(
                AtLeastOneEvent((("exit", *OFF_EVENT), ("other", *RESET_EVENT))),
                *stopped(where, "exit again", "other again"),
            ),
            source=f"{API}; {STOPS}",
            needs=(RESET2, *IRQCHIPS[where.irqchip]),
        )
        for where in TOGETHER
    ),
    *(
        ExitClaim(
            where.title(f"concurrent.kicks.{call.title}"),
            f"After {call.words} the second, third and fourth KVM_RUN of every vCPU block, too, and write nothing.",
            asks=again(where, call),
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                *stopped(
                    where,
                    *(f"{turn} of {vcpu}" for turn in ("second", "third", "fourth") for vcpu in range(2)),
                ),
            ),
            source=f"{STOPS}; {SLEEPS}",
            needs=(*call.needs, *IRQCHIPS[where.irqchip]),
        )
        for where, call in AGAIN
    ),
    ExitClaim(
        "concurrent.kick",
        "A signal sent at the time of the call costs no event and adds none: SYSTEM_RESET2 exits exactly once.",
        asks=KICKED,
        gives=(OneEventOfTwo("kicked", "exit", *RESET_EVENT),),
        source=f"{API}; {SIGNALS}",
        needs=(RESET2,),
    ),
    ExitClaim(
        "concurrent.signal",
        "With a signal pending KVM_RUN gives EINTR and writes nothing; the event comes at the next KVM_RUN.",
        asks=PENDING,
        gives=(
            Interrupted("signalled"),
            Written((), "signalled"),
            *system_event(EventType.RESET, ResetFlag.PSCI_RESET2),
        ),
        before_5_18=(
            Interrupted("signalled"),
            Written((), "signalled"),
            *old_system_event(EventType.RESET, ResetFlag.PSCI_RESET2),
        ),
        source=SIGNALS,
        needs=(RESET2,),
    ),
    ExitClaim(
        "concurrent.signal.reason",
        "KVM_RUN that a pending signal ends has the exit reason INTR.",
        asks=PENDING,
        gives=(Interrupted("signalled"), Holds("exit_reason", ExitReason.INTR, "signalled")),
        source="arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_run",
        needs=(RESET2,),
        level=Level.OBSERVED,
    ),
)


@CLAIMS.each
def test_concurrent(check, claim):
    """Each event comes once and whole, and what it stopped stays stopped."""
    check(claim)
