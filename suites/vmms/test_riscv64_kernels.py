"""What a user of kvmtool, crosvm and cloud-hypervisor sees when its riscv64 guest calls SBI SRST.

See test_arm64_kernels.py. The guest is guests/vmms/riscv64.S as a kernel. None of them reads the reason, kvmtool resets
no guest, and cloud-hypervisor takes every such exit for an error. There is no Firecracker for riscv64.
"""

from msgspec import structs

from sysevent.abi import sbi
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.outcome_checks import Shows
from sysevent.contract.riscv64 import RESET_TYPES, SYSTEM_RESET
from sysevent.model import Level
from sysevent.scenario.kernels import kernel

REASONS = {sbi.NO_REASON: "no reason", sbi.SYSTEM_FAILURE: "system failure"}
# Of each VMM: the source of what it does.
SOURCES = {
    "kvmtool": "kvmtool, kvm-cpu.c, kvm_cpu__start: KVM_EXIT_SYSTEM_EVENT",
    "crosvm": "crosvm f1e797a68dad, src/crosvm/sys/linux/vcpu.rs, vcpu_loop; src/main.rs, CommandStatus",
    "cloud_hypervisor": "cloud-hypervisor ae44c2971c83, hypervisor/src/kvm/mod.rs, run: SystemEvent only on aarch64",
}
UNKNOWN = Shows(("VCPU generated error",))
# By VMM, and by the event: what it does, and what it shows.
EFFECTS = {
    "kvmtool": {
        "SHUTDOWN": ("ends kvmtool, with success", Shows(("KVM session ended normally",))),
        "RESET": (
            "ends kvmtool as a shutdown does: it starts no guest again",
            Shows(("KVM session ended normally",)),
        ),
    },
    "crosvm": {
        "SHUTDOWN": ("ends crosvm, with success", Shows(("vcpu requested shutdown",))),
        "RESET": (
            "ends crosvm with exit code 32, by which a user starts it again",
            Shows(("vcpu requested reset",), exit_code=32),
        ),
    },
    "cloud_hypervisor": {
        "SHUTDOWN": ("ends cloud-hypervisor with an error message, and success", UNKNOWN),
        "RESET": ("ends cloud-hypervisor with an error message, and success", UNKNOWN),
    },
}
RESERVED = Shows(returned=sbi.NOT_SUPPORTED, state="running", exit_code=None, beside="srst.reserved")


def srst(vmm, title, kind, reason):
    """Return the scenario in which the VMM's guest makes this call."""
    return kernel(vmm, "riscv64", f"vmm.{vmm}.srst.{title}", kind, reason, 0, 0, 0, sbi.SRST)


CLAIMS = claims(
    *(
        ExitClaim(
            f"vmm.{vmm}.srst.{kind.title}.{reason:#x}",
            f"SBI SRST {kind.words} with {words} {effects[kind.event_name][0]}.",
            asks=srst(vmm, f"{kind.title}.{reason:#x}", kind.number, reason),
            gives=(structs.replace(effects[kind.event_name][1], beside=f"srst.{kind.title}.{reason:#x}"),),
            source=f"{SOURCES[vmm]}; {SYSTEM_RESET}",
            level=Level.OBSERVED,
        )
        for vmm, effects in EFFECTS.items()
        for kind in RESET_TYPES
        for reason, words in REASONS.items()
    ),
    *(
        ExitClaim(
            f"vmm.{vmm}.srst.reserved",
            f"SBI SRST of reset type 3 returns NOT_SUPPORTED (-2) to the guest of {vmm}.",
            asks=srst(vmm, "reserved", 3, 0),
            gives=(RESERVED,),
            source=f"{SOURCES[vmm]}; {SYSTEM_RESET}",
            level=Level.OBSERVED,
        )
        for vmm in EFFECTS
    ),
)


@CLAIMS.each
def test_kernels(check, claim):
    """The VMM reports the event or ends as it does after others of its kind, or its guest goes on."""
    check(claim)
