"""What a user of QEMU sees when its arm64 guest makes a PSCI call: events of QMP, and whether the guest comes back.

Run with `--vmm qemu-10`: QEMU runs in the L1 guest, on the KVM under test, beside this project's own VMM. The guest of
QEMU is guests/vmms/arm64.S. What QEMU makes of an exit is not promised by the kernel, so the level is observed; the
claims about the same calls in suites/psci say what the kernel wrote. QEMU reads only the type of the event (accel/kvm/
kvm-all.c, KVM_EXIT_SYSTEM_EVENT): RESET and RESET2 look alike, and so do OFF and OFF2.
"""

from msgspec import structs

from sysevent.abi.psci import NOT_SUPPORTED, Function
from sysevent.contract.arm64 import OFF2, RESET2
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.outcome_checks import Shows
from sysevent.contract.terms import Need
from sysevent.model import Level
from sysevent.scenario.vmms import SHUT_DOWN, qemu

SOURCE = "QEMU, accel/kvm/kvm-all.c, kvm_cpu_exec: KVM_EXIT_SYSTEM_EVENT; arch/arm64/kvm/psci.c"
NO_OFF2 = Need("PSCI SYSTEM_OFF2", None, Function.SYSTEM_OFF2.fact, absent=True)
OFF = ("SHUTDOWN guest-shutdown",)
RESET = ("RESET guest-reset",)
AGAIN = Shows(RESET, again=True, state="running")
REFUSED = Shows(returned=NOT_SUPPORTED, state="running")
ENTRY = 0x4010_0000

# fmt: off
# Title, what the guest does, what a user sees, the call, what QEMU shows, needs.
ROWS = (
    ("off", "PSCI SYSTEM_OFF", "ends QEMU, which reports a shutdown by the guest",
     (Function.SYSTEM_OFF,), Shows(OFF), ()),
    ("reset", "PSCI SYSTEM_RESET", "starts the guest again in QEMU",
     (Function.SYSTEM_RESET,), AGAIN, ()),
    ("reset2", "PSCI SYSTEM_RESET2", "starts the guest again in QEMU, as SYSTEM_RESET does",
     (Function.SYSTEM_RESET2_64, 0, 0), AGAIN, (RESET2,)),
    ("off2", "PSCI SYSTEM_OFF2", "ends QEMU as SYSTEM_OFF does: that the guest hibernates is lost",
     (Function.SYSTEM_OFF2, 1, 0), Shows(OFF), (OFF2,)),
    ("off2.unknown", "PSCI SYSTEM_OFF2 on a kernel without it", "returns NOT_SUPPORTED to QEMU's guest",
     (Function.SYSTEM_OFF2, 1, 0), REFUSED, (NO_OFF2,)),
    ("suspend", "PSCI SYSTEM_SUSPEND", "returns NOT_SUPPORTED to QEMU's guest: QEMU does not enable it",
     (Function.SYSTEM_SUSPEND_64, ENTRY, 0), REFUSED, ()),
)
# Title, QEMU's option, the call, what a user sees, what QEMU shows, what ends the guest's run.
OPTIONS = (
    ("off.no_shutdown", "-no-shutdown", Function.SYSTEM_OFF, "stops QEMU's machine after SYSTEM_OFF",
     Shows(OFF, state="shutdown"), {"until": SHUT_DOWN}),
    ("reset.no_reboot", "-no-reboot", Function.SYSTEM_RESET, "ends QEMU after SYSTEM_RESET",
     Shows(("SHUTDOWN guest-reset",)), {}),
)
# fmt: on

# The claim about the bytes, where its name is another one.
BYTES = {"off2": "off2.1", "off2.unknown": "off2.1", "suspend": "suspend.denied"}


def beside(title, shows):
    """Return the check with the name of the claim about the same call in suites/psci."""
    return structs.replace(shows, beside=f"psci.{BYTES.get(title, title)}")


CLAIMS = claims(
    *(
        ExitClaim(
            f"vmm.qemu.psci.{title}",
            f"{call} {effect}.",
            asks=qemu("arm64", f"vmm.qemu.psci.{title}", *words),
            gives=(beside(title, shows),),
            source=SOURCE,
            needs=needs,
            level=Level.OBSERVED,
        )
        for title, call, effect, words, shows, needs in ROWS
    ),
    *(
        ExitClaim(
            f"vmm.qemu.psci.{title}",
            f"{option} {effect}.",
            asks=qemu("arm64", f"vmm.qemu.psci.{title}", fid, options=(option,), **until),
            gives=(beside(title.rpartition(".")[0], shows),),
            source=SOURCE,
            level=Level.OBSERVED,
        )
        for title, option, fid, effect, shows, until in OPTIONS
    ),
)


@CLAIMS.each
def test_qemu(check, claim):
    """QEMU reports the event, and the guest ends, comes back or goes on."""
    check(claim)
