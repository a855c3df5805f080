"""Hyper-V's MSRs: the exit that a VMM reads when an x86 guest resets itself or reports a crash.

The guest executes one WRMSR (wrmsr() in src/sysevent/scenario/x86_64.py). KVM ends KVM_RUN with KVM_EXIT_SYSTEM_EVENT,
type RESET or CRASH, and ndata 0: KVM must write ndata, because the bytes of other exits are in the same place. ndata
exists since v5.18 (d495f942f40a); before, only type was written. Source: api.rst, KVM_EXIT_SYSTEM_EVENT; x86.c,
vcpu_enter_guest. Other values, or a guest that does not see the MSR in CPUID, must not cause an event.
"""

from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import CRASH_NOTIFY, CRASH_NOTIFY_MESSAGE, MSR_CRASH_CTL, MSR_RESET
from sysevent.abi.kvm_run import NDATA, TYPE, span
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import Exits, PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.contract.terms import Need
from sysevent.contract.x86_64 import ENFORCE_DOC, ENFORCES, ENTER, HYPERV, MSRS, TLFS, guest_continues
from sysevent.model import Level
from sysevent.scenario.x86_64 import BARE_CPUID, ENFORCE, HYPERV_CPUID, hyperv_cpuid, wrmsr

SET_MSR = "arch/x86/kvm/hyperv.c, kvm_hv_set_msr_pw"
GATED = Need("check of Hyper-V's CPUID", (6, 1), "hyperv.gated")

ASKS = {msr.title: wrmsr(f"hyperv.{msr.title}", msr.index, msr.value) for msr in MSRS}
# Suffix of the claim's name: MSR, value, and the write in words.
IGNORED = {
    "reset.value_0x0": (MSR_RESET, 0, "0 to HV_X64_MSR_RESET"),
    "reset.value_0x2": (MSR_RESET, 2, "2 to HV_X64_MSR_RESET"),
    "reset.value_0x3": (MSR_RESET, 3, "3 to HV_X64_MSR_RESET"),
    "reset.value_0x100000001": (MSR_RESET, 0x1_0000_0001, "1 with an upper half to HV_X64_MSR_RESET"),
    "crash.bit_62": (MSR_CRASH_CTL, CRASH_NOTIFY_MESSAGE, "the message bit alone to HV_X64_MSR_CRASH_CTL"),
    "crash.nothing": (MSR_CRASH_CTL, 0, "0 to HV_X64_MSR_CRASH_CTL"),
    "crash.value_0x1": (MSR_CRASH_CTL, 1, "1 to HV_X64_MSR_CRASH_CTL"),
    "crash.other_bits": (
        MSR_CRASH_CTL,
        CRASH_NOTIFY - 1,
        "every bit but the notify bit to HV_X64_MSR_CRASH_CTL",
    ),
}


def enforced(msr, word, cpuid):
    """Return the scenario of this write by a guest with these CPUID leaves, which KVM enforces."""
    return wrmsr(f"hyperv.enforced.{msr.title}.{word}", msr.index, msr.value, cpuid=cpuid, setup=(ENFORCE,))


