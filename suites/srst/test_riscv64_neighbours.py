"""SBI calls beside system reset: legacy shutdown, which causes a system event, and system suspend, which does not.

The guest makes one ECALL. Legacy shutdown (CONFIG_RISCV_SBI_V01=y) exits with KVM_EXIT_SYSTEM_EVENT, type SHUTDOWN, one
datum 0 (kvm_sbi_ext_v01_handler). System suspend (SUSP, since v6.13, 023c15151fbb) exits with KVM_EXIT_RISCV_SBI if
userspace has turned it on; else the guest gets SBI_ERR_NOT_SUPPORTED.
"""

from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.sbi import EXT_SUSP, INVALID_PARAM, LEGACY_SHUTDOWN, NOT_SUPPORTED, SUSP
from sysevent.contract.checks import Exits, Holds, RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import ECALL, guest_continues
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.contract.terms import Need
from sysevent.scenario.riscv64 import RAM, ecall, enable

SUSP_COMMIT = "023c15151fbb, RISC-V: KVM: Add SBI system suspend support, v6.13"
LEGACY = Need("legacy SBI v0.1 shutdown (CONFIG_RISCV_SBI_V01=y)", None, "sbi.probe.legacy_shutdown")
NO_LEGACY = Need("legacy SBI v0.1 shutdown", None, "sbi.probe.legacy_shutdown", absent=True)
SUSPENDS = Need("SBI system suspend (023c15151fbb)", (6, 13), "sbi.enable.susp")

SHUTS_DOWN = ecall("legacy.shutdown", 0x1234, 0x5678, extension=LEGACY_SHUTDOWN)

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
)


@SUSPEND_CLAIMS.each
def test_system_suspend(check, claim):
    """SBI system suspend exits as an SBI call, if it is turned on, and never as a system event."""
    check(claim)
