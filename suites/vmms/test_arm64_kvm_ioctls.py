"""What a VMM on rust-vmm's kvm-ioctls gets from the library when its arm64 guest makes a PSCI call.

Run with `--vmm kvm-ioctls`: see test_x86_64_kvm_ioctls.py. The library returns the type and data[0:ndata], so a VMM can
tell RESET2 from RESET and hibernation (OFF2) from OFF, which QEMU cannot. Before v5.18 there is no ndata; these bytes
are zero on arm64, so the VMM gets no data, as on a kernel that has none to give.
"""

from sysevent.abi.events import EventType, ResetFlag, ShutdownFlag
from sysevent.abi.psci import Function
from sysevent.contract.arm64 import OFF2, RESET2
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.outcome_checks import Gets
from sysevent.model import Level
from sysevent.scenario.vmms import kvm_ioctls

SOURCE = "kvm-ioctls, VcpuFd::run(): KVM_EXIT_SYSTEM_EVENT; arch/arm64/kvm/psci.c, kvm_prepare_system_event"
# fmt: off
# Title, the call, its registers, type and data of the event, the claim about the bytes, needs.
ROWS = (
    ("off", "SYSTEM_OFF", (Function.SYSTEM_OFF,), EventType.SHUTDOWN, 0, "psci.off", ()),
    ("reset", "SYSTEM_RESET", (Function.SYSTEM_RESET,), EventType.RESET, 0, "psci.reset", ()),
    ("reset2", "SYSTEM_RESET2", (Function.SYSTEM_RESET2_64, 0, 0), EventType.RESET,
     ResetFlag.PSCI_RESET2, "psci.reset2", (RESET2,)),
    ("off2", "SYSTEM_OFF2", (Function.SYSTEM_OFF2, 1, 0), EventType.SHUTDOWN,
     ShutdownFlag.PSCI_OFF2, "psci.off2.1", (OFF2,)),
)
# fmt: on

CLAIMS = claims(
    *(
        ExitClaim(
            f"vmm.kvm_ioctls.psci.{title}",
            f"A VMM on kvm-ioctls gets PSCI {call} with data[0] {int(data):#x}.",
            asks=kvm_ioctls("arm64", f"vmm.kvm_ioctls.psci.{title}", *words),
            gives=(Gets("system_event", kind, (int(data),), beside=beside),),
            before_5_18=(Gets("system_event", kind, beside=beside),),
            source=SOURCE,
            needs=needs,
            level=Level.OBSERVED,
        )
        for title, call, words, kind, data, beside, needs in ROWS
    )
)


@CLAIMS.each
def test_kvm_ioctls(check, claim):
    """The library returns the event as the kernel wrote it."""
    check(claim)
