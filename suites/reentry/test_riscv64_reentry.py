"""KVM_RUN on riscv64 when userspace enters it again after a system event.

The guest calls SBI system reset (SRST), and the VMM calls KVM_RUN again. It blocks, because KVM stopped the hart
(arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_sbi_system_reset). Once userspace makes the hart RUNNABLE, the guest repeats
the call, because its PC is still there, unless userspace moves the PC. With immediate_exit set, KVM_RUN returns EINTR
before the guest runs, and the event is not lost.
"""

from sysevent.abi import sbi
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import IMMEDIATE_EXIT
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import Exits, Holds, RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import REASON, RESET_TYPES, SYSTEM_RESET, guest_continues
from sysevent.contract.scenario_checks import Blocks, Interrupted
from sysevent.contract.system_events import IMMEDIATE_EXIT_DOC, old_system_event, system_event
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.riscv64 import registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import SETTLE_MS, Entry, SetRunBytes, run


def entered_again(reset):
    """Return the scenario: KVM_RUN again after the event, and again after userspace made the hart RUNNABLE."""
    return scenario(
        f"reentry.{reset.title}",
        *vm_with_vcpus(),
        Entry("call", registers(reset.number, REASON)),
        *run("exit"),
        *run("again", milliseconds=SETTLE_MS),
        ioctls.set_mp_state(0, MpState.RUNNABLE),
        *run("repeated"),
    )


ASKS = {reset.title: entered_again(reset) for reset in RESET_TYPES}

CLAIMS = claims(
    *(
        ExitClaim(
            f"reentry.{reset.title}",
            f"After SBI SRST {reset.words} KVM_RUN blocks until userspace declares the hart runnable.",
            asks=ASKS[reset.title],
            gives=(Exits(ExitReason.SYSTEM_EVENT), Blocks("again")),
            source=SYSTEM_RESET,
        )
        for reset in RESET_TYPES
    ),
    *(
        ExitClaim(
            f"reentry.{reset.title}.repeats",
            f"A hart declared runnable after SBI SRST {reset.words} repeats the call, since its PC was not moved.",
            asks=ASKS[reset.title],
            gives=(
                Exits(ExitReason.SYSTEM_EVENT, "exit"),
                Exits(ExitReason.SYSTEM_EVENT, "repeated"),
                Holds("type", reset.event_type, "repeated"),
            ),
            source=f"{SYSTEM_RESET}; before v6.12 a1 is lost, and the repeated event's reason is 0",
            level=Level.OBSERVED,
        )
        for reset in RESET_TYPES
    ),
    ExitClaim(
        "resumed",
        "Userspace that moves the PC past the call and declares the hart runnable resumes the guest.",
        asks=scenario(
            "resumed",
            *vm_with_vcpus(),
            Entry("call", registers(sbi.SHUTDOWN, REASON)),
            *run("exit"),
            ioctls.set_mp_state(0, MpState.RUNNABLE),
            # Past the call, with a0 as the guest shall find it.
            Entry("call", (0x600D,), symbol="returned"),
            *run("resumed"),
        ),
        gives=(
            Exits(ExitReason.SYSTEM_EVENT),
            *guest_continues("resumed"),
            RegisterHolds("a0", 0x600D, "resumed"),
        ),
        source="Documentation/virt/kvm/api.rst, KVM_SET_MP_STATE",
    ),
    ExitClaim(
        "immediate_exit",
        "With immediate_exit KVM_RUN gives EINTR and runs nothing; the event comes at the next KVM_RUN.",
        asks=scenario(
            "immediate_exit",
            *vm_with_vcpus(),
            Entry("call", registers(sbi.COLD_REBOOT, REASON)),
            SetRunBytes(IMMEDIATE_EXIT.offset, b"\x01"),
            *run("nothing"),
            *run("exit"),
        ),
        gives=(Interrupted("nothing"), *system_event(EventType.RESET, REASON)),
        before_5_18=(Interrupted("nothing"), *old_system_event(EventType.RESET, REASON)),
        source=IMMEDIATE_EXIT_DOC,
    ),
)


@CLAIMS.each
def test_reentry(check, claim):
    """KVM_RUN blocks, then repeats the call unless userspace moves the PC; immediate_exit runs nothing."""
    check(claim)
