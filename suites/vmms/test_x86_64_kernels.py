"""What a user of such a VMM as kvmtool sees when its x86 guest resets itself, reports a crash, or triple-faults.

Run with `--vmm kvmtool=DIR` or `--vmm crosvm=PATH`: see test_arm64_kernels.py, also for what was run. The guest is
guests/vmms/x86_64_image.S, a kernel. None of these VMMs gives its guests the CPUID of Hyper-V by itself: from 6.1 on
they get #GP from writes to its MSRs, and before a guest can end its VMM with them. In kvmtool a crash and a triple
fault look like success.
"""

from msgspec import structs

from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.outcome_checks import Shows
from sysevent.contract.terms import Need
from sysevent.contract.x86_64 import HYPERV
from sysevent.model import Level
from sysevent.scenario.kernels import kernel

GATED = Need("check of Hyper-V's CPUID", (6, 1), "hyperv.gated")
NOT_GATED = Need("check of Hyper-V's CPUID", None, "hyperv.gated", absent=True)
# What the guest does: guests/vmms/x86_64_image.S.
HV_RESET, HV_CRASH, UNPAGED, PAGED = 1, 2, 3, 4
# Of each VMM: the source of what it does.
SOURCES = {
    "kvmtool": "kvmtool, kvm-cpu.c, kvm_cpu__start: KVM_EXIT_SYSTEM_EVENT and KVM_EXIT_SHUTDOWN",
    "crosvm": "crosvm f1e797a68dad, src/crosvm/sys/linux/vcpu.rs, vcpu_loop; src/main.rs, CommandStatus",
    "cloud_hypervisor": "cloud-hypervisor ae44c2971c83, hypervisor/src/kvm/mod.rs, run: SystemEvent only on aarch64",
    "firecracker": "Firecracker 81b38b9dad60, src/vmm/src/vstate/vcpu.rs, handle_kvm_exit",
}
# fmt: off
# Title, what the guest does, its parameter, the claim about the bytes, needs.
EVENTS = (
    ("hyperv.reset", "A write to HV_X64_MSR_RESET", HV_RESET, "hyperv.reset", (HYPERV,)),
    ("hyperv.crash", "A crash report", HV_CRASH, "hyperv.crash", (HYPERV,)),
    ("hyperv.reset.no_cpuid", "A write to HV_X64_MSR_RESET without Hyper-V's CPUID", HV_RESET,
     "hyperv.no_cpuid.reset", (HYPERV, GATED)),
    ("hyperv.crash.no_cpuid", "A crash report without Hyper-V's CPUID", HV_CRASH,
     "hyperv.no_cpuid.crash", (HYPERV, GATED)),
    ("hyperv.reset.no_cpuid.old", "A write to HV_X64_MSR_RESET before 6.1", HV_RESET,
     "hyperv.reset", (HYPERV, NOT_GATED)),
    ("hyperv.crash.no_cpuid.old", "A crash report before 6.1", HV_CRASH,
     "hyperv.crash", (HYPERV, NOT_GATED)),
    ("triple_fault.unpaged", "A triple fault without paging", UNPAGED, "triple_fault.full", ()),
    ("triple_fault.paged", "A triple fault with paging", PAGED, "triple_fault.paged", ()),
)
ENDED = ("KVM session ended normally",)
REFUSED = Shows(refused=True, state="running", exit_code=None)
UNKNOWN = Shows(("VCPU generated error",))
REBOOTED = Shows(("rebooting",), again=True, state="running", exit_code=None)
UNEXPECTED = Shows(("Unexpected exit reason Shutdown",), exit_code=1)
# By VMM, and by the title of an event: what it does, and what it shows.
EFFECTS = {
    "kvmtool": {
        "hyperv.reset.no_cpuid": ("raises #GP in kvmtool's guest", REFUSED),
        "hyperv.crash.no_cpuid": ("raises #GP in kvmtool's guest", REFUSED),
        "hyperv.reset.no_cpuid.old": ("ends kvmtool, with success", Shows(ENDED)),
        "hyperv.crash.no_cpuid.old":
            ("ends kvmtool with a warning, and with success", Shows(("unknown system event type 3", *ENDED))),
        "triple_fault.unpaged": ("ends kvmtool, with success", Shows(ENDED)),
        "triple_fault.paged": ("ends kvmtool, with success", Shows(ENDED)),
    },
    "crosvm": {
        "hyperv.reset.no_cpuid": ("raises #GP in crosvm's guest", REFUSED),
        "hyperv.crash.no_cpuid": ("raises #GP in crosvm's guest", REFUSED),
        "hyperv.reset.no_cpuid.old":
            ("ends crosvm with exit code 32", Shows(("vcpu requested reset",), exit_code=32)),
        "hyperv.crash.no_cpuid.old":
            ("ends crosvm with exit code 34", Shows(("guest panic event",), exit_code=34)),
        "triple_fault.unpaged": ("ends crosvm, with success", Shows(("vcpu requested shutdown",))),
        "triple_fault.paged": ("ends crosvm, with success", Shows(("vcpu requested shutdown",))),
    },
    "cloud_hypervisor": {
        "hyperv.reset":
            ("with kvm_hyperv=on ends cloud-hypervisor with an error message, and success", UNKNOWN),
        "hyperv.crash":
            ("with kvm_hyperv=on ends cloud-hypervisor with an error message, and success", UNKNOWN),
        "hyperv.reset.no_cpuid": ("raises #GP in cloud-hypervisor's guest", REFUSED),
        "hyperv.crash.no_cpuid": ("raises #GP in cloud-hypervisor's guest", REFUSED),
        "hyperv.reset.no_cpuid.old": ("ends cloud-hypervisor with an error message, and success", UNKNOWN),
        "hyperv.crash.no_cpuid.old": ("ends cloud-hypervisor with an error message, and success", UNKNOWN),
        "triple_fault.unpaged": ("starts the guest again in cloud-hypervisor, in new memory", REBOOTED),
        "triple_fault.paged": ("starts the guest again in cloud-hypervisor, in new memory", REBOOTED),
    },
    "firecracker": {
        "hyperv.reset.no_cpuid": ("raises #GP in Firecracker's guest", REFUSED),
        "hyperv.crash.no_cpuid": ("raises #GP in Firecracker's guest", REFUSED),
        # kvm-ioctls takes bytes of the OUT before for data: see test_x86_64_kvm_ioctls.py.
        "hyperv.reset.no_cpuid.old":
            ("ends Firecracker, with success", Shows(("KVM_SYSTEM_EVENT 2 [4096]",))),
        "hyperv.crash.no_cpuid.old":
            ("ends Firecracker with exit code 1", Shows(("KVM_SYSTEM_EVENT 3 [4096]",), exit_code=1)),
        "triple_fault.unpaged": ("ends Firecracker with exit code 1", UNEXPECTED),
        "triple_fault.paged": ("ends Firecracker with exit code 1", UNEXPECTED),
    },
}
# Events for which the guest has Hyper-V's CPUID.
WITH_CPUID = ("hyperv.reset", "hyperv.crash")
# fmt: on

CLAIMS = claims(
    *(
        ExitClaim(
            f"vmm.{vmm}.{title}",
            f"{event} {effects[title][0]}.",
            asks=kernel(
                *(vmm, "x86_64", f"vmm.{vmm}.{title}", number),
                again=effects[title][1].again,
                hyperv=title in WITH_CPUID,
            ),
            gives=(structs.replace(effects[title][1], beside=beside),),
            source=f"{SOURCES[vmm]}; arch/x86/kvm/x86.c, vcpu_enter_guest",
            needs=needs,
            level=Level.OBSERVED,
        )
        for vmm, effects in EFFECTS.items()
        for title, event, number, beside, needs in EVENTS
        if title in effects
    )
)


@CLAIMS.each
def test_kernels(check, claim):
    """The VMM reports the event or ends as it does after others of its kind, or its guest goes on."""
    check(claim)
