"""Signals and immediate_exit around an x86 system event: KVM_RUN may return early, but no event is lost or repeated.

Two moments differ. Before the guest's instruction, a signal ends KVM_RUN, and the instruction is still to come. After
it, the event is pending in the vCPU: single-stepping ends KVM_RUN there.
"""

from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import IMMEDIATE_EXIT
from sysevent.contract.checks import Exits, PcAt, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, Interrupted, Returns
from sysevent.contract.system_events import IMMEDIATE_EXIT_DOC, old_system_event, system_event
from sysevent.contract.x86_64 import ENTER, HYPERV, MCE, MSRS, TRIPLE_FAULT_DOC, guest_continues
from sysevent.scenario.steps import Entry, SetRunBytes, Start, Wait, run
from sysevent.scenario.x86_64 import COUNTERS, DEBUG_OFF, DEBUG_STEP, registers, scenario, vm_with_vcpus
from sysevent.scenario.x86_64_state import machine_check, set_up_mce

SIGNAL_DOC = "Documentation/virt/kvm/api.rst, KVM_RUN and KVM_SET_SIGNAL_MASK"
AT_ONCE = SetRunBytes(IMMEDIATE_EXIT.offset, b"\x01")


def signalled(label):
    """Return the steps of a KVM_RUN that begins with a signal pending."""
    return (Start(signalled=True), Wait(label))


def writes(msr):
    """Return the step after which the guest's next instruction writes an MSR."""
    return Entry("wrmsr", registers(msr.index, msr.value))


def pending(msr, name, *steps):
    """Return the scenario: the guest has written the MSR, and its event is pending; then these steps."""
    return scenario(
        f"{name}.{msr.title}",
        *vm_with_vcpus("wrmsr"),
        writes(msr),
        DEBUG_STEP,
        *run("step"),
        DEBUG_OFF,
        *steps,
        *run("exit"),
        *run("again"),
    )


def event(msr, *before, after=()):
    """Return `gives` and `before_5_18` of a claim: other checks around those of the event."""
    return {
        "gives": (*before, *system_event(msr.event_type), *after),
        "before_5_18": (*before, *old_system_event(msr.event_type), *after),
    }


CLAIMS = claims(
    *(
        ExitClaim(
            f"signal.before.{msr.title}",
            f"A signal that is pending when KVM_RUN begins ends it before {msr.words}; the next one has the event.",
            asks=scenario(
                f"signal.before.{msr.title}",
                *vm_with_vcpus("wrmsr"),
                writes(msr),
                *signalled("nothing"),
                *run("exit"),
                *run("again"),
            ),
            **event(
                msr,
                Interrupted("nothing"),
                Written((), "nothing"),
                PcAt("wrmsr._start", "rip", "nothing"),
                after=guest_continues("again"),
            ),
            source=SIGNAL_DOC,
            needs=(HYPERV,),
            abi="x86_64",
        )
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"immediate_exit.pending.{msr.title}",
            f"After {msr.words} the event stays pending while KVM_RUN returns for immediate_exit; the next one has it.",
            asks=pending(msr, "immediate_exit.pending", AT_ONCE, *run("nothing")),
            **event(
                msr,
                Exits(ExitReason.DEBUG, "step"),
                Interrupted("nothing"),
                Written((), "nothing"),
                after=guest_continues("again"),
            ),
            source=f"{IMMEDIATE_EXIT_DOC}; {ENTER}",
            needs=(HYPERV,),
            abi="x86_64",
        )
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"after_kick.{msr.title}",
            f"After a signal has ended the KVM_RUN of a guest that ran, {msr.words} exits as usual.",
            asks=scenario(
                f"after_kick.{msr.title}",
                *vm_with_vcpus("wrmsr"),
                Entry("wrmsr", (0, COUNTERS), symbol="spin"),
                Start(),
                Wait("kick", milliseconds=1),
                writes(msr),
                *run("exit"),
                *run("again"),
            ),
            **event(msr, Blocks("kick"), Written((), "kick"), after=guest_continues("again")),
            source=SIGNAL_DOC,
            needs=(HYPERV,),
            abi="x86_64",
        )
        for msr in MSRS
    ),
    ExitClaim(
        "immediate_exit.pending.triple_fault",
        "A triple fault stays pending while KVM_RUN returns for immediate_exit; the next one has it.",
        asks=scenario(
            "immediate_exit.pending.triple_fault",
            *vm_with_vcpus("wrmsr"),
            Entry("wrmsr", symbol="returned"),
            set_up_mce(),
            machine_check("mce"),
            AT_ONCE,
            *run("nothing"),
            *run("exit"),
        ),
        gives=(Returns("mce"), Interrupted("nothing"), Written((), "nothing"), Exits(ExitReason.SHUTDOWN)),
        source=f"{IMMEDIATE_EXIT_DOC}; {TRIPLE_FAULT_DOC}",
        needs=(MCE,),
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_signals(check, claim):
    """KVM_RUN that ends early costs no event."""
    check(claim)
