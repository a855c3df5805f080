"""kvm_run around a system event of x86, beside its union: what KVM says of the vCPU whenever KVM_RUN returns.

flags, if_flag, ready_for_interrupt_injection, cr8 and apic_base are written at every exit (arch/x86/kvm/x86.c,
post_kvm_run_save).
"""

from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds
from sysevent.contract.x86_64 import BY_TITLE, HYPERV, SVM
from sysevent.model import Level
from sysevent.scenario.configuration import Configuration
from sysevent.scenario.steps import Entry, run
from sysevent.scenario.x86_64 import NO_MSR, registers, scenario
from sysevent.scenario.x86_64_machine import machine
from sysevent.scenario.x86_64_state import get_events

RUN_DOC = "Documentation/virt/kvm/api.rst, 5.35 kvm_run; arch/x86/kvm/x86.c, post_kvm_run_save"
RESET = BY_TITLE["reset"]
FULL = Configuration(irqchip="full")
SECOND = Configuration(irqchip="split", vcpus=2, caller=1)


def written(name, where, msr, value, *, symbol="", setup=()):
    """Return the scenario: the caller of a configuration writes an MSR; then its pending events are read."""
    return scenario(
        where.title(name),
        *machine(where),
        *setup,
        Entry("wrmsr", registers(msr, value), where.caller, symbol),
        *run("exit", where.caller),
        get_events("events", where.caller),
        configuration=where,
    )


def fields(*, interrupts, ready, apic_base=0xFEE0_0900):
    """Return the checks of what KVM says of the vCPU. By default it is the one that boots the machine."""
    return (
        Exits(ExitReason.SYSTEM_EVENT),
        Holds("run.flags", 0),
        Holds("if_flag", interrupts),
        Holds("ready_for_interrupt_injection", ready),
        Holds("cr8", 0),
        Holds("apic_base", apic_base),
    )


def no_event():
    """Return the checks that nothing is pending in the vCPU: by their offsets in struct kvm_vcpu_events."""
    # fmt: off
    members = {
        "exception.injected": 0, "exception.pending": 3, "interrupt.injected": 8, "nmi.injected": 12,
        "nmi.pending": 13, "smi.smm": 24, "smi.pending": 25, "triple_fault.pending": 28,
    }
    # fmt: on
    return tuple(BufferHolds("events", 0, offset, 1) for offset in members.values())


CLAIMS = claims(
    *(
        ExitClaim(
            where.title(f"run_fields.{title}"),
            f"At an event {words} if_flag and ready_for_interrupt_injection say so, flags are 0, and cr8 and apic_base "
            "are those of the vCPU.",
            asks=written(f"run_fields.{title}", where, RESET.index, RESET.value, symbol=symbol),
            gives=(*fields(**expected), *no_event()),
            source=RUN_DOC,
            needs=(HYPERV,),
            level=Level.OBSERVED,
            abi="x86_64",
        )
        for title, words, where, symbol, expected in (
            ("disabled", "with interrupts disabled", Configuration(), "", {"interrupts": 0, "ready": 0}),
            (
                "enabled",
                "with interrupts enabled",
                Configuration(),
                "interruptible",
                {"interrupts": 1, "ready": 1},
            ),
            # With the PIC in the kernel userspace injects nothing, so that it never has to wait.
            ("disabled", "with the PIC in the kernel", FULL, "", {"interrupts": 0, "ready": 1}),
            (
                "disabled",
                "of a vCPU that does not boot the machine",
                SECOND,
                "",
                {"interrupts": 0, "ready": 0, "apic_base": 0xFEE0_0800},
            ),
        )
    ),
    ExitClaim(
        "triple_fault.events",
        "After the SHUTDOWN intercept of SVM nothing is pending in the vCPU, which KVM has reset.",
        asks=written("triple_fault.events", Configuration(), NO_MSR, 0),
        gives=(Exits(ExitReason.SHUTDOWN), Holds("run.flags", 0), *no_event()),
        # The exception that could not be delivered is still there.
        before_5_18=(Exits(ExitReason.SHUTDOWN), Holds("run.flags", 0), BufferHolds("events", 1, 0, 1)),
        source="arch/x86/kvm/svm/svm.c, shutdown_interception; arch/x86/kvm/x86.c, kvm_vcpu_reset",
        needs=(SVM,),
        level=Level.OBSERVED,
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_run_fields(check, claim):
    """kvm_run describes the vCPU at an event."""
    check(claim)
