"""vCPUs of one guest that cause system events at the same time: each has exactly its own one.

All vCPUs wait for each other, then each writes its MSR. The requests (KVM_REQ_HV_RESET, KVM_REQ_HV_CRASH) and kvm_run
are those of a vCPU (arch/x86/kvm/x86.c, vcpu_enter_guest), so that no exit may be lost, repeated or mixed with that of
another vCPU.
"""

from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Exits
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.contract.x86_64 import BY_TITLE, ENTER, HYPERV, MSRS, guest_continues
from sysevent.scenario.steps import Entry, Start, Wait, run
from sysevent.scenario.x86_64 import COUNTERS, NO_MSR, registers, scenario, vm_with_vcpus

CRASH = BY_TITLE["crash"]


def waits_for(vcpus, msr, value):
    """Return the registers of a vCPU that writes an MSR as soon as so many vCPUs have arrived."""
    eax, _, ecx, edx, *_ = registers(msr, value)
    return (eax, COUNTERS, ecx, edx, vcpus)


def at_once(name, *writes):
    """Return the scenario: vCPU n makes the nth of these writes, all at once. What caused an event runs on then."""
    vcpus = range(len(writes))
    return scenario(
        name,
        *vm_with_vcpus("wrmsr", vcpus=len(writes)),
        *(
            Entry("wrmsr", waits_for(len(writes), *write), vcpu, "at_once")
            for vcpu, write in enumerate(writes)
        ),
        *map(Start, vcpus),
        *(Wait(f"exit {vcpu}", vcpu) for vcpu in vcpus),
        *(step for vcpu in vcpus if writes[vcpu][0] != NO_MSR for step in run(f"again {vcpu}", vcpu)),
    )


def events(checks):
    """Return the checks that each vCPU has its own event, once. The function gives the checks of one event."""
    return tuple(
        check
        for vcpu, msr in enumerate(MSRS)
        for check in (
            *checks(msr.event_type, label=f"exit {vcpu}"),
            *guest_continues(f"again {vcpu}"),
        )
    )


CLAIMS = claims(
    ExitClaim(
        "at_once.reset_and_crash",
        "If two vCPUs write the reset and the crash MSR at once, each exits with its own event, once.",
        asks=at_once("at_once.reset_and_crash", *((msr.index, msr.value) for msr in MSRS)),
        gives=events(system_event),
        before_5_18=events(old_system_event),
        source=f"{API}; {ENTER}",
        needs=(HYPERV,),
        abi="x86_64",
    ),
    ExitClaim(
        "at_once.crash_and_triple_fault",
        "If one vCPU crashes while another one triple-faults, the first exits as CRASH, the second as SHUTDOWN.",
        asks=at_once("at_once.crash_and_triple_fault", (CRASH.index, CRASH.value), (NO_MSR, 0)),
        gives=(
            *system_event(CRASH.event_type, label="exit 0"),
            Exits(ExitReason.SHUTDOWN, "exit 1"),
            *guest_continues("again 0"),
        ),
        before_5_18=(
            *old_system_event(CRASH.event_type, label="exit 0"),
            Exits(ExitReason.SHUTDOWN, "exit 1"),
            *guest_continues("again 0"),
        ),
        source=f"{API}; {ENTER}",
        needs=(HYPERV,),
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_at_once(check, claim):
    """No event is lost, repeated, or mixed with another one."""
    check(claim)
