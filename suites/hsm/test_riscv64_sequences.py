"""What KVM_SET_MP_STATE must leave as it is: a sequence that `sysevent explore` has found to matter on arm64.

A kernel that is wrong in it alone follows every other claim, also on riscv64. Source: arch/riscv/kvm/vcpu.c and
vcpu_sbi_hsm.c.
"""

from sysevent.abi import sbi
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.abi.sbi import HSM
from sysevent.contract.checks import Exits, Holds, RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import guest_continues
from sysevent.scenario import ioctls
from sysevent.scenario.riscv64 import RETURNED_MMIO, STARTED_AT, call, registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import Entry, run

OPAQUE = 0xC0DE_0000_8BAD_F00D

CLAIMS = claims(
    ExitClaim(
        "hsm.start.set_runnable",
        "A hart that HART_START started begins at the address given, also if userspace makes it RUNNABLE before it "
        "enters KVM_RUN.",
        asks=scenario(
            "hsm.start.set_runnable",
            *vm_with_vcpus(vcpus=2),
            # What hart 1 would do if it were not reset.
            Entry("call", registers(0, 0, function=sbi.PROBE_EXTENSION, extension=sbi.BASE), 1),
            *call(0, 1, STARTED_AT, "start", a2=OPAQUE, function=sbi.HART_START, extension=HSM),
            ioctls.set_mp_state(1, MpState.RUNNABLE),
            *run("started", 1),
        ),
        gives=(
            *guest_continues("start"),
            Exits(ExitReason.MMIO, "started"),
            Holds("mmio.phys_addr", RETURNED_MMIO, "started"),
            Holds("mmio.data", OPAQUE, "started"),
            RegisterHolds("a0", 1, "started"),
        ),
        source="RISC-V SBI specification, HSM; arch/riscv/kvm/vcpu.c, kvm_arch_vcpu_ioctl_set_mpstate",
    ),
)


@CLAIMS.each
def test_sequence(check, claim):
    """What was requested still comes."""
    check(claim)
