"""Events of a guest's guest: the guest under test is a hypervisor itself, by SVM, and its own guest causes the event.

What the hypervisor does not intercept is KVM's: the WRMSR of its guest causes the same system event as its own, and the
exit is marked with KVM_RUN_X86_GUEST_MODE (since v6.10). A triple fault of its guest belongs to a hypervisor that
intercepts the shutdown (arch/x86/kvm/svm/nested.c, nested_svm_triple_fault), and is KVM_EXIT_SHUTDOWN otherwise. KVM
finds it by an intercept of the processor, or, if userspace has injected it, as its own request.
"""

from sysevent.abi.capabilities import Capability
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import MSR_RESET
from sysevent.abi.x86_64 import RUN_GUEST_MODE
from sysevent.contract.checks import Exits, Holds, NothingBeyond
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Returns
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.contract.terms import Need
from sysevent.contract.x86_64 import (
    ENTER,
    HYPERV,
    INJECT_DOC,
    MSRS,
    SVM,
    TRIPLE_FAULT_DOC,
    TRIPLE_FAULT_EVENT,
    guest_continues,
)
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, run
from sysevent.scenario.x86_64 import NO_MSR, scenario, vm_with_vcpus
from sysevent.scenario.x86_64_state import NESTED_CPUID, inject_triple_fault, set_mode

# Where the hypervisor writes to when its guest has exited: guests/payloads/x86_64/nested.S.
EXITED_PORT = 0xEA
GUEST_MODE = Need("KVM_RUN_X86_GUEST_MODE (85542adb65ec)", (6, 10), Capability.X86_GUEST_MODE.on_vm)
NESTED = Need("kvm_amd.nested=0", None, "nested.off", absent=True)


def nested(name, msr, value, *steps, intercepting=False, before=()):
    """Return the scenario: the hypervisor's guest writes an MSR; then these steps."""
    arguments = (0, 0, 0, 0, msr, value >> 32, 0, value & 0xFFFF_FFFF)
    return scenario(
        f"nested.{name}",
        *vm_with_vcpus("nested", cpuid=NESTED_CPUID),
        *before,
        Entry("nested", arguments, symbol="intercepting" if intercepting else ""),
        # KVM lets a hypervisor execute VMRUN with paging alone (nested_svm_check_permissions); they use long mode.
        *set_mode("compatibility"),
        *run("exit"),
        *steps,
    )


def injected(name, **options):
    """Return the scenario: the guest's guest has exited for an OUT, and userspace injects a triple fault."""
    return nested(
        name,
        MSR_RESET,
        0,
        inject_triple_fault("inject"),
        *run("fault"),
        before=(ioctls.enable_cap("vm", Capability.X86_TRIPLE_FAULT_EVENT, 1),),
        **options,
    )


def hypervisor_goes_on(label="exit"):
    """Return the checks that the hypervisor got its guest's exit."""
    return (Exits(ExitReason.IO, label), Holds("io.port", EXITED_PORT, label))


SHUTS_DOWN = (Exits(ExitReason.SHUTDOWN), NothingBeyond())
ASKS = {msr.title: nested(msr.title, msr.index, msr.value, *run("again")) for msr in MSRS}

CLAIMS = claims(
    *(
        ExitClaim(
            f"nested.{msr.title}",
            f"{msr.words}, written by the guest of a guest, exits as {msr.event_name} with no data.",
            asks=ASKS[msr.title],
            gives=(*system_event(msr.event_type), *guest_continues("again")),
            before_5_18=(*old_system_event(msr.event_type), *guest_continues("again")),
            source=f"{API}; {ENTER}",
            needs=(HYPERV, SVM, NESTED),
            abi="x86_64",
        )
        for msr in MSRS
    ),
    ExitClaim(
        "nested.flags",
        "At the event of a guest's guest kvm_run.flags says so.",
        asks=ASKS["reset"],
        gives=(Exits(ExitReason.SYSTEM_EVENT), Holds("run.flags", RUN_GUEST_MODE)),
        source="Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_RUN_X86_GUEST_MODE",
        needs=(HYPERV, SVM, NESTED, GUEST_MODE),
        abi="x86_64",
    ),
    ExitClaim(
        "nested.triple_fault",
        "A triple fault of a guest's guest exits as KVM_EXIT_SHUTDOWN if the hypervisor does not intercept it.",
        asks=nested("triple_fault", NO_MSR, 0),
        gives=SHUTS_DOWN,
        source=TRIPLE_FAULT_DOC,
        needs=(SVM, NESTED),
        abi="x86_64",
    ),
    ExitClaim(
        "nested.triple_fault.intercepted",
        "A triple fault of a guest's guest is the hypervisor's if it intercepts it, and no exit to userspace.",
        asks=nested("triple_fault.intercepted", NO_MSR, 0, intercepting=True),
        gives=hypervisor_goes_on(),
        source="AMD64 Architecture Programmer's Manual, volume 2, 15.14.3; arch/x86/kvm/svm/nested.c",
        needs=(SVM, NESTED),
        abi="x86_64",
    ),
    ExitClaim(
        "nested.injected",
        "A triple fault that userspace injects into a guest's guest exits as KVM_EXIT_SHUTDOWN if the hypervisor does "
        "not intercept it.",
        asks=injected("injected"),
        gives=(
            *guest_continues(),
            Returns("inject"),
            Exits(ExitReason.SHUTDOWN, "fault"),
            NothingBeyond("fault"),
        ),
        source=INJECT_DOC,
        needs=(HYPERV, SVM, NESTED, TRIPLE_FAULT_EVENT),
        abi="x86_64",
    ),
    ExitClaim(
        "nested.injected.intercepted",
        "A triple fault that userspace injects into a guest's guest is the hypervisor's if it intercepts it.",
        asks=injected("injected.intercepted", intercepting=True),
        gives=(*guest_continues(), Returns("inject"), *hypervisor_goes_on("fault")),
        source=f"{INJECT_DOC}; arch/x86/kvm/svm/nested.c, nested_svm_triple_fault",
        needs=(HYPERV, SVM, NESTED, TRIPLE_FAULT_EVENT),
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_nested(check, claim):
    """An event of a guest's guest goes to userspace, or to the guest that is its hypervisor."""
    check(claim)
