"""KVM_CAP_SYSTEM_EVENT_DATA (215) tells a VMM that ndata and data[] of system_event are valid.

The VMM asks KVM_CHECK_EXTENSION on /dev/kvm ("system/215") and on a VM ("vm/215"), and both must return 1 since v5.18
(d495f942f40a), and 0 before. The other capabilities here turn on the events of the other suites. No guest runs: the
scenarios are those of src/sysevent/scenario/facts.py.
"""

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.contract import x86_64
from sysevent.contract.arm64 import CAP_SUSPEND, CAP_SUSPEND_DOC
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Returns
from sysevent.contract.system_events import API, REPAIR
from sysevent.scenario.facts import CAPABILITIES

# A kernel has both capabilities of Hyper-V or neither: with only one, it has lost the other, which is a defect in any
# release. So the need names no release that must have it.
ENFORCING = msgspec.structs.replace(x86_64.ENFORCES, since=None)


def answers(capability, value):
    """Return the checks that KVM_CHECK_EXTENSION gives this value on /dev/kvm and on a VM."""
    return (Returns(capability.on_system, value), Returns(capability.on_vm, value))


CLAIMS = claims(
    *(
        ExitClaim(
            "capability",
            "KVM_CAP_SYSTEM_EVENT_DATA (215) is 1 on /dev/kvm and on a VM since v5.18, and 0 on both before.",
            asks=asks,
            gives=answers(Capability.SYSTEM_EVENT_DATA, 1),
            before_5_18=answers(Capability.SYSTEM_EVENT_DATA, 0),
            source=f"{API}; virt/kvm/kvm_main.c, kvm_vm_ioctl_check_extension_generic; {REPAIR}",
        )
        for asks in CAPABILITIES.values()
    ),
    ExitClaim(
        "capability.suspend",
        "KVM_CAP_ARM_SYSTEM_SUSPEND (216) is 1 on /dev/kvm and on a VM.",
        asks=CAPABILITIES["arm64"],
        gives=answers(Capability.ARM_SYSTEM_SUSPEND, 1),
        source=f"{CAP_SUSPEND_DOC}; bfbab4456877, v5.19",
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "capability.hyperv",
        "KVM_CAP_HYPERV (44) is 1 on /dev/kvm and on a VM where KVM_CAP_HYPERV_ENFORCE_CPUID (199) is.",
        asks=CAPABILITIES["x86_64"],
        gives=answers(Capability.HYPERV, 1),
        source="Documentation/virt/kvm/api.rst, 4.118 KVM_GET_SUPPORTED_HV_CPUID; arch/x86/kvm/x86.c, "
        "CONFIG_KVM_HYPERV",
        needs=(ENFORCING,),
    ),
    ExitClaim(
        "capability.triple_fault",
        "KVM_CAP_X86_TRIPLE_FAULT_EVENT (218) is 1 on /dev/kvm and on a VM.",
        asks=CAPABILITIES["x86_64"],
        gives=answers(Capability.X86_TRIPLE_FAULT_EVENT, 1),
        source=x86_64.INJECT_DOC,
        needs=(x86_64.TRIPLE_FAULT_EVENT,),
    ),
    ExitClaim(
        "capability.enforce_cpuid",
        "KVM_CAP_HYPERV_ENFORCE_CPUID (199) is 1 on /dev/kvm and on a VM.",
        asks=CAPABILITIES["x86_64"],
        gives=answers(Capability.HYPERV_ENFORCE_CPUID, 1),
        source=x86_64.ENFORCE_DOC,
        needs=(x86_64.HYPERV, x86_64.ENFORCES),
    ),
)


@CLAIMS.each
def test_capability(check, claim):
    """/dev/kvm and a VM both have the capability, or, before its release, neither has."""
    check(claim)
