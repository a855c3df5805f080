"""The producers of KVM_EXIT_SHUTDOWN: each gives the same exit.

- The SHUTDOWN intercept of the processor: test_x86_64_triple_fault.py.
- KVM_REQ_TRIPLE_FAULT, requested by KVM_SET_VCPU_EVENTS (there, too), by KVM's own code for exceptions
  (kvm_multiple_exception), by KVM_X86_SET_MCE, by the emulator (em_rsm), and where KVM injects interrupts into real
  mode for a VMX that cannot run it (kvm_inject_realmode_interrupt).

Which of them a scenario has come by shows in the registers: on SVM the intercept resets the vCPU, and a request leaves
it where it was, which the claims named .state say. With 6.12.117 built without one of these requests, the claims about
that producer fail, and none about another.
"""

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.x86_64 import CR0_PE, CR0_RESET, DF_VECTOR, MSR_MC0_CTL, MSR_MCG_CTL, UD_VECTOR
from sysevent.contract.checks import Check, Exits, NothingBeyond, PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Returns
from sysevent.contract.terms import Need
from sysevent.contract.x86_64 import MCE, SMM, TRIPLE_FAULT_DOC, guest_continues
from sysevent.model import Level
from sysevent.scenario.steps import Entry, Scenario, run
from sysevent.scenario.x86_64 import BARE_CPUID, scenario, set_msrs, vm_with_vcpus
from sysevent.scenario.x86_64_state import (
    BROKEN_SMRAM,
    CORRECTED,
    HANDLER,
    HANDLERS,
    STACK,
    base_of,
    machine_check,
    set_events,
    set_mode,
    set_up_mce,
)

MCE_DOC = "Documentation/virt/kvm/api.rst, KVM_X86_SET_MCE; arch/x86/kvm/x86.c, kvm_vcpu_ioctl_x86_set_mce"
# Bytes of EFLAGS, CS and EIP on the stack of an exception's handler.
INTERRUPT_FRAME = 12
FAILED_RSM = Need(
    "triple fault of an RSM that fails (25b17226cd9a)", (5, 13), Capability.SYSTEM_EVENT_DATA.on_vm
)
RESTRICTED = Need(
    "VMX without unrestricted guests",
    None,
    "vmx.restricted",
    requires="an Intel processor with kvm_intel.unrestricted_guest=0, and a fact that says so",
)


def shuts_down(name, *steps, mode="", payload="wrmsr", symbol="returned"):
    """Return the scenario: an OUT is next, but by these steps the vCPU has shut down.

    The steps come after those that put the vCPU into its mode. In the mode "machine_check" every exception has a
    handler, so that the processor finds no reason to shut down.
    """
    return scenario(
        name,
        *vm_with_vcpus(payload, cpuid=BARE_CPUID),
        *HANDLERS,
        Entry(payload, (*[0] * 6, STACK), symbol=symbol, base=base_of(mode)),
        *set_mode(mode),
        *steps,
        *run("exit"),
    )


MACHINE_CHECK = shuts_down("triple_fault.mce", set_up_mce(), machine_check("mce"))
TWICE = shuts_down(
    "triple_fault.mce.twice", set_up_mce(), machine_check("first"), machine_check("mce"), mode="machine_check"
)
# The #MC comes while a double fault is being delivered.
EXCEPTION = shuts_down(
    "triple_fault.exception",
    set_events(injected=DF_VECTOR, error_code=True),
    set_up_mce(),
    machine_check("mce"),
    mode="machine_check",
)
# Without the triple fault the guest would run on, from where RSM returns to.
RSM = shuts_down("triple_fault.rsm", *BROKEN_SMRAM, mode="smm", payload="triple_fault", symbol="resume")
SHUTS_DOWN = (Exits(ExitReason.SHUTDOWN), NothingBeyond(), Written(()))
# The vCPU is where it was.
STAYS = (PcAt("wrmsr.returned", "rip"), RegisterHolds("cs.base", 0), RegisterHolds("cr0", CR0_RESET | CR0_PE))


class Producer(msgspec.Struct, frozen=True):
    """Code of KVM that requests a triple fault."""

    # In names of claims: "mce".
    title: str
    # The subject of the claims' sentences.
    words: str
    asks: Scenario
    source: str
    needs: tuple[Need, ...]
    # Labels of the ioctls that must succeed.
    answers: tuple[str, ...] = ()
    # Where the vCPU stands then.
    state: tuple[Check, ...] = STAYS


