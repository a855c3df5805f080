"""Bytes of an earlier exit in kvm_run must not look like fields of an arm64 system event.

All exits share one union. The guest causes an exit, and then a system event, and the VMM does not poison kvm_run in
between: type, ndata and data[] must be those of the event. Over two different poisons, the event must be the same.
Source: api.rst, KVM_EXIT_SYSTEM_EVENT; ndata since v5.18.
"""

from sysevent.abi.events import EventType, ResetFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import DATA, EXIT_REASON, TYPE, span
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import Function
from sysevent.contract.arm64 import BY_TITLE, CAP_SUSPEND, FINAL, RESET2, SUSPEND
from sysevent.contract.checks import Exits, Holds, RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import SameBytes
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import COOKIE, RETURNED_MMIO, registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import KEEP, Entry, run

RESETS = Entry("call", registers(Function.SYSTEM_RESET2, 0, COOKIE))
LOW_COOKIE = COOKIE & 0xFFFF_FFFF


def after_reset2(call):
    """Return the scenario: SYSTEM_RESET2, then the call, without a poison in between."""
    return scenario(
        f"sequence.reset2_then_{call.title}",
        *vm_with_vcpus(),
        *call.setup,
        RESETS,
        *run("first"),
        ioctls.set_mp_state(0, MpState.RUNNABLE),
        Entry("call", registers(*call.registers)),
        *run("exit", poison=KEEP),
    )


def after_mmio(call):
    """Return the scenario: a store that exits as MMIO, then the call without a poison in between.

    The MMIO exit has its address at 32 and its data, the guest's x9, at 40.
    """
    stored = (*registers(*call.registers)[:9], 0xFEED_FACE_CAFE_F00D)
    return scenario(
        f"after_mmio.{call.title}",
        *vm_with_vcpus(),
        *call.setup,
        Entry("call", stored, symbol="mmio_first"),
        *run("first"),
        *run("exit", poison=KEEP),
    )


CLAIMS = claims(
    *(
        ExitClaim(
            f"sequence.reset2_then_{call.title}",
            f"{call.words} after SYSTEM_RESET2 exits with its own data, and none of the first event's.",
            asks=after_reset2(call),
            gives=(
                *system_event(EventType.RESET, ResetFlag.PSCI_RESET2, label="first"),
                *system_event(call.event_type, *call.event_data),
            ),
            source=API,
            needs=(RESET2, *call.needs),
        )
        for call in (BY_TITLE["off"], BY_TITLE["reset"], SUSPEND)
    ),
    *(
        ExitClaim(
            f"after_mmio.{call.title}",
            f"{call.words} right after an MMIO exit, whose bytes lie in the same union, exits with its own data.",
            asks=after_mmio(call),
            gives=(
                Exits(ExitReason.MMIO, "first"),
                Holds("mmio.phys_addr", RETURNED_MMIO, "first"),
                *system_event(call.event_type, *call.event_data),
            ),
            before_5_18=(
                Exits(ExitReason.MMIO, "first"),
                *old_system_event(call.event_type, *call.event_data),
            ),
            source=API,
            needs=call.needs,
        )
        for call in FINAL
    ),
    ExitClaim(
        "after_mmio.suspend",
        "SYSTEM_SUSPEND right after an MMIO exit exits with no data.",
        asks=after_mmio(SUSPEND),
        gives=(Exits(ExitReason.MMIO, "first"), *system_event(SUSPEND.event_type)),
        source=API,
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "poison.reset2",
        "What SYSTEM_RESET2 writes does not depend on what was in kvm_run before.",
        # The same event over two different poisons.
        asks=scenario(
            "poison.reset2",
            *vm_with_vcpus(),
            RESETS,
            *run("exit"),
            ioctls.set_mp_state(0, MpState.RUNNABLE),
            RESETS,
            *run("other", poison=0x5C),
        ),
        gives=(
            *system_event(EventType.RESET, ResetFlag.PSCI_RESET2),
            *system_event(EventType.RESET, ResetFlag.PSCI_RESET2, label="other"),
            SameBytes("exit", "other", EXIT_REASON.span),
            SameBytes("exit", "other", span(TYPE, DATA[0])),
            RegisterHolds("x2", LOW_COOKIE),
            RegisterHolds("x2", LOW_COOKIE, "other"),
        ),
        source=API,
        needs=(RESET2,),
    ),
)


@CLAIMS.each
def test_stale(check, claim):
    """The event's fields have no bytes of an earlier event, of an MMIO exit or of a poison."""
    check(claim)
