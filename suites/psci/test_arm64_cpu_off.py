"""CPU_OFF of an arm64 guest: it turns the caller off, and nothing else, in each version of PSCI.

Source: Arm DEN0022; arch/arm64/kvm/psci.c.
"""

from sysevent.abi import psci
from sysevent.abi.arm64 import VCPU_PSCI_0_2
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import SUCCESS
from sysevent.contract.arm64 import guest_continues
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import RAM, registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import SETTLE_MS, Entry, run

SOURCE = "Arm DEN0022; arch/arm64/kvm/psci.c, {}"
# CPU_OFF of each version: name of the claim, features of the vCPU, function ID, function of the kernel.
OFFS = (
    ("psci.cpu_off", VCPU_PSCI_0_2, psci.CPU_OFF, "kvm_psci_0_2_call"),
    ("psci_0_1.cpu_off", 0, psci.V0_1_CPU_OFF, "kvm_psci_0_1_call"),
)

CLAIMS = claims(
    *(
        ExitClaim(
            f"{name}.starts_none",
            "CPU_OFF starts no vCPU, although its other registers are those of a call that would: vCPU 1 stays off.",
            asks=scenario(
                f"{name}.starts_none",
                *vm_with_vcpus(vcpus=2, features=features, off=(1,)),
                Entry("call", registers(fid, 1, RAM, 0)),
                *run("off", milliseconds=SETTLE_MS),
                ioctls.get_mp_state(1, "mp_state 1"),
                ioctls.set_mp_state(0, MpState.RUNNABLE),
                *run("after"),
            ),
            gives=(Blocks("off"), BufferHolds("mp_state 1", MpState.STOPPED)),
            source=SOURCE.format(function),
        )
        for name, features, fid, function in OFFS
    ),
    *(
        ExitClaim(
            f"{name}.returns",
            "A vCPU that userspace makes RUNNABLE after CPU_OFF goes on behind its call, with SUCCESS (0) in x0.",
            asks=scenario(
                f"{name}.returns",
                *vm_with_vcpus(features=features),
                Entry("call", registers(fid)),
                *run("off", milliseconds=SETTLE_MS),
                ioctls.set_mp_state(0, MpState.RUNNABLE),
                *run("after"),
            ),
            gives=(Blocks("off"), *guest_continues(SUCCESS, "after")),
            source=f"{SOURCE.format(function)}; the specification lets the call not return",
            level=Level.OBSERVED,
        )
        for name, features, fid, function in OFFS
    ),
)


@CLAIMS.each
def test_cpu_off(check, claim):
    """The caller is off until userspace lets it run, and no other vCPU is on."""
    check(claim)
