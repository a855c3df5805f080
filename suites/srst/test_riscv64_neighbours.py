"""SBI calls beside system reset: legacy shutdown, which causes a system event, and system suspend, which does not.

The guest makes one ECALL. Legacy shutdown (CONFIG_RISCV_SBI_V01=y) exits with KVM_EXIT_SYSTEM_EVENT, type SHUTDOWN, one
datum 0 (kvm_sbi_ext_v01_handler). System suspend (SUSP, since v6.13, 023c15151fbb) exits with KVM_EXIT_RISCV_SBI if
userspace has turned it on; else the guest gets SBI_ERR_NOT_SUPPORTED.
"""

from sysevent.abi import sbi
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.abi.sbi import (
    DENIED,
    EXT_SUSP,
    INVALID_ADDRESS,
    INVALID_PARAM,
    LEGACY_SHUTDOWN,
    NOT_SUPPORTED,
    SUSP,
)
from sysevent.contract.checks import Exits, Holds, RegisterHolds, RegisterHoldsOneOf
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import ECALL, event_claim, guest_continues
from sysevent.contract.scenario_checks import BufferHolds
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.contract.terms import Need
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.riscv64 import (
    RAM,
    STARTED_AT,
    call,
    call_among_peers,
    ecall,
    enable,
    next_call,
    registers,
    scenario,
    vm_with_vcpus,
)
from sysevent.scenario.steps import Entry, run

SUSP_COMMIT = "023c15151fbb, RISC-V: KVM: Add SBI system suspend support, v6.13"
LEGACY = Need("legacy SBI v0.1 shutdown (CONFIG_RISCV_SBI_V01=y)", None, "sbi.probe.legacy_shutdown")
NO_LEGACY = Need("legacy SBI v0.1 shutdown", None, "sbi.probe.legacy_shutdown", absent=True)
SUSPENDS = Need("SBI system suspend (023c15151fbb)", (6, 13), "sbi.enable.susp")

# Of SET_TIMER.
NEVER = 0xFFFF_FFFF_FFFF_FFFF
LAST = Configuration(vcpus=4, caller=3, peers=Peers.RUNNING)
# What a suspended hart finds in a1.
OPAQUE = 0xC0DE_0000_8BAD_F00D
SHUTS_DOWN = ecall("legacy.shutdown", 0x1234, 0x5678, extension=LEGACY_SHUTDOWN)

# Where no memory is.
NOWHERE = 0x1_0000_0000
# Label and extension. The timer is never due.
UNEVENTFUL = (("set_timer", sbi.LEGACY_SET_TIMER), ("clear_ipi", sbi.LEGACY_CLEAR_IPI))
KEPT = scenario(
    "legacy.kept",
    *vm_with_vcpus(),
    *(
        step
        for number, (label, extension) in enumerate(UNEVENTFUL)
        for step in (next_call if number else call)(0, NEVER, 0x5678, label, extension=extension)
    ),
)
# SEND_IPI has the address of a mask of harts in a0.
TRAPS = scenario(
    "legacy.trap",
    *vm_with_vcpus(),
    Entry("call", registers(NOWHERE, 0x5678, extension=sbi.LEGACY_SEND_IPI), symbol="trapping"),
    *run("exit"),
)
# Causes of an exception: load access fault, load page fault, load guest-page fault.
LOAD_FAULTS = (5, 13, 21)

LEGACY_CLAIMS = claims(
    ExitClaim(
        "legacy.shutdown",
        "Legacy SBI shutdown exits as SHUTDOWN with one datum, 0, whatever its arguments hold.",
        asks=SHUTS_DOWN,
        gives=system_event(EventType.SHUTDOWN, 0),
        before_5_18=old_system_event(EventType.SHUTDOWN, 0),
        source=f"{API}; arch/riscv/kvm/vcpu_sbi_v01.c, kvm_sbi_ext_v01_handler",
        needs=(LEGACY,),
    ),
    event_claim(
        LAST.title("legacy.shutdown"),
        "Legacy SBI shutdown by the last of 4 harts exits as SHUTDOWN with one datum, 0, and stops all harts.",
        asks=call_among_peers("legacy.shutdown", LAST, 0x1234, 0x5678, extension=LEGACY_SHUTDOWN),
        event=(EventType.SHUTDOWN, 0),
        also=tuple(BufferHolds(f"mp_state {hart}", MpState.STOPPED) for hart in range(4)),
        source=f"{API}; arch/riscv/kvm/vcpu_sbi_v01.c, kvm_sbi_ext_v01_handler",
        needs=(LEGACY,),
    ),
    ExitClaim(
        "legacy.kept",
        "Other legacy SBI calls cause no event, and change a0 alone: they have no second result.",
        asks=KEPT,
        gives=tuple(
            check
            for label, _ in UNEVENTFUL
            for check in (
                *guest_continues(label),
                RegisterHolds("a0", 0, label),
                RegisterHolds("a1", 0x5678, label),
            )
        ),
        source=f"RISC-V SBI specification, legacy extensions; {ECALL}",
        needs=(LEGACY,),
    ),
    ExitClaim(
        "legacy.trap",
        "A legacy SBI call whose pointer leads nowhere causes no event: the caller gets the exception, at its call.",
        asks=TRAPS,
        gives=(
            *guest_continues(),
            RegisterHoldsOneOf("t1", LOAD_FAULTS),
            RegisterHoldsOneOf("t2", ("call.trapping_call",)),
            RegisterHolds("a0", NOWHERE),
            RegisterHolds("a1", 0x5678),
        ),
        source=f"RISC-V SBI specification, legacy extensions: faults are redirected, with sepc at the ECALL; {ECALL}",
        needs=(LEGACY,),
    ),
    ExitClaim(
        "legacy.absent",
        "Where legacy SBI is not built, its shutdown causes no event: SBI_ERR_NOT_SUPPORTED (-2) in a0.",
        asks=SHUTS_DOWN,
        gives=(*guest_continues(), RegisterHolds("a0", NOT_SUPPORTED)),
        source=ECALL,
        needs=(NO_LEGACY,),
    ),
)


