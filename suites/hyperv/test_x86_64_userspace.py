"""Hyper-V's reset and crash MSRs in the hands of userspace: its reads and writes, filters, and who may use them.

A VMM saves and restores these MSRs with KVM_GET_MSRS and KVM_SET_MSRS when it migrates a guest, which must not look
like a crash of the guest (arch/x86/kvm/hyperv.c, kvm_hv_set_msr_pw, host). It can also keep a guest from them: by a
filter (KVM_X86_SET_MSR_FILTER), or for a vCPU whose CPUID is enforced.
"""

import struct

from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import (
    CRASH_NOTIFY,
    MSR_CRASH_CTL,
    MSR_CRASH_P0,
    MSR_REENLIGHTENMENT_CONTROL,
    MSR_RESET,
)
from sysevent.abi.kvm_run import MSR_ERROR
from sysevent.abi.x86_64 import MSR_EXIT_FILTER, MSR_EXIT_INVAL, MSR_FILTER_WRITE, SET_MSR_FILTER
from sysevent.contract.checks import Exits, Holds, NothingBeyond, RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds, Returns
from sysevent.contract.system_events import old_system_event, system_event
from sysevent.contract.terms import Need
from sysevent.contract.x86_64 import ENFORCE_DOC, ENFORCES, HYPERV, MSRS, TLFS, guest_continues
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, Ioctl, SetRunBytes, run
from sysevent.scenario.x86_64 import (
    BARE_CPUID,
    get_msrs,
    hyperv_cpuid,
    registers,
    scenario,
    set_msrs,
    vm_with_vcpus,
)

HOST = "arch/x86/kvm/hyperv.c, kvm_hv_set_msr_pw: host"
FILTER_DOC = "Documentation/virt/kvm/api.rst, KVM_X86_SET_MSR_FILTER"
USER_SPACE_DOC = "Documentation/virt/kvm/api.rst, KVM_CAP_X86_USER_SPACE_MSR, KVM_EXIT_X86_WRMSR"
GATED = Need("check of Hyper-V's CPUID", (6, 1), "hyperv.gated")
PARAMETERS = {MSR_CRASH_P0 + n: 0xC0DE_0000_0000_0000 + n for n in range(5)}


def filtered(msr):
    """Return the step KVM_X86_SET_MSR_FILTER: the guest may not write this MSR.

    struct kvm_msr_filter: flags, then 16 ranges, each with flags, the number of MSRs, the first one, and a pointer to
    their bitmap, whose 0 denies the MSR. A VMM of another ABI has another layout.
    """
    ranges = struct.pack("<IIIIQ", MSR_FILTER_WRITE, 1, msr.index, 0, 0)
    head = struct.pack("<I4x", 0) + ranges + bytes(24 * 15)
    return Ioctl("vm", SET_MSR_FILTER, buffer=head + bytes(8), pointer=(24, len(head)))


def written(name, msr, *setup, cpuid=None):
    """Return the scenario: setup, and a WRMSR of the guest."""
    return scenario(
        name,
        *vm_with_vcpus("wrmsr", **({"cpuid": cpuid} if cpuid else {})),
        *setup,
        Entry("wrmsr", registers(msr.index, msr.value)),
        *run("exit"),
    )


def handed_over(name, msr, reason, *setup, error, cpuid=None):
    """Return the scenario: the guest's WRMSR exits to userspace, which completes it, with #GP if error is set."""
    steps = written(
        name, msr, ioctls.enable_cap("vm", Capability.X86_USER_SPACE_MSR, reason), *setup, cpuid=cpuid
    ).steps
    return scenario(
        name, *steps, SetRunBytes(MSR_ERROR.offset, bytes([error])), *run("completed", poison=None)
    )


def hands_over(msr, reason):
    """Return the checks of an exit for the WRMSR of an MSR, for this reason."""
    return (
        Exits(ExitReason.X86_WRMSR),
        Holds("msr.reason", reason),
        Holds("msr.index", msr.index),
        Holds("msr.data", msr.value),
        NothingBeyond(),
    )