CLAIMS = claims(
    *(
        ExitClaim(
            f"hyperv.{msr.title}",
            f"A guest's write to {msr.words} exits as {msr.event_name} with no data.",
            asks=ASKS[msr.title],
            gives=system_event(msr.event_type),
            before_5_18=old_system_event(msr.event_type),
            source=f"{API}; {ENTER}, KVM_REQ_HV_{msr.event_name}",
            needs=(HYPERV,),
        )
        for msr in MSRS
    ),
    ExitClaim(
        "hyperv.crash.message",
        "A crash with a message (bit 62) causes the same event as one without.",
        asks=wrmsr("hyperv.crash.message", MSR_CRASH_CTL, CRASH_NOTIFY | CRASH_NOTIFY_MESSAGE),
        gives=system_event(EventType.CRASH),
        before_5_18=old_system_event(EventType.CRASH),
        source=f"{API}; {TLFS}",
        needs=(HYPERV,),
    ),
    *(
        ExitClaim(
            f"hyperv.{msr.title}.written",
            f"For {msr.words} the kernel writes type and ndata (before v5.18 type alone), and leaves data[] as it "
            "was.",
            asks=ASKS[msr.title],
            gives=(Exits(ExitReason.SYSTEM_EVENT), Written((span(TYPE, NDATA),))),
            before_5_18=(Exits(ExitReason.SYSTEM_EVENT), Written((TYPE.span,))),
            source=f"{ENTER}: no memset; api.rst promises only the first ndata items",
            needs=(HYPERV,),
            level=Level.OBSERVED,
        )
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"hyperv.{msr.title}.state",
            f"After {msr.words} RIP is past the WRMSR, rbx, rsi and rdi are unchanged, and the vCPU is RUNNABLE.",
            asks=ASKS[msr.title],
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                PcAt("wrmsr.returned", "rip"),
                BufferHolds("mp_state", MpState.RUNNABLE),
                RegisterHolds("rbx", 0x5E01),
                RegisterHolds("rsi", 0x5E04),
                RegisterHolds("rdi", 0x5E05),
            ),
            source=f"{ENTER}: nothing stops a vCPU",
            needs=(HYPERV,),
        )
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"hyperv.{name}",
            f"Writing {words} causes no event: the guest goes on.",
            asks=wrmsr(f"hyperv.{name}", index, value),
            gives=guest_continues(),
            source=f"{TLFS}; {SET_MSR}",
            needs=(HYPERV,),
        )
        for name, (index, value, words) in IGNORED.items()
    ),
    ExitClaim(
        "hyperv.reset.read",
        "HV_X64_MSR_RESET reads as 0.",
        asks=wrmsr("hyperv.reset.read", MSR_RESET, 0x5E5E_5E5E_5E5E, symbol="rdmsr"),
        gives=(*guest_continues(), RegisterHolds("rax", 0), RegisterHolds("rdx", 0)),
        source=f"{TLFS}; arch/x86/kvm/hyperv.c, kvm_hv_get_msr_pw",
        needs=(HYPERV,),
    ),
    # Guests that may not use the MSR.
    *(
        ExitClaim(
            f"hyperv.no_cpuid.{msr.title}",
            f"A guest that does not see Hyper-V in CPUID gets #GP for {msr.words}, and causes no event.",
            asks=wrmsr(f"hyperv.no_cpuid.{msr.title}", msr.index, msr.value, cpuid=BARE_CPUID),
            gives=(Exits(ExitReason.SHUTDOWN),),
            source="arch/x86/kvm/hyperv.c, kvm_hv_set_msr_common: to_hv_vcpu",
            needs=(HYPERV, GATED),
        )
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"hyperv.enforced.{msr.title}.allowed",
            f"With enforced CPUID, a guest whose CPUID offers {msr.words} can use it.",
            asks=enforced(msr, "allowed", HYPERV_CPUID),
            gives=system_event(msr.event_type),
            before_5_18=old_system_event(msr.event_type),
            source=ENFORCE_DOC,
            needs=(HYPERV, ENFORCES),
        )
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"hyperv.enforced.{msr.title}.denied",
            f"With enforced CPUID, a guest whose CPUID does not offer {msr.words} gets #GP, and causes no event.",
            asks=enforced(
                msr, "denied", hyperv_cpuid(reset=msr.title != "reset", crash=msr.title != "crash")
            ),
            gives=(Exits(ExitReason.SHUTDOWN),),
            source=ENFORCE_DOC,
            needs=(HYPERV, ENFORCES),
        )
        for msr in MSRS
    ),
)


@CLAIMS.each
def test_msr(check, claim):
    """Each MSR has its type of event, with ndata 0; other writes cause no event."""
    check(claim)
