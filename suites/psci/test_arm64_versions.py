"""PSCI by version: a guest has the calls of the version that its VMM selected, and no others.

Userspace writes KVM_REG_ARM_PSCI_VERSION, or leaves out the vCPU feature for PSCI 0.1. Then the guest makes one call. A
call of that version must cause its event; a call of a later one must return NOT_SUPPORTED (-1) in x0. PSCI 1.1 exists
since v5.18 (d43583b890e7), 1.2 and 1.3 since v6.13 (8be82d536a9f). Source: fw-pseudo-registers.rst.
"""

from sysevent.abi import psci
from sysevent.abi.arm64 import VCPU_PSCI_0_2
from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType, ResetFlag, ShutdownFlag
from sysevent.abi.psci import NOT_SUPPORTED, Function
from sysevent.abi.registers import ARM64_PSCI_VERSION
from sysevent.contract.arm64 import OFF2, RESET2, guest_continues
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Returns
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.scenario.arm64 import call, psci_version, scenario, vm_with_vcpus
from sysevent.scenario.ioctls import set_one_reg

DOC = "Documentation/virt/kvm/arm/fw-pseudo-registers.rst, KVM_REG_ARM_PSCI_VERSION"


def asks(version, name, *registers):
    """Return the scenario of one call by a guest with this version of PSCI, a pair of numbers."""
    major, minor = version
    # A vCPU without the feature has PSCI 0.1, which the register cannot select.
    old = version == (0, 1)
    return call(
        f"psci_{major}_{minor}.{name}",
        *registers,
        features=0 if old else VCPU_PSCI_0_2,
        setup=() if old else (psci_version(major, minor),),
    )


# fmt: off
# Version, end of the claim's name, registers of the call, x0 after it, what must hold, needs.
NO_EVENTS = (
    ((0, 1), "off", (Function.SYSTEM_OFF,), NOT_SUPPORTED, "SYSTEM_OFF is not supported", ()),
    ((0, 1), "reset", (Function.SYSTEM_RESET,), NOT_SUPPORTED, "SYSTEM_RESET is not supported", ()),
    ((0, 2), "reset2", (Function.SYSTEM_RESET2, 0, 0), NOT_SUPPORTED, "SYSTEM_RESET2 is not supported", ()),
    ((0, 2), "suspend", (Function.SYSTEM_SUSPEND, 0, 0), NOT_SUPPORTED, "SYSTEM_SUSPEND is not supported", ()),
    ((0, 2), "features", (psci.FEATURES, Function.SYSTEM_OFF), NOT_SUPPORTED, "PSCI_FEATURES is not supported", ()),
    ((1, 0), "reset2", (Function.SYSTEM_RESET2, 0, 0), NOT_SUPPORTED, "SYSTEM_RESET2 is not supported", ()),
    ((1, 0), "features", (psci.FEATURES, Function.SYSTEM_RESET2), NOT_SUPPORTED,
     "PSCI_FEATURES reports SYSTEM_RESET2 as not supported", ()),
    ((1, 1), "features", (psci.FEATURES, Function.SYSTEM_RESET2), 0,
     "PSCI_FEATURES reports SYSTEM_RESET2 as supported", (RESET2,)),
    ((1, 1), "off2", (Function.SYSTEM_OFF2, 0, 0), NOT_SUPPORTED, "SYSTEM_OFF2 is not supported", (RESET2,)),
    ((1, 1), "features_off2", (psci.FEATURES, Function.SYSTEM_OFF2), NOT_SUPPORTED,
     "PSCI_FEATURES reports SYSTEM_OFF2 as not supported", (RESET2,)),
    ((1, 3), "features", (psci.FEATURES, Function.SYSTEM_OFF2), 1,
     "PSCI_FEATURES reports that SYSTEM_OFF2 can hibernate (bit 0)", (OFF2,)),
)
# Version, end of the claim's name, registers of the call, type and only datum of the event, the call in words, needs.
EVENTS = (
    ((0, 2), "off", (Function.SYSTEM_OFF,), EventType.SHUTDOWN, 0, "SYSTEM_OFF", ()),
    ((0, 2), "reset", (Function.SYSTEM_RESET,), EventType.RESET, 0, "SYSTEM_RESET", ()),
    ((1, 0), "off", (Function.SYSTEM_OFF,), EventType.SHUTDOWN, 0, "SYSTEM_OFF", ()),
    ((1, 0), "reset", (Function.SYSTEM_RESET,), EventType.RESET, 0, "SYSTEM_RESET", ()),
    ((1, 1), "reset2", (Function.SYSTEM_RESET2, 0, 0), EventType.RESET, ResetFlag.PSCI_RESET2, "SYSTEM_RESET2",
     (RESET2,)),
    ((1, 3), "off2", (Function.SYSTEM_OFF2, 0, 0), EventType.SHUTDOWN, ShutdownFlag.PSCI_OFF2, "SYSTEM_OFF2",
     (OFF2,)),
)
# fmt: on

# Major version in the upper 16 bits, minor version in the lower ones; 0.3 and 2.0 do not exist.
SETS_VERSIONS = scenario(
    "psci.versions",
    *vm_with_vcpus(),
    *(
        set_one_reg(0, ARM64_PSCI_VERSION, number, f"set {number >> 16}.{number & 0xFFFF}")
        for number in (0x0002, 0x1_0000, 0x1_0001, 0x1_0002, 0x1_0003, 0x0003, 0x2_0000)
    ),
)

CLAIMS = claims(
    *(
        ExitClaim(
            f"psci_{major}_{minor}.{name}",
            f"PSCI {major}.{minor}: {says}.",
            asks=asks((major, minor), name, *registers),
            gives=guest_continues(x0),
            source=DOC,
            needs=needs,
        )
        for (major, minor), name, registers, x0, says, needs in NO_EVENTS
    ),
    *(
        ExitClaim(
            f"psci_{major}_{minor}.{name}",
            f"PSCI {major}.{minor}: {words} causes an event of type {kind}, data[0] {datum}.",
            asks=asks((major, minor), name, *registers),
            gives=system_event(kind, datum),
            before_5_18=old_system_event(kind, datum),
            source=f"{API}; {DOC}",
            needs=needs,
        )
        for (major, minor), name, registers, kind, datum, words, needs in EVENTS
    ),
    ExitClaim(
        "psci.versions",
        "KVM_REG_ARM_PSCI_VERSION takes 0.2 and 1.0, and refuses versions that do not exist with EINVAL.",
        asks=SETS_VERSIONS,
        gives=(
            Returns("set 0.2"),
            Returns("set 1.0"),
            Returns("set 0.3", errno=Errno.EINVAL),
            Returns("set 2.0", errno=Errno.EINVAL),
        ),
        source=DOC,
    ),
    ExitClaim(
        "psci.versions.1_1",
        "KVM_REG_ARM_PSCI_VERSION takes 1.1.",
        asks=SETS_VERSIONS,
        gives=(Returns("set 1.1"),),
        source=f"{DOC}; d43583b890e7, v5.18",
        needs=(RESET2,),
    ),
    ExitClaim(
        "psci.versions.1_3",
        "KVM_REG_ARM_PSCI_VERSION takes 1.2 and 1.3.",
        asks=SETS_VERSIONS,
        gives=(Returns("set 1.2"), Returns("set 1.3")),
        source=f"{DOC}; 8be82d536a9f, v6.13",
        needs=(OFF2,),
    ),
)


@CLAIMS.each
def test_version(check, claim):
    """A call of the selected version works; a later call returns NOT_SUPPORTED."""
    check(claim)
