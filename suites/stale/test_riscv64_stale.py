"""Bytes of an earlier exit in kvm_run must not look like fields of a riscv64 system event.

All exits share one union. The guest causes an exit, and then a system event, and the VMM does not poison kvm_run in
between: type, ndata and data[] must be those of the event. Over two different poisons, the event must be the same.
Source: api.rst, KVM_EXIT_SYSTEM_EVENT; ndata since v5.18.
"""

from sysevent.abi import sbi
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import DATA, EXIT_REASON, TYPE, span
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import Exits
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import REASON, RESET_TYPES
from sysevent.contract.scenario_checks import SameBytes
from sysevent.contract.system_events import API, system_event
from sysevent.scenario import ioctls
from sysevent.scenario.riscv64 import registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import KEEP, Entry, run

REBOOTS = Entry("call", registers(sbi.COLD_REBOOT, REASON))


def after_mmio(reset):
    """Return the scenario: a store that exits as MMIO, then the call without a poison in between.

    The MMIO exit has its address at 32 and its data, the guest's a5, at 40.
    """
    arguments = registers(reset.number, 1)
    stored = (*arguments[:5], 0xFEED_FACE_CAFE_F00D, *arguments[6:])
    return scenario(
        f"after_mmio.{reset.title}",
        *vm_with_vcpus(),
        Entry("call", stored, symbol="mmio_first"),
        *run("first"),
        *run("exit", poison=KEEP),
    )


CLAIMS = claims(
    ExitClaim(
        "sequence.reset_then_shutdown",
        "A shutdown after a reboot exits with its own type and reason, and none of the first event's data.",
        # kvm_run is not poisoned between the two events.
        asks=scenario(
            "sequence.reset_then_shutdown",
            *vm_with_vcpus(),
            Entry("call", registers(sbi.WARM_REBOOT, REASON)),
            *run("first"),
            ioctls.set_mp_state(0, MpState.RUNNABLE),
            Entry("call", registers(sbi.SHUTDOWN, 0)),
            *run("exit", poison=KEEP),
        ),
        gives=(*system_event(EventType.RESET, REASON, label="first"), *system_event(EventType.SHUTDOWN, 0)),
        source=API,
    ),
    *(
        ExitClaim(
            f"after_mmio.{reset.title}",
            f"SBI SRST {reset.words} right after an MMIO exit, whose bytes lie in the same union, exits with its "
            "own data.",
            asks=after_mmio(reset),
            gives=(Exits(ExitReason.MMIO, "first"), *system_event(reset.event_type, 1)),
            source=API,
        )
        for reset in RESET_TYPES
    ),
    ExitClaim(
        "poison.cold_reboot",
        "What SBI SRST writes does not depend on what was in kvm_run before.",
        # The same event over two different poisons.
        asks=scenario(
            "poison.cold_reboot",
            *vm_with_vcpus(),
            REBOOTS,
            *run("exit"),
            ioctls.set_mp_state(0, MpState.RUNNABLE),
            REBOOTS,
            *run("other", poison=0x5C),
        ),
        gives=(
            *system_event(EventType.RESET, REASON),
            *system_event(EventType.RESET, REASON, label="other"),
            SameBytes("exit", "other", EXIT_REASON.span),
            SameBytes("exit", "other", span(TYPE, DATA[0])),
        ),
        source=API,
    ),
)


@CLAIMS.each
def test_stale(check, claim):
    """The event's fields have no bytes of an earlier event, of an MMIO exit or of a poison."""
    check(claim)
