"""What an x86 guest's Hyper-V MSRs and triple faults must lead to: arch/x86/kvm/x86.c, hyperv.c."""

from __future__ import annotations

import functools

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType
from sysevent.abi.mp_state import MpState
from sysevent.contract.around import Contains, Gives
from sysevent.contract.checks import (
    At,
    Check,
    Exits,
    Holds,
    NothingBeyond,
    Register,
    RegisterOneOf,
    Written,
)
from sysevent.contract.claim import Claim, Need
from sysevent.contract.common import (
    API,
    CRASH,
    EXIT_IO,
    EXIT_SHUTDOWN,
    EXIT_SYSTEM_EVENT,
    RESET,
    capability,
    old_system_event,
    row,
    system_event,
)
from sysevent.model import Level
from sysevent.scenario.catalog.x86_64 import RETURNED_PORT

_row = functools.partial(row, "x86_64")
_observed = functools.partial(row, "x86_64", level=Level.OBSERVED)

ENTER = "arch/x86/kvm/x86.c, vcpu_enter_guest"
_SET_MSR = "arch/x86/kvm/hyperv.c, kvm_hv_set_msr_pw"
TLFS = "Hyper-V TLFS, 2.4.3 and 2.4.7"
_SHUTDOWN = "Documentation/virt/kvm/api.rst, 5.35 kvm_run; arch/x86/kvm/x86.c, KVM_REQ_TRIPLE_FAULT"
_INJECT = "Documentation/virt/kvm/api.rst, KVM_CAP_X86_TRIPLE_FAULT_EVENT; ed2351174e38, v6.0"
_ENFORCE = "Documentation/virt/kvm/api.rst, KVM_CAP_HYPERV_ENFORCE_CPUID"

HYPERV = Need(
    "Hyper-V enlightenments, and so none of the MSRs that this is about: it takes CONFIG_KVM_HYPERV=y (an option "
    "since v6.8, b4f69df0f65e); nothing of that is",
    None,
    Capability.HYPERV.on_system,
)
GATED = Need("check of Hyper-V's CPUID", (6, 1), "hyperv.gated")
ENFORCES = Need("KVM_CAP_HYPERV_ENFORCE_CPUID", (5, 14), Capability.HYPERV_ENFORCE_CPUID.on_system)
TRIPLE_FAULT_EVENT = Need(
    "KVM_CAP_X86_TRIPLE_FAULT_EVENT (ed2351174e38)", (6, 0), Capability.X86_TRIPLE_FAULT_EVENT.on_vm
)

SEV_ES = Need(
    "SEV-ES guest: it takes an AMD EPYC with SEV-ES enabled in the firmware, kvm_amd.sev_es=1, and a scenario that "
    "launches one through /dev/sev, which is not written; nothing of that is",
    None,
    "sev_es",
)
TDX = Need(
    "TDX guest: it takes an Intel CPU with TDX enabled in the firmware, Linux 6.16 with kvm_intel.tdx=1, and a "
    "scenario that launches a trust domain, which is not written; nothing of that is",
    None,
    "tdx",
)

# name: (what the guest does, the event's type, its name)
EVENTS = {
    "reset": ("HV_X64_MSR_RESET", RESET, "RESET"),
    "crash": ("HV_X64_MSR_CRASH_CTL with the notify bit", CRASH, "CRASH"),
}
# name: what the guest writes
_IGNORED = {
    "reset.value_0x0": "0 to HV_X64_MSR_RESET",
    "reset.value_0x2": "2 to HV_X64_MSR_RESET",
    "reset.value_0x3": "3 to HV_X64_MSR_RESET",
    "reset.value_0x100000001": "1 with an upper half to HV_X64_MSR_RESET",
    "crash.bit_62": "the message bit alone to HV_X64_MSR_CRASH_CTL",
    "crash.nothing": "0 to HV_X64_MSR_CRASH_CTL",
}


def went_on(label: str = "exit") -> tuple[Check, ...]:
    """No event: the guest came back from its instruction."""
    return (Exits(EXIT_IO, label), Holds("io.port", RETURNED_PORT, label))


