"""Bytes of an earlier exit in kvm_run must not look like fields of an x86 system event.

All exits share one union, and x86 writes only type and ndata of it (arch/x86/kvm/x86.c, vcpu_enter_guest). The guest
causes an I/O or MMIO exit, or an event, and then a system event by a Hyper-V MSR; the VMM does not poison kvm_run in
between. ndata must be 0 since v5.18 (d495f942f40a). Before, its bytes are those of the earlier exit.
"""

from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import DATA, span
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import SameBytes
from sysevent.contract.system_events import API, REPAIR, old_system_event, system_event
from sysevent.contract.x86_64 import BY_TITLE, ENTER, HYPERV, MSRS
from sysevent.model import Level
from sysevent.scenario.steps import KEEP, Entry, run
from sysevent.scenario.x86_64 import registers, scenario, vm_with_vcpus


def after(first, msr):
    """Return the scenario: an I/O exit ("out") or MMIO exit ("mmio"), then the event without a poison in between."""
    eax, _, ecx, edx, *rest = registers(msr.index, msr.value)
    return scenario(
        f"after_{first}.{msr.title}",
        *vm_with_vcpus("wrmsr"),
        Entry("wrmsr", (eax, 0xFEED_F00D, ecx, edx, *rest), symbol=f"{first}_first"),
        *run("first"),
        *run("exit", poison=KEEP),
    )


def writes(msr):
    """Return the step that lets the guest write an MSR at its next KVM_RUN."""
    return Entry("wrmsr", registers(msr.index, msr.value))


# Part of the claim's name, the first exit in words, its reason.
FIRST = (("out", "I/O", ExitReason.IO), ("mmio", "MMIO", ExitReason.MMIO))
ASKS = {(first, msr.title): after(first, msr) for first, _, _ in FIRST for msr in MSRS}

CLAIMS = claims(
    *(
        ExitClaim(
            f"after_{first}.{msr.title}",
            f"{msr.words} right after an {words} exit, whose bytes lie in the same union, exits with ndata 0, not "
            "with those bytes.",
            asks=ASKS[first, msr.title],
            gives=(Exits(reason, "first"), *system_event(msr.event_type)),
            # What the bytes of ndata hold before v5.18: see after_out.*.stale.
            before_5_18=(
                Exits(reason, "first"),
                Exits(ExitReason.SYSTEM_EVENT),
                Holds("type", msr.event_type),
            ),
            source=f"{API}; {REPAIR}",
            needs=(HYPERV,),
        )
        for first, words, reason in FIRST
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"after_out.{msr.title}.stale",
            f"After an I/O exit {msr.words} leaves io.data_offset (0x1000) in data[0]; before v5.18 also io.count "
            "(1) where ndata is today: a reader that does not ask for capability 215 finds one datum there, 0x1000.",
            asks=ASKS["out", msr.title],
            gives=(Exits(ExitReason.SYSTEM_EVENT), Holds("ndata", 0), Holds("data[0]", 0x1000)),
            before_5_18=(Exits(ExitReason.SYSTEM_EVENT), Holds("ndata", 1), Holds("flags", 0x1000)),
            source=f"{ENTER}: no memset; {REPAIR}",
            needs=(HYPERV,),
            level=Level.OBSERVED,
        )
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"after_mmio.{msr.title}.stale",
            f"After an MMIO exit {msr.words} leaves the bytes of data[] as that exit left them.",
            asks=ASKS["mmio", msr.title],
            gives=(Exits(ExitReason.SYSTEM_EVENT), SameBytes("first", "exit", span(DATA[0], DATA[-1]))),
            source=f"{ENTER}: no memset",
            needs=(HYPERV,),
            level=Level.OBSERVED,
        )
        for msr in MSRS
    ),
    ExitClaim(
        "sequence.crash_then_reset",
        "A reset after a crash exits with its own type.",
        asks=scenario(
            "sequence.crash_then_reset",
            *vm_with_vcpus("wrmsr"),
            writes(BY_TITLE["crash"]),
            *run("first"),
            writes(BY_TITLE["reset"]),
            *run("exit", poison=KEEP),
        ),
        gives=(*system_event(EventType.CRASH, label="first"), *system_event(EventType.RESET)),
        before_5_18=(
            *old_system_event(EventType.CRASH, label="first"),
            Exits(ExitReason.SYSTEM_EVENT),
            Holds("type", EventType.RESET),
        ),
        source=API,
        needs=(HYPERV,),
    ),
)


@CLAIMS.each
def test_stale(check, claim):
    """The event's valid fields have no bytes of an earlier event, or of an I/O or MMIO exit."""
    check(claim)
