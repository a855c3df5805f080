"""PSCI events of machines as VMMs make them: from any vCPU, beside any peers, with a GIC in the kernel.

In the other files of this folder vCPU 0 calls, on a machine without an interrupt controller. KVM can do otherwise for a
caller that is not the first vCPU, or is the last: it stops vCPUs in a loop. For peers that sleep in WFI, or never ran,
which wait elsewhere (kvm_vcpu_wfi, kvm_vcpu_sleep). And with a GIC, whose state is saved around each sleep, and decides
what wakes. So every call is made where only caller and peers differ, where only the GIC does, and by the last of
four vCPUs, with or without a GIC; not in all combinations. After the event every vCPU gets a reason to run: a pending
interrupt, or another KVM_RUN.
"""

from sysevent.abi.events import EventType, ResetFlag, ShutdownFlag
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import INTERNAL_FAILURE, RESET2_VENDOR_FIRST, Function
from sysevent.contract.arm64 import (
    CAP_SUSPEND,
    IRQCHIPS,
    OFF2,
    PREPARE,
    RESET2,
    STOPS,
    guest_continues,
    unchanged_registers,
)
from sysevent.contract.checks import PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Counters
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.scenario.arm64 import CONTEXT, COOKIE, ENABLE_SUSPEND, RAM
from sysevent.scenario.arm64_peers import event_from, peers_of
from sysevent.scenario.configuration import Configuration, Peers

ALL = ("off", "reset", "reset2", "reset2_64", "off2", "off2_64", "suspend", "suspend_64")
# Each configuration, with its calls. suites/peers has peers that run for each call of vCPU 0.
WHERE = (
    (Configuration(vcpus=2, caller=1, peers=Peers.UNSTARTED), ALL),
    (Configuration(irqchip="gicv3"), ALL),
    (Configuration(vcpus=4, caller=3, peers=Peers.ASLEEP), ("off", "reset2", "off2_64", "suspend")),
    (
        Configuration(irqchip="gicv3", vcpus=4, caller=3, peers=Peers.ASLEEP),
        ("reset", "reset2_64", "off2", "suspend_64"),
    ),
    (Configuration(irqchip="gicv2", vcpus=2, caller=1, peers=Peers.ASLEEP), ALL),
    (Configuration(vcpus=4, caller=3, peers=Peers.RUNNING), ("reset2_64",)),
    (Configuration(irqchip="gicv3", vcpus=2, caller=1, peers=Peers.RUNNING), ("off", "suspend")),
)

LOW = 0xFFFF_FFFF
# Upper halves of arguments, which a 32-bit call loses.
UPPER = 0xDEAD_0000_0000_0000
# fmt: off
# End of the claim's name, registers of the call, type and data of its event, x0 to x3 at the exit, needs.
CALLS = (
    ("off", (Function.SYSTEM_OFF,), EventType.SHUTDOWN, (0,), (INTERNAL_FAILURE, 0, 0, 0), ()),
    ("reset", (Function.SYSTEM_RESET,), EventType.RESET, (0,), (INTERNAL_FAILURE, 0, 0, 0), ()),
    ("reset2", (Function.SYSTEM_RESET2, UPPER | RESET2_VENDOR_FIRST, COOKIE, UPPER | 3),
     EventType.RESET, (ResetFlag.PSCI_RESET2,), (INTERNAL_FAILURE, RESET2_VENDOR_FIRST, COOKIE & LOW, 3), (RESET2,)),
    ("reset2_64", (Function.SYSTEM_RESET2_64, UPPER | RESET2_VENDOR_FIRST, COOKIE, UPPER | 3),
     EventType.RESET, (ResetFlag.PSCI_RESET2,), (INTERNAL_FAILURE, UPPER | RESET2_VENDOR_FIRST, COOKIE, UPPER | 3),
     (RESET2,)),
    ("off2", (Function.SYSTEM_OFF2, UPPER | 1, UPPER),
     EventType.SHUTDOWN, (ShutdownFlag.PSCI_OFF2,), (INTERNAL_FAILURE, 0, 0, 0), (OFF2,)),
    ("off2_64", (Function.SYSTEM_OFF2_64, UPPER | 1, 0),
     EventType.SHUTDOWN, (ShutdownFlag.PSCI_OFF2,), (INTERNAL_FAILURE, 0, 0, 0), (OFF2,)),
)
SUSPENDS = (
    ("suspend", (Function.SYSTEM_SUSPEND, UPPER | RAM, UPPER | CONTEXT, UPPER | 3),
     (Function.SYSTEM_SUSPEND, RAM, CONTEXT, 3)),
    ("suspend_64", (Function.SYSTEM_SUSPEND_64, UPPER | RAM, UPPER | CONTEXT, UPPER | 3),
     (Function.SYSTEM_SUSPEND_64, UPPER | RAM, UPPER | CONTEXT, UPPER | 3)),
)
# fmt: on