@LEGACY_CLAIMS.each
def test_legacy(check, claim):
    """Legacy shutdown causes an event if KVM is built with it, and an error if not."""
    check(claim)


# fmt: off
# Label, a0, a1, function, a0 that the guest gets. Hart 1 is RUNNABLE for the last one alone.
REFUSED = (
    ("reserved type", 1, RAM, 0, INVALID_PARAM),
    ("address without memory", 0, NOWHERE, 0, INVALID_ADDRESS),
    ("function that does not exist", 0, RAM, 1, NOT_SUPPORTED),
    ("another hart that runs", 0, RAM, 0, DENIED),
)
# fmt: on
SUSPEND_REFUSED = scenario(
    "susp.refused",
    *vm_with_vcpus(vcpus=2),
    enable(EXT_SUSP, 1),
    *(
        step
        for number, (label, a0, a1, function, _) in enumerate(REFUSED)
        for step in (
            *((ioctls.set_mp_state(1, MpState.RUNNABLE),) if number == len(REFUSED) - 1 else ()),
            *(next_call if number else call)(0, a0, a1, label, function=function, extension=SUSP),
        )
    ),
)
# Type and opaque value have upper halves. Userspace resumes the hart at once.
RESUMES = scenario(
    "susp.resumes",
    *vm_with_vcpus(),
    enable(EXT_SUSP, 1),
    *call(0, 0xA5 << 32, STARTED_AT, a2=OPAQUE, extension=SUSP),
    ioctls.get_mp_state(0, "mp_state"),
    *run("resumed"),
)

SUSPEND_CLAIMS = claims(
    ExitClaim(
        "susp.disabled",
        "SBI system suspend, which userspace has not turned on, causes no event: SBI_ERR_NOT_SUPPORTED (-2) in a0.",
        asks=ecall("susp.disabled", 0, RAM, extension=SUSP),
        gives=(*guest_continues(), RegisterHolds("a0", NOT_SUPPORTED)),
        source=SUSP_COMMIT,
    ),
    ExitClaim(
        "susp.enabled",
        "SBI system suspend is forwarded to userspace as KVM_EXIT_RISCV_SBI, not as a system event.",
        asks=ecall("susp.enabled", 0, RAM, extension=SUSP, setup=(enable(EXT_SUSP, 1),)),
        gives=(Exits(ExitReason.RISCV_SBI), Holds("riscv_sbi.extension_id", SUSP)),
        source=SUSP_COMMIT,
        needs=(SUSPENDS,),
    ),
    ExitClaim(
        "susp.reserved",
        "SBI system suspend of a reserved type is refused by the kernel: SBI_ERR_INVALID_PARAM (-3) in a0.",
        asks=ecall("susp.reserved", 1, RAM, extension=SUSP, setup=(enable(EXT_SUSP, 1),)),
        gives=(*guest_continues(), RegisterHolds("a0", INVALID_PARAM)),
        source=SUSP_COMMIT,
        needs=(SUSPENDS,),
    ),
    ExitClaim(
        "susp.refused",
        "System suspend that KVM refuses, such as while another hart runs, does not come to userspace.",
        asks=SUSPEND_REFUSED,
        gives=tuple(check for label, *_ in REFUSED for check in guest_continues(label)),
        source=SUSP_COMMIT,
        needs=(SUSPENDS,),
    ),
    ExitClaim(
        "susp.refused.error",
        "System suspend gives the error of its kind for a wrong type, address, function, or hart that runs.",
        asks=SUSPEND_REFUSED,
        gives=tuple(RegisterHolds("a0", error, label) for label, *_, error in REFUSED),
        source=f"RISC-V SBI specification, SUSP; {SUSP_COMMIT}",
        needs=(SUSPENDS,),
        level=Level.OBSERVED,
    ),
    ExitClaim(
        "susp.resumes",
        "System suspend comes to userspace with its arguments; KVM_RUN then begins at the given address of that hart.",
        asks=RESUMES,
        gives=(
            Exits(ExitReason.RISCV_SBI),
            Holds("riscv_sbi.extension_id", SUSP),
            Holds("riscv_sbi.function_id", 0),
            Holds("riscv_sbi.args[0]", 0xA5 << 32),
            Holds("riscv_sbi.args[1]", STARTED_AT),
            Holds("riscv_sbi.args[2]", OPAQUE),
            BufferHolds("mp_state", MpState.RUNNABLE),
            Exits(ExitReason.MMIO, "resumed"),
            Holds("mmio.data", OPAQUE, "resumed"),
            RegisterHolds("a0", 0, "resumed"),
            RegisterHolds("a1", OPAQUE, "resumed"),
        ),
        source=f"RISC-V SBI specification, SUSP; {SUSP_COMMIT}",
        needs=(SUSPENDS,),
    ),
)


@SUSPEND_CLAIMS.each
def test_system_suspend(check, claim):
    """SBI system suspend exits as an SBI call, if it is turned on, and never as a system event."""
    check(claim)