REQUESTS = (
    Producer(
        "mce",
        "A machine check that is not corrected, in a guest with CR4.MCE clear,",
        MACHINE_CHECK,
        MCE_DOC,
        (MCE,),
        ("mce",),
    ),
    Producer(
        "mce.twice",
        "A machine check while another one is in progress",
        TWICE,
        MCE_DOC,
        (MCE,),
        ("first", "mce"),
    ),
    Producer(
        "exception",
        "An exception during the delivery of a double fault",
        EXCEPTION,
        "AMD64 Architecture Programmer's Manual, volume 2, 8.2.9; arch/x86/kvm/x86.c, kvm_multiple_exception",
        (MCE,),
        ("mce",),
    ),
    Producer(
        "rsm",
        "An RSM with an invalid CR4 in the saved state",
        RSM,
        "AMD64 Architecture Programmer's Manual, volume 2, 10.3.7; arch/x86/kvm/emulate.c, em_rsm",
        (SMM, FAILED_RSM),
        # What was loaded before CR4, and CR0 as RSM sets it first.
        state=(RegisterHolds("rip", HANDLER), RegisterHolds("cs.base", 0), RegisterHolds("cr0", CR0_RESET)),
    ),
)


def no_shutdown(name, *steps):
    """Return the scenario: these steps, and an OUT."""
    return shuts_down(f"triple_fault.mce.{name}", set_up_mce(), *steps)


CLAIMS = claims(
    *(
        ExitClaim(
            f"triple_fault.{producer.title}",
            f"{producer.words} exits as KVM_EXIT_SHUTDOWN.",
            asks=producer.asks,
            gives=(*map(Returns, producer.answers), *SHUTS_DOWN),
            source=f"{TRIPLE_FAULT_DOC}; {producer.source}",
            needs=producer.needs,
            # The kernel's code is the same for a VMM built for i386.
            abi="x86_64",
        )
        for producer in REQUESTS
    ),
    *(
        ExitClaim(
            f"triple_fault.{producer.title}.state",
            f"{producer.words} does not reset the vCPU: KVM requests a triple fault, and userspace finds the state as "
            "it was.",
            asks=producer.asks,
            gives=(Exits(ExitReason.SHUTDOWN), *producer.state),
            source=producer.source,
            needs=producer.needs,
            level=Level.OBSERVED,
            abi="x86_64",
        )
        for producer in REQUESTS
    ),
    # Machine checks that must not shut the CPU down.
    *(
        ExitClaim(
            f"triple_fault.mce.{title}",
            f"{words}, and the guest goes on.",
            asks=no_shutdown(title, *steps),
            gives=(*(Returns(label, errno=errno) for label, errno in answers.items()), *guest_continues()),
            source=MCE_DOC,
            needs=(MCE,),
            abi="x86_64",
        )
        for title, words, steps, answers in (
            (
                "corrected",
                "A machine check that the hardware has corrected is only recorded",
                (machine_check("mce", status=CORRECTED),),
                {"mce": 0},
            ),
            (
                "disabled",
                "With IA32_MCG_CTL 0 no machine check is reported",
                (set_msrs("", {MSR_MCG_CTL: 0}), machine_check("mce")),
                {"mce": 0},
            ),
            (
                "disabled_bank",
                "With IA32_MC0_CTL 0 bank 0 reports no machine check",
                (set_msrs("", {MSR_MC0_CTL: 0}), machine_check("mce")),
                {"mce": 0},
            ),
            (
                "refused",
                "A machine check of a bank that the CPU lacks, or without a valid status, is refused with EINVAL",
                (machine_check("bank", bank=1), machine_check("status", status=0)),
                {"bank": Errno.EINVAL, "status": Errno.EINVAL},
            ),
        )
    ),
    ExitClaim(
        "triple_fault.mce.delivered",
        "With CR4.MCE set a machine check is an exception of the guest, whose handler runs.",
        asks=shuts_down(
            "triple_fault.mce.delivered", set_up_mce(), machine_check("mce"), mode="machine_check"
        ),
        gives=(Returns("mce"), *guest_continues(), RegisterHolds("rsp", STACK - INTERRUPT_FRAME)),
        source=MCE_DOC,
        needs=(MCE,),
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.page_faults",
        "A triple fault of which each step is a page fault exits as KVM_EXIT_SHUTDOWN.",
        asks=shuts_down(
            "triple_fault.page_faults", mode="no_idt_page", payload="triple_fault", symbol="fault"
        ),
        gives=SHUTS_DOWN,
        # KVM intercepts page faults only without NPT or EPT, and then finds the triple fault by itself.
        source=f"{TRIPLE_FAULT_DOC}; with kvm_amd.npt=0 arch/x86/kvm/x86.c, kvm_multiple_exception",
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.real_mode_injection",
        "An exception of a guest in real mode, whose vector KVM itself must read and cannot, exits as "
        "KVM_EXIT_SHUTDOWN.",
        asks=shuts_down(
            "triple_fault.real_mode_injection", set_events(injected=UD_VECTOR), mode="no_vector_table"
        ),
        gives=SHUTS_DOWN,
        source="arch/x86/kvm/x86.c, kvm_inject_realmode_interrupt, which arch/x86/kvm/vmx/vmx.c alone calls",
        needs=(RESTRICTED,),
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_producers(check, claim):
    """Whatever has shut the guest's CPU down, KVM_RUN exits as KVM_EXIT_SHUTDOWN, which has no fields."""
    check(claim)