# Either capability without the other is a kernel that has lost one; both came and go with Hyper-V as a whole.
_ENFORCING = msgspec.structs.replace(ENFORCES, since=None)
_NO_MSRS = {
    f"x86_64.{name}"
    for name in (
        *("capability", "capability.triple_fault", "capability.hyperv", "sev_term", "tdx_fatal"),
        *("triple_fault", "triple_fault.written", "triple_fault.state", "triple_fault.injected"),
    )
}


def on_hyperv(claim: Claim) -> Claim:
    """A claim about Hyper-V's MSRs, which not every kernel has."""
    return msgspec.structs.replace(claim, needs=(HYPERV, *claim.needs))


_ROWS = (
    capability("x86_64"),
    _row(
        "capability.hyperv",
        "KVM_CAP_HYPERV (44) is 1 on /dev/kvm and on a VM where KVM_CAP_HYPERV_ENFORCE_CPUID (199) is.",
        "Documentation/virt/kvm/api.rst, 4.118 KVM_GET_SUPPORTED_HV_CPUID; arch/x86/kvm/x86.c, CONFIG_KVM_HYPERV",
        (Gives(Capability.HYPERV.on_system, 1), Gives(Capability.HYPERV.on_vm, 1)),
        _ENFORCING,
        scenario="facts",
    ),
    _row(
        "capability.triple_fault",
        "KVM_CAP_X86_TRIPLE_FAULT_EVENT (218) is 1 on /dev/kvm and on a VM.",
        _INJECT,
        (
            Gives(Capability.X86_TRIPLE_FAULT_EVENT.on_system, 1),
            Gives(Capability.X86_TRIPLE_FAULT_EVENT.on_vm, 1),
        ),
        TRIPLE_FAULT_EVENT,
        scenario="facts",
    ),
    _row(
        "capability.enforce_cpuid",
        "KVM_CAP_HYPERV_ENFORCE_CPUID (199) is 1 on /dev/kvm and on a VM.",
        _ENFORCE,
        (
            Gives(Capability.HYPERV_ENFORCE_CPUID.on_system, 1),
            Gives(Capability.HYPERV_ENFORCE_CPUID.on_vm, 1),
        ),
        ENFORCES,
        scenario="facts",
    ),
    *(
        _row(
            f"hyperv.{name}",
            f"A guest's write to {msr} exits as {exits} with no data.",
            f"{API}; {ENTER}, KVM_REQ_HV_{exits}",
            system_event(number),
            before=old_system_event(number),
        )
        for name, (msr, number, exits) in EVENTS.items()
    ),
    _row(
        "hyperv.crash.message",
        "A crash with a message (bit 62) is the same event as one without.",
        f"{API}; {TLFS}",
        system_event(CRASH),
        before=old_system_event(CRASH),
    ),
    *(
        _observed(
            f"hyperv.{name}.written",
            f"For {msr} the kernel writes type and ndata (before v5.18 type alone), and leaves data[] as it was.",
            f"{ENTER}: no memset; api.rst promises only the first ndata items",
            (Exits(EXIT_SYSTEM_EVENT), Written(((32, 40),))),
            scenario=f"hyperv.{name}",
            before=(Exits(EXIT_SYSTEM_EVENT), Written(((32, 36),))),
        )
        for name, (msr, _, _) in EVENTS.items()
    ),
    *(
        _row(
            f"hyperv.{name}.state",
            f"After {msr} the vCPU stands behind its WRMSR, with its registers, and is RUNNABLE.",
            f"{ENTER}: nothing stops a vCPU",
            (
                *(
                    Exits(EXIT_SYSTEM_EVENT),
                    At("wrmsr.returned", "rip"),
                    Contains("mp_state", MpState.RUNNABLE),
                ),
                *(Register("rbx", 0x5E01), Register("rsi", 0x5E04), Register("rdi", 0x5E05)),
            ),
            scenario=f"hyperv.{name}",
        )
        for name, (msr, _, _) in EVENTS.items()
    ),
    *(
        _row(
            f"hyperv.{name}",
            f"Writing {what} is no event: the guest goes on.",
            f"{TLFS}; {_SET_MSR}",
            went_on(),
        )
        for name, what in _IGNORED.items()
    ),
    _row(
        "hyperv.reset.read",
        "HV_X64_MSR_RESET reads as 0.",
        f"{TLFS}; arch/x86/kvm/hyperv.c, kvm_hv_get_msr_pw",
        (*went_on(), Register("rax", 0), Register("rdx", 0)),
    ),
    *(
        _row(
            f"hyperv.no_cpuid.{name}",
            f"A guest that does not see Hyper-V in CPUID gets #GP for {msr}, and makes no event.",
            "arch/x86/kvm/hyperv.c, kvm_hv_set_msr_common: to_hv_vcpu",
            (Exits(EXIT_SHUTDOWN),),
            GATED,
        )
        for name, (msr, _, _) in EVENTS.items()
    ),
    *(
        _row(
            f"hyperv.enforced.{name}.allowed",
            f"With enforced CPUID, a guest whose CPUID offers {msr} can use it.",
            _ENFORCE,
            system_event(number),
            ENFORCES,
            before=old_system_event(number),
        )
        for name, (msr, number, _) in EVENTS.items()
    ),
    *(
        _row(
            f"hyperv.enforced.{name}.denied",
            f"With enforced CPUID, a guest whose CPUID does not offer {msr} gets #GP, and makes no event.",
            _ENFORCE,
            (Exits(EXIT_SHUTDOWN),),
            ENFORCES,
        )
        for name, (msr, _, _) in EVENTS.items()
    ),
    # Triple faults
    _row(
        "triple_fault",
        "A triple fault exits as KVM_EXIT_SHUTDOWN.",
        _SHUTDOWN,
        (Exits(EXIT_SHUTDOWN), NothingBeyond()),
    ),
    _observed(
        "triple_fault.written",
        "KVM_EXIT_SHUTDOWN writes nothing into the union.",
        f"{ENTER}: exit_reason alone is set",
        (Exits(EXIT_SHUTDOWN), Written(())),
        scenario="triple_fault",
    ),
    _observed(
        "triple_fault.state",
        "After a triple fault the vCPU stands at its reset vector (SVM) or at the fault (VMX).",
        "arch/x86/kvm/svm/svm.c, shutdown_interception; arch/x86/kvm/vmx/vmx.c, handle_triple_fault",
        (
            Exits(EXIT_SHUTDOWN),
            RegisterOneOf("rip", (0xFFF0, 0x10_0007)),
        ),
        scenario="triple_fault",
    ),
    _row(
        "triple_fault.injected",
        "A triple fault that userspace injects exits as KVM_EXIT_SHUTDOWN before the guest runs on.",
        _INJECT,
        (Gives("inject"), Exits(EXIT_SHUTDOWN)),
        TRIPLE_FAULT_EVENT,
    ),
    _row(
        "triple_fault.not_enabled",
        "Without KVM_CAP_X86_TRIPLE_FAULT_EVENT enabled, injecting a triple fault is EINVAL, and none happens.",
        _INJECT,
        (Gives("inject", errno=Errno.EINVAL), *went_on()),
    ),
    _row(
        "sequence.crash_then_triple_fault",
        "A triple fault after a system event exits as SHUTDOWN, not as the event.",
        _SHUTDOWN,
        (Exits(EXIT_SYSTEM_EVENT, "first"), Exits(EXIT_SHUTDOWN)),
    ),
    # What only other hardware can show
    _row(
        "sev_term",
        "A termination request of an SEV-ES guest exits as SEV_TERM with the GHCB MSR in data[0].",
        f"{API}; arch/x86/kvm/svm/sev.c, sev_handle_vmgexit_msr_protocol; c24a950ec7d6, v5.19",
        (Exits(EXIT_SYSTEM_EVENT), Holds("type", EventType.SEV_TERM), Holds("ndata", 1)),
        SEV_ES,
        scenario="facts",
    ),
    _row(
        "tdx_fatal",
        "TDG.VP.VMCALL<ReportFatalError> of a trust domain exits as TDX_FATAL with 16 registers in data[].",
        f"{API}; arch/x86/kvm/vmx/tdx.c, tdx_report_fatal_error; 79462faa2b2a, v6.16",
        (Exits(EXIT_SYSTEM_EVENT), Holds("type", EventType.TDX_FATAL), Holds("ndata", 16)),
        TDX,
        scenario="facts",
    ),
)

CLAIMS = tuple(claim if claim.name in _NO_MSRS else on_hyperv(claim) for claim in _ROWS)
