"""What a VMM on rust-vmm's kvm-ioctls gets from the library: Firecracker, cloud-hypervisor and crosvm stand on it.

Run with `--vmm kvm-ioctls`: guests/vmms/kvm-ioctls, on Debian's crate, runs guests/vmms/x86_64.S on the KVM under test
and prints each exit as the library returns it. The library takes ndata for valid on every kernel. Before v5.18 there is
no ndata, and for Hyper-V's events KVM wrote only the type: the VMM then gets bytes of an earlier exit, and the guest
chooses them. With 17 in the place of ndata the library panics, and the VMM with it.
"""

from sysevent.abi.events import EventType
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.outcome_checks import Gets
from sysevent.contract.x86_64 import HYPERV
from sysevent.model import Level
from sysevent.scenario.vmms import kvm_ioctls

SOURCE = "kvm-ioctls, VcpuFd::run(): KVM_EXIT_SYSTEM_EVENT; d495f942f40a, v5.18"
# What the guest does: guests/vmms/x86_64.S.
HV_RESET, HV_CRASH, UNPAGED, AFTER_MMIO = 1, 2, 3, 5
RESET = Gets("system_event", EventType.RESET, beside="hyperv.reset")
AFTER = Gets("system_event", EventType.RESET, beside="after_mmio.reset")
# fmt: off
# Title, what must hold, the guest's parameters, the VMM's options, what it gets, needs.
ROWS = (
    ("hyperv.reset", "After an OUT a VMM on kvm-ioctls gets a Hyper-V reset without data.",
     (HV_RESET,), ("--hyperv",), RESET, (HYPERV,)),
    ("hyperv.crash", "After an OUT a VMM on kvm-ioctls gets a Hyper-V crash without data.",
     (HV_CRASH,), ("--hyperv",), Gets("system_event", EventType.CRASH, beside="hyperv.crash"), (HYPERV,)),
    ("hyperv.reset.panic", "After a store to 17 << 32 a VMM on kvm-ioctls gets a Hyper-V reset without data.",
     (AFTER_MMIO, 17), ("--hyperv",), AFTER, (HYPERV,)),
    ("triple_fault", "A VMM on kvm-ioctls gets a triple fault as a shutdown.",
     (UNPAGED,), (), Gets("shutdown", beside="after_shutdown.protected"), ()),
)
# fmt: on

CLAIMS = claims(
    *(
        ExitClaim(
            f"vmm.kvm_ioctls.{title}",
            says,
            asks=kvm_ioctls("x86_64", f"vmm.kvm_ioctls.{title}", *words, options=options),
            gives=(gets,),
            source=SOURCE,
            needs=needs,
            level=Level.OBSERVED,
        )
        for title, says, words, options, gets, needs in ROWS
    )
)


@CLAIMS.each
def test_kvm_ioctls(check, claim):
    """The library returns the event as the kernel wrote it."""
    check(claim)
