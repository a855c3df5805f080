"""PSCI calls about nothing that runs: the version, the functions that KVM has, and calls that it does not have.

The guest makes them one after another, and the VMM reads what each returned. Source: Arm DEN0022; psci.c of KVM.
"""

from sysevent.abi import psci
from sysevent.abi.exits import ExitReason
from sysevent.abi.psci import INVALID_PARAMETERS, NOT_SUPPORTED, SUCCESS
from sysevent.contract.arm64 import RESET2, returns
from sysevent.contract.checks import Exits
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.scenario.arm64 import RAM, call_again, psci_version, registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import Entry, run

SOURCE = "Arm DEN0022; arch/arm64/kvm/psci.c, {}"
# Bits of an MPIDR that are not affinity.
NO_AFFINITY = 1 << 24

# fmt: off
# Label, registers of the call, what x0 must be.
OTHERS = (
    ("migrate", (psci.MIGRATE, 0), NOT_SUPPORTED),
    ("migrate_info_type", (psci.MIGRATE_INFO_TYPE,), psci.TOS_MP),
    ("migrate_info_up_cpu", (psci.MIGRATE_INFO_UP_CPU,), NOT_SUPPORTED),
    ("no function", (psci.NO_FUNCTION,), NOT_SUPPORTED),
)
# fmt: on
# No number of a vCPU: bits that are not affinity.
INVALID = (
    ("on without affinity", (psci.CPU_ON_64, NO_AFFINITY, RAM, 7), INVALID_PARAMETERS),
    ("affinity without affinity", (psci.AFFINITY_INFO_64, NO_AFFINITY, 0), INVALID_PARAMETERS),
)
OFFERED = {
    "version": psci.VERSION,
    "cpu_suspend": psci.CPU_SUSPEND,
    "cpu_suspend_64": psci.CPU_SUSPEND_64,
    "cpu_off": psci.CPU_OFF,
    "cpu_on": psci.CPU_ON,
    "cpu_on_64": psci.CPU_ON_64,
    "affinity_info": psci.AFFINITY_INFO,
    "affinity_info_64": psci.AFFINITY_INFO_64,
    "migrate_info_type": psci.MIGRATE_INFO_TYPE,
    "features": psci.FEATURES,
    "smccc_version": psci.SMCCC_VERSION,
}
NOT_OFFERED = {
    "migrate": psci.MIGRATE,
    "migrate_info_up_cpu": psci.MIGRATE_INFO_UP_CPU,
    "no function": psci.NO_FUNCTION,
}

# Calls of other kinds.
ASKED = scenario(
    "psci.others",
    *vm_with_vcpus(),
    Entry("call", registers(psci.VERSION)),
    *run("version"),
    *(step for label, arguments, _ in (*OTHERS, *INVALID) for step in call_again(label, *arguments)),
)
# What PSCI_FEATURES says of each function.
FEATURES = scenario(
    "psci.features",
    *vm_with_vcpus(),
    Entry("call", registers(psci.VERSION)),
    *run("version"),
    *(
        step
        for name, function in (OFFERED | NOT_OFFERED).items()
        for step in call_again(f"features {name}", psci.FEATURES, function)
    ),
)
VERSIONS = {"0.2": (0, 2), "1.0": (1, 0), "1.1": (1, 1)}
VERSION = scenario(
    "psci.version",
    *vm_with_vcpus(),
    psci_version(0, 2),
    Entry("call", registers(psci.VERSION)),
    *run("0.2"),
    psci_version(1, 0),
    *call_again("1.0", psci.VERSION),
)
VERSION_1_1 = scenario(
    "psci.version.1_1",
    *vm_with_vcpus(),
    psci_version(1, 1),
    Entry("call", registers(psci.VERSION)),
    *run("1.1"),
)

CLAIMS = claims(
    ExitClaim(
        "psci.others",
        "MIGRATE_INFO_TYPE says that no trusted OS needs to migrate; calls unknown to KVM return NOT_SUPPORTED.",
        asks=ASKED,
        gives=tuple(check for label, _, x0 in OTHERS for check in returns(label, x0)),
        source=SOURCE.format("kvm_psci_0_2_call"),
    ),
    ExitClaim(
        "psci.cpu_on.affinity",
        "CPU_ON and AFFINITY_INFO refuse a number with bits that are not affinity: INVALID_PARAMETERS (-2).",
        asks=ASKED,
        gives=tuple(check for label, _, x0 in INVALID for check in returns(label, x0)),
        # Older kernels ignore these bits.
        before_5_18=tuple(Exits(ExitReason.MMIO, label) for label, *_ in INVALID),
        source=SOURCE.format("kvm_psci_valid_affinity"),
    ),
    ExitClaim(
        "psci.features.cpus",
        "PSCI_FEATURES knows the calls about single vCPUs, and no call that KVM does not have.",
        asks=FEATURES,
        gives=(
            *(check for name in OFFERED for check in returns(f"features {name}", SUCCESS)),
            *(check for name in NOT_OFFERED for check in returns(f"features {name}", NOT_SUPPORTED)),
        ),
        source=SOURCE.format("kvm_psci_1_x_call"),
    ),
    ExitClaim(
        "psci.version",
        "PSCI_VERSION returns the version that userspace selected: 0.2, 1.0.",
        asks=VERSION,
        gives=(*returns("0.2", psci.version(0, 2)), *returns("1.0", psci.version(1, 0))),
        source=SOURCE.format("kvm_psci_call"),
    ),
    ExitClaim(
        "psci.version.1_1",
        "PSCI_VERSION returns the version that userspace selected: 1.1.",
        asks=VERSION_1_1,
        gives=returns("1.1", psci.version(1, 1)),
        source=f"{SOURCE.format('kvm_psci_call')}; d43583b890e7, v5.18",
        needs=(RESET2,),
    ),
)


@CLAIMS.each
def test_functions(check, claim):
    """A guest learns the version and the functions of its PSCI, and is refused all others."""
    check(claim)
