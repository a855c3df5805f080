"""What was in kvm_run before a riscv64 event must not be taken for the event's: all exits share the same bytes."""

from sysevent.contract.around import SameBytes
from sysevent.contract.checks import Exits
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.expect import API, EXIT_MMIO, RESET, SHUTDOWN, system_event
from sysevent.contract.riscv64 import REASON, RESET_TYPES
from sysevent.scenario import ioctls, riscv64
from sysevent.scenario.ioctls import MP_RUNNABLE
from sysevent.scenario.riscv64 import COLD_REBOOT, WARM_REBOOT, machine, registers, scenario
from sysevent.scenario.steps import KEEP, Entry, run

REBOOTS = Entry("call", registers(COLD_REBOOT, REASON))


def after_mmio(reset):
    """An event in the bytes of an MMIO exit, which lie in the same union: address at 32, data at 40."""
    arguments = registers(reset.number, 1)
    stored = (*arguments[:5], 0xFEED_FACE_CAFE_F00D, *arguments[6:])
    return scenario(
        f"after_mmio.{reset.title}",
        *machine(),
        Entry("call", stored, symbol="mmio_first"),
        *run("first"),
        *run("exit", poison=KEEP),
    )


CLAIMS = claims(
    ExitClaim(
        "sequence.reset_then_shutdown",
        "A shutdown after a reboot exits with its own type and reason, and nothing of the first.",
        # kvm_run is not poisoned between them.
        asks=scenario(
            "sequence.reset_then_shutdown",
            *machine(),
            Entry("call", registers(WARM_REBOOT, REASON)),
            *run("first"),
            ioctls.set_mp_state(0, MP_RUNNABLE),
            Entry("call", registers(riscv64.SHUTDOWN, 0)),
            *run("exit", poison=KEEP),
        ),
        gives=(*system_event(RESET, REASON, label="first"), *system_event(SHUTDOWN, 0)),
        source=API,
    ),
    *(
        ExitClaim(
            f"after_mmio.{reset.title}",
            f"SBI SRST {reset.words} right after an MMIO exit, whose bytes lie in the same union, exits with its "
            "own data.",
            asks=after_mmio(reset),
            gives=(Exits(EXIT_MMIO, "first"), *system_event(reset.event, 1)),
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
            *machine(),
            REBOOTS,
            *run("exit"),
            ioctls.set_mp_state(0, MP_RUNNABLE),
            REBOOTS,
            *run("other", poison=0x5C),
        ),
        gives=(
            *system_event(RESET, REASON),
            *system_event(RESET, REASON, label="other"),
            SameBytes("exit", "other", (8, 12)),
            SameBytes("exit", "other", (32, 48)),
        ),
        source=API,
    ),
)


@CLAIMS.each
def test_stale(check, claim):
    """Nothing of an earlier event, of an MMIO exit or of a poison is left where the event's fields are."""
    check(claim)
