"""PSCI by version: a guest has the calls of the version that its VMM selected, and no others."""

from sysevent.abi import psci
from sysevent.abi.arm64 import VCPU_PSCI_0_2
from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType
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
    """One call by a guest with this version of PSCI."""
    major, minor = version
    # PSCI 0.1 is what a vCPU without the feature has; there is no number for it.
    old = version == (0, 1)
    return call(
        f"psci_{major}_{minor}.{name}",
        *registers,
        features=0 if old else VCPU_PSCI_0_2,
        setup=() if old else (psci_version(major, minor),),
    )


# fmt: off
# Version, name of the call, its registers, x0 behind it, what that says, needs.
NO_EVENTS = (
    ((0, 1), "off", (Function.SYSTEM_OFF,), NOT_SUPPORTED, "SYSTEM_OFF is not supported", ()),
    ((0, 1), "reset", (Function.SYSTEM_RESET,), NOT_SUPPORTED, "SYSTEM_RESET is not supported", ()),
    ((0, 2), "reset2", (Function.SYSTEM_RESET2, 0, 0), NOT_SUPPORTED, "SYSTEM_RESET2 is not supported", ()),
    ((0, 2), "suspend", (Function.SYSTEM_SUSPEND, 0, 0), NOT_SUPPORTED, "SYSTEM_SUSPEND is not supported", ()),
    ((0, 2), "features", (psci.FEATURES, Function.SYSTEM_OFF), NOT_SUPPORTED, "PSCI_FEATURES is not supported", ()),
    ((1, 0), "reset2", (Function.SYSTEM_RESET2, 0, 0), NOT_SUPPORTED, "SYSTEM_RESET2 is not supported", ()),
    ((1, 0), "features", (psci.FEATURES, Function.SYSTEM_RESET2), NOT_SUPPORTED,
     "PSCI_FEATURES denies SYSTEM_RESET2", ()),
    ((1, 1), "features", (psci.FEATURES, Function.SYSTEM_RESET2), 0, "PSCI_FEATURES knows SYSTEM_RESET2", (RESET2,)),
    ((1, 1), "off2", (Function.SYSTEM_OFF2, 0, 0), NOT_SUPPORTED, "SYSTEM_OFF2 is not supported", (RESET2,)),
    ((1, 1), "features_off2", (psci.FEATURES, Function.SYSTEM_OFF2), NOT_SUPPORTED,
     "PSCI_FEATURES denies SYSTEM_OFF2", (RESET2,)),
    ((1, 3), "features", (psci.FEATURES, Function.SYSTEM_OFF2), 1,
     "PSCI_FEATURES says SYSTEM_OFF2 can hibernate (bit 0)", (OFF2,)),
)
# Version, name of the call, its registers, the event's type and its one datum, the call in words, needs.
EVENTS = (
    ((0, 2), "off", (Function.SYSTEM_OFF,), EventType.SHUTDOWN, 0, "SYSTEM_OFF", ()),
    ((0, 2), "reset", (Function.SYSTEM_RESET,), EventType.RESET, 0, "SYSTEM_RESET", ()),
    ((1, 0), "off", (Function.SYSTEM_OFF,), EventType.SHUTDOWN, 0, "SYSTEM_OFF", ()),
    ((1, 0), "reset", (Function.SYSTEM_RESET,), EventType.RESET, 0, "SYSTEM_RESET", ()),
    ((1, 1), "reset2", (Function.SYSTEM_RESET2, 0, 0), EventType.RESET, 1, "SYSTEM_RESET2", (RESET2,)),
    ((1, 3), "off2", (Function.SYSTEM_OFF2, 0, 0), EventType.SHUTDOWN, 1, "SYSTEM_OFF2", (OFF2,)),
)
# fmt: on

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
            f"PSCI {major}.{minor}: {words} is an event of type {kind}, data[0] {datum}.",
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
    """A call of the selected version has its answer or its event; a later one is not supported."""
    check(claim)