NOT_OFFERED = hyperv_cpuid(reset=False, crash=False)

CLAIMS = claims(
    ExitClaim(
        "hyperv.userspace.crash_ctl",
        "Userspace's write of HV_X64_MSR_CRASH_CTL causes no event; it sets the notify bit that the MSR reads as.",
        asks=scenario(
            "hyperv.userspace.crash_ctl",
            *vm_with_vcpus("wrmsr", vcpus=2),
            get_msrs("before", MSR_CRASH_CTL),
            set_msrs("set", {MSR_CRASH_CTL: (1 << 64) - 1}),
            get_msrs("get", MSR_CRASH_CTL, vcpu=1),
            Entry("wrmsr", registers(MSR_CRASH_CTL, 0), symbol="rdmsr"),
            *run("exit"),
        ),
        gives=(
            BufferHolds("before", 0, 16, 8),
            Returns("set", 1),
            BufferHolds("get", CRASH_NOTIFY, 16, 8),
            *guest_continues(),
            RegisterHolds("rax", 0),
            RegisterHolds("rdx", CRASH_NOTIFY >> 32),
        ),
        source=f"{HOST}; kvm_hv_msr_set_crash_ctl",
        needs=(HYPERV,),
        abi="x86_64",
    ),
    ExitClaim(
        "hyperv.userspace.reset",
        "Userspace's write of 1 to HV_X64_MSR_RESET causes the guest's event; other values do not, and it reads as 0.",
        asks=scenario(
            "hyperv.userspace.reset",
            *vm_with_vcpus("wrmsr"),
            Entry("wrmsr", registers(MSR_RESET, 0)),
            set_msrs("set others", {MSR_RESET: 0}),
            set_msrs("set others too", {MSR_RESET: 2}),
            *run("nothing"),
            set_msrs("set", {MSR_RESET: 1}),
            get_msrs("get", MSR_RESET),
            *run("exit"),
            *run("again"),
        ),
        gives=(
            Returns("set others", 1),
            Returns("set others too", 1),
            *guest_continues("nothing"),
            Returns("set", 1),
            Returns("get", 1),
            BufferHolds("get", 0, 16, 8),
            *system_event(EventType.RESET),
            *guest_continues("again"),
        ),
        before_5_18=(
            *guest_continues("nothing"),
            Returns("set", 1),
            BufferHolds("get", 0, 16, 8),
            *old_system_event(EventType.RESET),
            *guest_continues("again"),
        ),
        source=HOST,
        needs=(HYPERV,),
        level=Level.OBSERVED,
        abi="x86_64",
    ),
    ExitClaim(
        "hyperv.crash.parameters.guest",
        "What a guest's vCPU writes to HV_X64_MSR_CRASH_P0 to P4 is not an event, and userspace reads it by any vCPU "
        "of the VM, also after the crash, which leaves HV_X64_MSR_CRASH_CTL as it was.",
        asks=scenario(
            "hyperv.crash.parameters.guest",
            *vm_with_vcpus("wrmsr", vcpus=2),
            *(
                step
                for index, value in PARAMETERS.items()
                for step in (Entry("wrmsr", registers(index, value), 1), *run(f"{index:#x}", 1))
            ),
            Entry("wrmsr", registers(MSR_CRASH_CTL, CRASH_NOTIFY), 1),
            *run("exit", 1),
            get_msrs("get", *PARAMETERS, MSR_CRASH_CTL),
        ),
        gives=(
            *(check for index in PARAMETERS for check in guest_continues(f"{index:#x}")),
            Exits(ExitReason.SYSTEM_EVENT),
            Holds("type", EventType.CRASH),
            Returns("get", 6),
            *(BufferHolds("get", value, 16 + 16 * n, 8) for n, value in enumerate(PARAMETERS.values())),
            BufferHolds("get", 0, 16 + 16 * 5, 8),
        ),
        source=f"{TLFS}; arch/x86/kvm/hyperv.c, kvm_hv_msr_set_crash_data",
        needs=(HYPERV,),
        abi="x86_64",
    ),
    ExitClaim(
        "hyperv.reset.others",
        "A guest's reset changes no other MSR of Hyper-V: HV_X64_MSR_REENLIGHTENMENT_CONTROL stays 0.",
        asks=scenario(
            "hyperv.reset.others",
            *vm_with_vcpus("wrmsr"),
            Entry("wrmsr", registers(MSR_RESET, 1)),
            *run("exit"),
            get_msrs("get", MSR_REENLIGHTENMENT_CONTROL),
        ),
        gives=(Exits(ExitReason.SYSTEM_EVENT), Returns("get", 1), BufferHolds("get", 0, 16, 8)),
        source=f"{TLFS}; arch/x86/kvm/hyperv.c, kvm_hv_set_msr_pw",
        needs=(HYPERV,),
        abi="x86_64",
    ),
    *(
        ExitClaim(
            f"hyperv.{msr.title}.filtered",
            f"A guest whose VMM denies {msr.words} by a filter gets #GP, and causes no event.",
            asks=written(f"hyperv.{msr.title}.filtered", msr, filtered(msr)),
            gives=(Exits(ExitReason.SHUTDOWN),),
            source=FILTER_DOC,
            needs=(HYPERV,),
            abi="x86_64",
        )
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"hyperv.{msr.title}.handed_over",
            f"If the VMM asks for filtered MSRs, {msr.words} exits as KVM_EXIT_X86_WRMSR instead of an event, and the "
            "guest goes on when userspace has completed it.",
            asks=handed_over(
                f"hyperv.{msr.title}.handed_over", msr, MSR_EXIT_FILTER, filtered(msr), error=False
            ),
            gives=(*hands_over(msr, MSR_EXIT_FILTER), *guest_continues("completed")),
            source=USER_SPACE_DOC,
            needs=(HYPERV,),
            abi="x86_64",
        )
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"hyperv.no_cpuid.{msr.title}.handed_over",
            f"A guest that does not see Hyper-V in CPUID gets its #GP for {msr.words}, as a VMM sees that asks for "
            "such MSRs, with the value.",
            asks=handed_over(
                f"hyperv.no_cpuid.{msr.title}.handed_over", msr, MSR_EXIT_INVAL, error=True, cpuid=BARE_CPUID
            ),
            gives=(*hands_over(msr, MSR_EXIT_INVAL), Exits(ExitReason.SHUTDOWN, "completed")),
            source=USER_SPACE_DOC,
            needs=(HYPERV, GATED),
            level=Level.OBSERVED,
            abi="x86_64",
        )
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"hyperv.enforced.{msr.title}.per_vcpu",
            f"CPUID is enforced for one vCPU: another one with the same CPUID can use {msr.words}.",
            asks=scenario(
                f"hyperv.enforced.{msr.title}.per_vcpu",
                *vm_with_vcpus("wrmsr", cpuid=NOT_OFFERED, vcpus=2),
                ioctls.enable_cap(1, Capability.HYPERV_ENFORCE_CPUID, 1),
                *(
                    step
                    for vcpu in (1, 0)
                    for step in (
                        Entry("wrmsr", registers(msr.index, msr.value), vcpu),
                        *run("exit" if vcpu == 0 else "enforced", vcpu),
                    )
                ),
            ),
            gives=(Exits(ExitReason.SHUTDOWN, "enforced"), *system_event(msr.event_type)),
            source=ENFORCE_DOC,
            needs=(HYPERV, ENFORCES),
            abi="x86_64",
        )
        for msr in MSRS
    ),
)


@CLAIMS.each
def test_userspace(check, claim):
    """Userspace's own accesses are no crash, and it can keep a guest from the MSRs."""
    check(claim)
