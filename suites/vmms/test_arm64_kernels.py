"""What a user of kvmtool, crosvm, cloud-hypervisor and Firecracker sees when its arm64 guest makes a PSCI call.

Run with `--vmm kvmtool=DIR` or `--vmm crosvm=PATH`: see docs/vmms.md. The guest is guests/vmms/arm64.S as a kernel.
What the VMM prints and its exit code are all that is judged. kvmtool and Firecracker start no guest again: one that
wants to ends like one that shuts down. Only kvmtool was run; what the others do is read from their sources, of 2026-08.
"""

from msgspec import structs

from sysevent.abi.psci import NOT_SUPPORTED, Function
from sysevent.contract.arm64 import OFF2, RESET2
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.outcome_checks import Shows
from sysevent.contract.terms import Need
from sysevent.model import Level
from sysevent.scenario.kernels import kernel

NO_OFF2 = Need("PSCI SYSTEM_OFF2", None, Function.SYSTEM_OFF2.fact, absent=True)
ENTRY = 0x8010_0000
REBOOTED = Shows(("rebooting",), again=True, state="running", exit_code=None)
ENDED = Shows(("KVM session ended normally",))
REFUSED = Shows(returned=NOT_SUPPORTED, state="running", exit_code=None)
# Of each VMM: the source of what it does.
SOURCES = {
    "kvmtool": "kvmtool, kvm-cpu.c, kvm_cpu__start: KVM_EXIT_SYSTEM_EVENT",
    "crosvm": "crosvm f1e797a68dad, src/crosvm/sys/linux/vcpu.rs, vcpu_loop; src/main.rs, CommandStatus",
    "cloud_hypervisor": "cloud-hypervisor ae44c2971c83, hypervisor/src/kvm/mod.rs, run; vmm/src/lib.rs, control_loop",
    "firecracker": "Firecracker 81b38b9dad60, src/vmm/src/vstate/vcpu.rs, handle_kvm_exit",
}
# fmt: off
# Title, the call, its registers, the claim about the bytes, needs.
CALLS = (
    ("off", "PSCI SYSTEM_OFF", (Function.SYSTEM_OFF,), "off", ()),
    ("reset", "PSCI SYSTEM_RESET", (Function.SYSTEM_RESET,), "reset", ()),
    ("reset2", "PSCI SYSTEM_RESET2", (Function.SYSTEM_RESET2_64, 0, 0), "reset2", (RESET2,)),
    ("off2", "PSCI SYSTEM_OFF2", (Function.SYSTEM_OFF2, 1, 0), "off2.1", (OFF2,)),
    ("off2.unknown", "PSCI SYSTEM_OFF2 on a kernel without it", (Function.SYSTEM_OFF2, 1, 0), "off2.1", (NO_OFF2,)),
    ("suspend", "PSCI SYSTEM_SUSPEND", (Function.SYSTEM_SUSPEND_64, ENTRY, 0), "suspend.denied", ()),
)
# By VMM, and by the title of a call: what it does, and what it shows.
EFFECTS = {
    "kvmtool": {
        "off": ("ends kvmtool, with success", ENDED),
        "reset": ("ends kvmtool as SYSTEM_OFF does: it starts no guest again", ENDED),
        "reset2": ("ends kvmtool as SYSTEM_OFF does: it starts no guest again", ENDED),
        "off2": ("ends kvmtool as SYSTEM_OFF does: that the guest hibernates is lost", ENDED),
        "off2.unknown": ("returns NOT_SUPPORTED to kvmtool's guest", REFUSED),
        "suspend": ("returns NOT_SUPPORTED to kvmtool's guest: kvmtool does not enable it", REFUSED),
    },
    "crosvm": {
        "off": ("ends crosvm, with success", Shows(("vcpu requested shutdown",))),
        "reset": ("ends crosvm with exit code 32, by which a user starts it again",
                  Shows(("vcpu requested reset",), exit_code=32)),
        "reset2": ("ends crosvm with exit code 32, and a warning",
                   Shows(("PSCI SYSTEM_RESET2", "vcpu requested reset"), exit_code=32)),
        "off2": ("ends crosvm as SYSTEM_OFF does: that the guest hibernates is lost",
                 Shows(("vcpu requested shutdown",))),
        "off2.unknown": ("returns NOT_SUPPORTED to crosvm's guest", REFUSED),
        "suspend": ("returns NOT_SUPPORTED to crosvm's guest: crosvm does not enable it", REFUSED),
    },
    "cloud_hypervisor": {
        "off": ("ends cloud-hypervisor, with success", Shows()),
        "reset": ("starts the guest again in cloud-hypervisor, in new memory", REBOOTED),
        "reset2": ("starts the guest again in cloud-hypervisor, as SYSTEM_RESET does", REBOOTED),
        "off2": ("ends cloud-hypervisor as SYSTEM_OFF does: that the guest hibernates is lost", Shows()),
        "off2.unknown": ("returns NOT_SUPPORTED to cloud-hypervisor's guest", REFUSED),
        "suspend": ("returns NOT_SUPPORTED to cloud-hypervisor's guest: it does not enable it", REFUSED),
    },
    "firecracker": {
        "off": ("ends Firecracker, with success", Shows(("KVM_SYSTEM_EVENT 1 [0]",))),
        "reset": ("ends Firecracker, with success: it starts no guest again", Shows(("KVM_SYSTEM_EVENT 2 [0]",))),
        "reset2": ("ends Firecracker, with success: only its log has the flag", Shows(("KVM_SYSTEM_EVENT 2 [1]",))),
        "off2": ("ends Firecracker, with success: only its log has the flag", Shows(("KVM_SYSTEM_EVENT 1 [1]",))),
        "off2.unknown": ("returns NOT_SUPPORTED to Firecracker's guest", REFUSED),
        "suspend": ("returns NOT_SUPPORTED to Firecracker's guest: Firecracker does not enable it", REFUSED),
    },
}
# fmt: on


CLAIMS = claims(
    *(
        ExitClaim(
            f"vmm.{vmm}.psci.{title}",
            f"{call} {effects[title][0]}.",
            asks=kernel(vmm, "arm64", f"vmm.{vmm}.psci.{title}", *words, again=effects[title][1].again),
            gives=(structs.replace(effects[title][1], beside=f"psci.{beside}"),),
            source=f"{SOURCES[vmm]}; arch/arm64/kvm/psci.c",
            needs=needs,
            level=Level.OBSERVED,
        )
        for vmm, effects in EFFECTS.items()
        for title, call, words, beside, needs in CALLS
    )
)


@CLAIMS.each
def test_kernels(check, claim):
    """The VMM reports the event or ends as it does after others of its kind, or its guest goes on."""
    check(claim)
