"""The bytes after the union of kvm_run: kvm_valid_regs at 288, and the registers that it requests from 304 on.

The VMM sets kvm_valid_regs before KVM_RUN, the guest writes a Hyper-V MSR, and the exit must have the guest's registers
(api.rst, KVM_CAP_SYNC_REGS). system_event is in the union before them: if it grew beyond 256 bytes, they would move.
"""

import struct

from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import MSR_RESET
from sysevent.abi.kvm_run import VALID_REGS
from sysevent.abi.x86_64 import SYNC_REGS
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.x86_64 import HYPERV
from sysevent.scenario.steps import Entry, SetRunBytes, run
from sysevent.scenario.x86_64 import registers, scenario, vm_with_vcpus

CLAIMS = claims(
    ExitClaim(
        "sync_regs",
        "kvm_valid_regs lies at 288 and the registers it asks for from 304 on, behind a union of 256 bytes.",
        asks=scenario(
            "sync_regs",
            *vm_with_vcpus("wrmsr"),
            Entry("wrmsr", registers(MSR_RESET, 1)),
            SetRunBytes(VALID_REGS.offset, struct.pack("<Q", SYNC_REGS)),
            *run("exit"),
        ),
        gives=(
            Exits(ExitReason.SYSTEM_EVENT),
            Holds("kvm_valid_regs", SYNC_REGS),
            # rax and rbx of the guest.
            Holds("s.regs[0]", 1),
            Holds("s.regs", 0x5E01),
        ),
        source="Documentation/virt/kvm/api.rst, KVM_CAP_SYNC_REGS; include/uapi/linux/kvm.h, struct kvm_run",
        needs=(HYPERV,),
    ),
)


@CLAIMS.each
def test_behind_the_union(check, claim):
    """The members after the union are where programs have them compiled in."""
    check(claim)