def caller_holds(*values):
    """Return the checks of the caller's registers at the exit: x0 to x3, and that the call changed no other."""
    return (
        *(RegisterHolds(f"x{n}", value) for n, value in enumerate(values)),
        *unchanged_registers(4),
        PcAt("call.returned", "pc"),
    )


def stopped(where):
    """Return the checks that no vCPU runs after a final event, and that KVM wrote to no kvm_run but the caller's."""
    waits = ("again", *(f"peer {peer}" for peer in peers_of(where)))
    counters = Counters(
        "counted at the exit", "counted later", where.vcpus, running=False, caller=where.caller
    )
    return (
        *(check for label in waits for check in (Blocks(label), Written((), label))),
        *((counters,) if where.peers else ()),
        *(BufferHolds(f"mp_state {vcpu}", MpState.STOPPED) for vcpu in range(where.vcpus)),
    )


def going_on(where, x0):
    """Return the checks that every vCPU goes on after SYSTEM_SUSPEND."""
    counters = Counters(
        "counted at the exit", "counted later", where.vcpus, running=True, caller=where.caller
    )
    return (
        *guest_continues(x0, "again"),
        *(
            check
            for peer in peers_of(where)
            for check in (Blocks(f"peer {peer}"), Written((), f"peer {peer}"))
        ),
        *((counters,) if where.peers else ()),
        *(BufferHolds(f"mp_state {vcpu}", MpState.RUNNABLE) for vcpu in range(where.vcpus)),
    )


def final(call, where):
    """Return the claim about a call after which no vCPU runs."""
    name, registers, kind, data, at_exit, needs = call
    after = (*caller_holds(*at_exit), *stopped(where))
    return ExitClaim(
        where.title(f"psci.{name}"),
        f"PSCI {name.upper()} of vCPU {where.caller} of {where.vcpus} exits with its own type and data and the "
        "promised registers; no vCPU runs then, all are STOPPED, and no other kvm_run is written.",
        asks=event_from(f"psci.{name}", where, registers, final=True),
        gives=(*system_event(kind, *data), *after),
        before_5_18=(*old_system_event(kind, *data), *after),
        source=f"{API}; {PREPARE}; {STOPS}",
        needs=(*needs, *IRQCHIPS[where.irqchip]),
    )


def suspend(call, where):
    """Return the claim about a call that stops no vCPU."""
    name, registers, at_exit = call
    return ExitClaim(
        where.title(f"psci.{name}"),
        f"PSCI {name.upper()} of vCPU {where.caller} of {where.vcpus} exits with no data and changes no register; "
        "every vCPU is RUNNABLE and goes on, and no other kvm_run is written.",
        asks=event_from(f"psci.{name}", where, registers, ENABLE_SUSPEND, final=False),
        gives=(*system_event(EventType.SUSPEND), *caller_holds(*at_exit), *going_on(where, at_exit[0])),
        source=f"{API}; arch/arm64/kvm/psci.c, kvm_psci_system_suspend",
        needs=(CAP_SUSPEND, *IRQCHIPS[where.irqchip]),
    )


CLAIMS = claims(
    *(final(call, where) for where, names in WHERE for call in CALLS if call[0] in names),
    *(suspend(call, where) for where, names in WHERE for call in SUSPENDS if call[0] in names),
)


@CLAIMS.each
def test_dimensions(check, claim):
    """The event is the same from every vCPU, beside all peers, and with an interrupt controller in the kernel."""
    check(claim)
