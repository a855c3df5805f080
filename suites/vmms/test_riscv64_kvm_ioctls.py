"""What a VMM on rust-vmm's kvm-ioctls gets from the library when its riscv64 guest calls SBI SRST.

Run with `--vmm kvm-ioctls`: see test_x86_64_kvm_ioctls.py. The library returns data[0], which has the reason of the
call: a VMM can tell a shutdown after a failure of the guest's system from any other, which QEMU cannot.
"""

from sysevent.abi import sbi
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.outcome_checks import Gets
from sysevent.contract.riscv64 import RESET_TYPES, SYSTEM_RESET
from sysevent.model import Level
from sysevent.scenario.vmms import kvm_ioctls

REASONS = {sbi.NO_REASON: "no reason", sbi.SYSTEM_FAILURE: "system failure"}

CLAIMS = claims(
    *(
        ExitClaim(
            f"vmm.kvm_ioctls.srst.{kind.title}.{reason:#x}",
            f"A VMM on kvm-ioctls gets SBI SRST {kind.words} with {words}, and the reason in data[0].",
            asks=kvm_ioctls(
                "riscv64",
                f"vmm.kvm_ioctls.srst.{kind.title}.{reason:#x}",
                *(kind.number, reason, 0, 0, 0, sbi.SRST),
            ),
            gives=(
                Gets("system_event", kind.event_type, (reason,), beside=f"srst.{kind.title}.{reason:#x}"),
            ),
            source=f"kvm-ioctls, VcpuFd::run(): KVM_EXIT_SYSTEM_EVENT; {SYSTEM_RESET}",
            level=Level.OBSERVED,
        )
        for kind in RESET_TYPES
        for reason, words in REASONS.items()
    )
)


@CLAIMS.each
def test_kvm_ioctls(check, claim):
    """The library returns the event as the kernel wrote it."""
    check(claim)
