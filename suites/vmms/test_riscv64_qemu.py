"""What a user of QEMU sees when its riscv64 guest calls SBI SRST: events of QMP, and whether the guest comes back.

Run with `--vmm qemu-10`: see test_arm64_qemu.py. The guest of QEMU is guests/vmms/riscv64.S. The kernel gives a VMM the
reason of the call in data[0], which suites/srst claims; QEMU does not read it, so a shutdown after a failure of the
guest's system looks like any other.
"""

from msgspec import structs

from sysevent.abi import sbi
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.outcome_checks import Shows
from sysevent.contract.riscv64 import RESET_TYPES, SYSTEM_RESET
from sysevent.model import Level
from sysevent.scenario.vmms import SHUT_DOWN, qemu

SOURCE = f"QEMU, accel/kvm/kvm-all.c, kvm_cpu_exec: KVM_EXIT_SYSTEM_EVENT; {SYSTEM_RESET}"
OFF = ("SHUTDOWN guest-shutdown",)
AGAIN = Shows(("RESET guest-reset",), again=True, state="running")
SHOWS = {"SHUTDOWN": (Shows(OFF), "ends QEMU"), "RESET": (AGAIN, "starts the guest again in QEMU")}
REASONS = {sbi.NO_REASON: "no reason", sbi.SYSTEM_FAILURE: "system failure"}


def srst(title, kind, reason, **more):
    """Return the scenario in which QEMU's guest makes this call."""
    return qemu("riscv64", f"vmm.qemu.srst.{title}", kind, reason, 0, 0, 0, sbi.SRST, **more)


def beside(title, shows):
    """Return the check with the name of the claim about the same call in suites/srst."""
    return structs.replace(shows, beside=f"srst.{title}")


# fmt: off
# Title, QEMU's option, the reset type, what a user sees, what QEMU shows, what ends the guest's run.
OPTIONS = (
    ("shutdown.no_shutdown", "-no-shutdown", sbi.SHUTDOWN, "stops QEMU's machine after SRST shutdown",
     Shows(OFF, state="shutdown"), {"until": SHUT_DOWN}),
    ("cold_reboot.no_reboot", "-no-reboot", sbi.COLD_REBOOT, "ends QEMU after SRST cold reboot",
     Shows(("SHUTDOWN guest-reset",)), {}),
)
# fmt: on

CLAIMS = claims(
    *(
        ExitClaim(
            f"vmm.qemu.srst.{kind.title}.{reason:#x}",
            f"SBI SRST {kind.words} with {words} {SHOWS[kind.event_name][1]}, which does not report the reason.",
            asks=srst(f"{kind.title}.{reason:#x}", kind.number, reason),
            gives=(beside(f"{kind.title}.{reason:#x}", SHOWS[kind.event_name][0]),),
            source=SOURCE,
            level=Level.OBSERVED,
        )
        for kind in RESET_TYPES
        for reason, words in REASONS.items()
    ),
    ExitClaim(
        "vmm.qemu.srst.reserved",
        "SBI SRST of reset type 3 returns NOT_SUPPORTED (-2) to QEMU's guest.",
        asks=srst("reserved", 3, 0),
        gives=(Shows(returned=sbi.NOT_SUPPORTED, state="running", beside="srst.reserved"),),
        source=SOURCE,
        level=Level.OBSERVED,
    ),
    *(
        ExitClaim(
            f"vmm.qemu.srst.{title}",
            f"{option} {effect}.",
            asks=srst(title, kind, 0, options=(option,), **until),
            gives=(beside(f"{title.rpartition('.')[0]}.0x0", shows),),
            source=SOURCE,
            level=Level.OBSERVED,
        )
        for title, option, kind, effect, shows, until in OPTIONS
    ),
)


@CLAIMS.each
def test_qemu(check, claim):
    """QEMU reports the event, and the guest ends, comes back or goes on."""
    check(claim)
