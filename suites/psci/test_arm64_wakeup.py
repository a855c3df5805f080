"""WAKEUP events of machines as VMMs make them: of any vCPU, beside any peers, with a GIC in the kernel (since v5.19).

Userspace makes one vCPU SUSPENDED, which blocks in KVM_RUN, and an interrupt for it becomes pending. KVM ends KVM_RUN
with type WAKEUP and no data, as long as the interrupt is pending, and not without. What is pending is decided by the
CPU's own input, or by the GIC's state, which KVM saves before the vCPU sleeps (kvm_vcpu_wfi). The peers go on. Source:
api.rst, KVM_SYSTEM_EVENT_WAKEUP, KVM_MP_STATE_SUSPENDED; 7b33a09d036f.
"""

from sysevent.abi.events import EventType
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import Function
from sysevent.contract.arm64 import CAP_SUSPEND, FINAL, IRQCHIPS, STOPS
from sysevent.contract.checks import PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Counters
from sysevent.contract.system_events import API, system_event
from sysevent.scenario import gic, ioctls
from sysevent.scenario.arm64 import COUNTERS, registers, scenario
from sysevent.scenario.arm64_peers import count, machine, mp_states, peers_of
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.steps import SETTLE_MS, Entry, Sleep, Start, Wait, Watch, run

WAKES = "arch/arm64/kvm/arm.c, kvm_vcpu_suspend; 7b33a09d036f, v5.19"
WHERE = (
    Configuration(vcpus=2, caller=1, peers=Peers.RUNNING),
    Configuration(vcpus=4, caller=3, peers=Peers.ASLEEP),
    Configuration(irqchip="gicv3"),
    Configuration(irqchip="gicv3", vcpus=4, caller=3, peers=Peers.ASLEEP),
    Configuration(irqchip="gicv2", vcpus=2, caller=1, peers=Peers.ASLEEP),
)
# A SUSPENDED peer, whose event must not come when another vCPU ends the system.
SUSPENDED = (Configuration(vcpus=2), Configuration(irqchip="gicv3", vcpus=2))
# Milliseconds in which a SUSPENDED vCPU enters KVM_RUN and blocks.
BEGIN_MS = 2
CALLER_OFF = registers(Function.SYSTEM_OFF)


def woken(where):
    """Return the scenario: the vCPU blocks as SUSPENDED, wakes twice, blocks again, and is made RUNNABLE."""
    caller = where.caller
    return scenario(
        where.title("suspend.wakeup"),
        *machine(where, *gic.accept_interrupts(where.irqchip, caller)),
        Entry("call", CALLER_OFF, caller),
        ioctls.set_mp_state(caller, MpState.SUSPENDED),
        Start(caller),
        Sleep(BEGIN_MS),
        gic.set_line(where.irqchip, caller, 1),
        Wait("wakeup", caller),
        *run("wakeup again", caller),
        gic.set_line(where.irqchip, caller, 0),
        *run("asleep", caller, milliseconds=SETTLE_MS),
        *(Wait(f"peer {peer}", peer, 1) for peer in peers_of(where)),
        *mp_states(where),
        ioctls.set_mp_state(caller, MpState.RUNNABLE),
        *run("exit", caller),
        configuration=where,
    )


def peer_suspended(call, where):
    """Return the scenario: vCPU 0 makes a final call while vCPU 1 blocks as SUSPENDED; then an interrupt is pending."""
    return scenario(
        where.title(f"suspend.ended_by_{call.title}"),
        *machine(where, *gic.accept_interrupts(where.irqchip, 1), *call.setup),
        Entry("call", (0, COUNTERS + 8), 1, "spin"),
        ioctls.set_mp_state(1, MpState.SUSPENDED),
        Start(1),
        Sleep(BEGIN_MS),
        Entry("call", registers(*call.registers)),
        *run("exit"),
        gic.set_line(where.irqchip, 1, 1),
        Wait("suspended", 1, SETTLE_MS),
        *run("suspended still", 1, milliseconds=1),
        *mp_states(where),
        # Neither the interrupt nor the former state may count once the vCPU is RUNNABLE.
        ioctls.set_mp_state(1, MpState.RUNNABLE),
        count(where, "counted at the exit"),
        Start(1),
        Watch(COUNTERS + 8),
        count(where, "counted later"),
        Wait("runs", 1, 1),
        configuration=where,
    )


CLAIMS = claims(
    *(
        ExitClaim(
            where.title("suspend.wakeup"),
            f"vCPU {where.caller} of {where.vcpus}, SUSPENDED, exits as WAKEUP with no data whenever an interrupt is "
            "pending for it, and blocks otherwise; no other vCPU is affected.",
            asks=woken(where),
            gives=(
                *system_event(EventType.WAKEUP, label="wakeup"),
                *(RegisterHolds(f"x{n}", value, "wakeup") for n, value in enumerate(CALLER_OFF)),
                PcAt("call._start", "pc", "wakeup"),
                *system_event(EventType.WAKEUP, label="wakeup again"),
                *(
                    check
                    for label in ("asleep", *(f"peer {peer}" for peer in peers_of(where)))
                    for check in (Blocks(label), Written((), label))
                ),
                *(
                    BufferHolds(
                        f"mp_state {vcpu}", MpState.SUSPENDED if vcpu == where.caller else MpState.RUNNABLE
                    )
                    for vcpu in range(where.vcpus)
                ),
                *system_event(EventType.SHUTDOWN, 0),
            ),
            source=f"{API}; {WAKES}",
            needs=(CAP_SUSPEND, *IRQCHIPS[where.irqchip]),
        )
        for where in WHERE
    ),
    *(
        ExitClaim(
            where.title(f"suspend.ended_by_{call.title}"),
            f"{call.words} stops a peer that blocks as SUSPENDED: it does not exit as WAKEUP, whatever is pending, and "
            "runs once it is RUNNABLE.",
            asks=peer_suspended(call, where),
            gives=(
                *system_event(call.event_type, *call.event_data),
                Blocks("suspended"),
                Written((), "suspended"),
                Blocks("suspended still"),
                Written((), "suspended still"),
                BufferHolds("mp_state 0", MpState.STOPPED),
                BufferHolds("mp_state 1", MpState.STOPPED),
                Counters("counted at the exit", "counted later", 2, running=True),
                Blocks("runs"),
                Written((), "runs"),
            ),
            source=f"{STOPS}; {WAKES}",
            needs=(CAP_SUSPEND, *call.needs, *IRQCHIPS[where.irqchip]),
        )
        for where, call in zip(SUSPENDED, (FINAL[0], FINAL[2]), strict=True)
    ),
)


@CLAIMS.each
def test_wakeup(check, claim):
    """A pending interrupt, and nothing else, exits as WAKEUP while the vCPU is SUSPENDED."""
    check(claim)
