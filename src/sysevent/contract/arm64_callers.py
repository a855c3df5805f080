"""The same PSCI calls by other callers: other versions, SMC, filters, 32-bit guests, and a guest that suspends."""

from __future__ import annotations

import functools

from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.psci import NOT_SUPPORTED
from sysevent.contract.arm64 import (
    CAP_SUSPEND,
    INDICATE,
    OFF2,
    PREPARE,
    RESET2,
    preserved,
    refused,
)
from sysevent.contract.around import Gives
from sysevent.contract.checks import At, Check, Exits, Holds, Register, RegisterOneOf
from sysevent.contract.claim import Need
from sysevent.contract.common import (
    API,
    EXIT_HYPERCALL,
    EXIT_MMIO,
    RESET,
    SHUTDOWN,
    SUSPEND,
    old_system_event,
    row,
    system_event,
)
from sysevent.model import Level
from sysevent.scenario.catalog.arm64 import COOKIE, RETURNED, SYSTEM_SUSPEND, SYSTEM_SUSPEND_64

_row = functools.partial(row, "arm64")
_observed = functools.partial(row, "arm64", level=Level.OBSERVED)

_LOW = 0xFFFF_FFFF
_VERSIONS = "Documentation/virt/kvm/arm/fw-pseudo-registers.rst, KVM_REG_ARM_PSCI_VERSION"
_FILTER = "Documentation/virt/kvm/devices/vm.rst, KVM_ARM_VM_SMCCC_FILTER"

SMC = Need("PSCI by SMC", (6, 12), "smc.version")
FILTER = Need("SMCCC filter", (6, 4), "smccc.filter")
AARCH32 = Need(
    "32-bit EL1 (KVM_CAP_ARM_EL1_32BIT), which takes a CPU that has it,", None, Capability.ARM_EL1_32BIT.on_vm
)

# name: (the checks, what PSCI version of the guest and call it is, needs)
_BY_VERSION: dict[str, tuple[tuple[Check, ...], str, tuple[Need, ...]]] = {
    "psci_0_1.off": (refused(NOT_SUPPORTED), "PSCI 0.1: SYSTEM_OFF is not supported", ()),
    "psci_0_1.reset": (refused(NOT_SUPPORTED), "PSCI 0.1: SYSTEM_RESET is not supported", ()),
    "psci_0_2.reset2": (refused(NOT_SUPPORTED), "PSCI 0.2: SYSTEM_RESET2 is not supported", ()),
    "psci_0_2.suspend": (refused(NOT_SUPPORTED), "PSCI 0.2: SYSTEM_SUSPEND is not supported", ()),
    "psci_0_2.features": (refused(NOT_SUPPORTED), "PSCI 0.2: PSCI_FEATURES is not supported", ()),
    "psci_1_0.reset2": (refused(NOT_SUPPORTED), "PSCI 1.0: SYSTEM_RESET2 is not supported", ()),
    "psci_1_0.features": (refused(NOT_SUPPORTED), "PSCI 1.0: PSCI_FEATURES denies SYSTEM_RESET2", ()),
    "psci_1_1.features": (refused(0), "PSCI 1.1: PSCI_FEATURES knows SYSTEM_RESET2", (RESET2,)),
    "psci_1_1.off2": (refused(NOT_SUPPORTED), "PSCI 1.1: SYSTEM_OFF2 is not supported", (RESET2,)),
    "psci_1_1.features_off2": (
        refused(NOT_SUPPORTED),
        "PSCI 1.1: PSCI_FEATURES denies SYSTEM_OFF2",
        (RESET2,),
    ),
    "psci_1_3.features": (
        refused(1),
        "PSCI 1.3: PSCI_FEATURES says SYSTEM_OFF2 can hibernate (bit 0)",
        (OFF2,),
    ),
}
_BY_VERSION_EVENTS: dict[str, tuple[int, int, str, tuple[Need, ...]]] = {
    "psci_0_2.off": (SHUTDOWN, 0, "PSCI 0.2: SYSTEM_OFF", ()),
    "psci_0_2.reset": (RESET, 0, "PSCI 0.2: SYSTEM_RESET", ()),
    "psci_1_0.off": (SHUTDOWN, 0, "PSCI 1.0: SYSTEM_OFF", ()),
    "psci_1_0.reset": (RESET, 0, "PSCI 1.0: SYSTEM_RESET", ()),
    "psci_1_1.reset2": (RESET, 1, "PSCI 1.1: SYSTEM_RESET2", (RESET2,)),
    "psci_1_3.off2": (SHUTDOWN, 1, "PSCI 1.3: SYSTEM_OFF2", (OFF2,)),
}
_AARCH32_REFUSED = ("reset2_64", "suspend_64", "off2_64")

CLAIMS = (
    # PSCI by version
    *(
        _row(name, f"{says}.", _VERSIONS, checks, *needs)
        for name, (checks, says, needs) in _BY_VERSION.items()
    ),
    *(
        _row(
            name,
            f"{what} is an event of type {kind}, data[0] {flag}.",
            f"{API}; {_VERSIONS}",
            system_event(kind, flag),
            *needs,
            before=old_system_event(kind, flag),
        )
        for name, (kind, flag, what, needs) in _BY_VERSION_EVENTS.items()
    ),
    _row(
        "psci.versions",
        "KVM_REG_ARM_PSCI_VERSION takes 0.2 and 1.0, and refuses versions that do not exist with EINVAL.",
        _VERSIONS,
        (
            *(Gives("set 0.2"), Gives("set 1.0")),
            *(Gives("set 0.3", errno=Errno.EINVAL), Gives("set 2.0", errno=Errno.EINVAL)),
        ),
    ),
    _row(
        "psci.versions.1_1",
        "KVM_REG_ARM_PSCI_VERSION takes 1.1.",
        f"{_VERSIONS}; d43583b890e7, v5.18",
        (Gives("set 1.1"),),
        RESET2,
        scenario="psci.versions",
    ),
    _row(
        "psci.versions.1_3",
        "KVM_REG_ARM_PSCI_VERSION takes 1.2 and 1.3.",
        f"{_VERSIONS}; 8be82d536a9f, v6.13",
        (Gives("set 1.2"), Gives("set 1.3")),
        OFF2,
        scenario="psci.versions",
    ),
    # Conduits, filters, and a 32-bit guest
    _row(
        "smc.off",
        "PSCI SYSTEM_OFF by SMC is the same event as by HVC.",
        f"{API}; arch/arm64/kvm/handle_exit.c, handle_smc",
        (*system_event(SHUTDOWN, 0), At("call.smc_returned", "pc")),
        SMC,
    ),
    _row(
        "smc.reset2",
        "PSCI SYSTEM_RESET2 by SMC is the same event as by HVC.",
        f"{API}; arch/arm64/kvm/handle_exit.c, handle_smc",
        (*system_event(RESET, 1), Register("x2", COOKIE & _LOW), At("call.smc_returned", "pc")),
        SMC,
    ),
    _observed(
        "smc.other",
        "An SMC whose immediate is not 0 is no call: the guest goes on with -1 in x0.",
        "arch/arm64/kvm/handle_exit.c, handle_smc",
        refused(NOT_SUPPORTED),
        SMC,
    ),
    _row(
        "filter.deny",
        "A denied SYSTEM_OFF is no event: the guest goes on with NOT_SUPPORTED (-1) in x0.",
        _FILTER,
        refused(NOT_SUPPORTED),
        FILTER,
    ),
    _row(
        "filter.forward",
        "A forwarded SYSTEM_OFF is a hypercall for userspace, and no system event.",
        _FILTER,
        (Exits(EXIT_HYPERCALL),),
        FILTER,
    ),
    _row(
        "aarch32.off",
        "PSCI SYSTEM_OFF of a 32-bit guest exits as SHUTDOWN with one datum, no flag set.",
        f"{API}; {PREPARE}",
        system_event(SHUTDOWN, 0),
        AARCH32,
        before=old_system_event(SHUTDOWN, 0),
    ),
    _row(
        "aarch32.reset2",
        "PSCI SYSTEM_RESET2 of a 32-bit guest exits as RESET with the RESET2 flag in data[0].",
        f"{API}; {INDICATE}",
        system_event(RESET, 1),
        AARCH32,
        RESET2,
    ),
    *(
        _row(
            f"aarch32.{name}",
            f"A 32-bit guest may not make the 64-bit call {name.upper()}: no event, NOT_SUPPORTED (-1) in r0.",
            "arch/arm64/kvm/psci.c, kvm_psci_check_allowed_function",
            (Exits(EXIT_MMIO), Holds("mmio.phys_addr", RETURNED), RegisterOneOf("x0", (_LOW, NOT_SUPPORTED))),
            AARCH32,
        )
        for name in _AARCH32_REFUSED
    ),
    # Suspend
    _row(
        "psci.suspend.denied",
        "SYSTEM_SUSPEND without KVM_CAP_ARM_SYSTEM_SUSPEND is no event: NOT_SUPPORTED (-1) in x0.",
        "Documentation/virt/kvm/api.rst, KVM_CAP_ARM_SYSTEM_SUSPEND",
        refused(NOT_SUPPORTED),
    ),
    *(
        _row(
            f"psci.{name}",
            f"SYSTEM_SUSPEND, {bits}-bit call, exits as SUSPEND with no data and leaves the vCPU as it was: x0 the "
            "call, x1 the entry point, x2 the context.",
            f"{API}; bfbab4456877, KVM: arm64: Implement PSCI SYSTEM_SUSPEND, v5.19",
            (
                *(
                    *system_event(SUSPEND),
                    Register("x0", fid),
                    Register("x1", 0x4000_0000),
                    Register("x2", 0xC0DE),
                ),
                *(At("call.returned", "pc"), *preserved(3)),
            ),
            CAP_SUSPEND,
        )
        for name, bits, fid in (("suspend", 32, SYSTEM_SUSPEND), ("suspend_64", 64, SYSTEM_SUSPEND_64))
    ),
    _row(
        "psci.suspend.features",
        "PSCI_FEATURES knows SYSTEM_SUSPEND once KVM_CAP_ARM_SYSTEM_SUSPEND is enabled.",
        "Documentation/virt/kvm/api.rst, KVM_CAP_ARM_SYSTEM_SUSPEND",
        refused(0),
        CAP_SUSPEND,
    ),
    _row(
        "psci.suspend.enable",
        "KVM_ENABLE_CAP of KVM_CAP_ARM_SYSTEM_SUSPEND takes no flags: EINVAL with one, 0 without.",
        "Documentation/virt/kvm/api.rst, KVM_ENABLE_CAP; arch/arm64/kvm/arm.c, kvm_vm_ioctl_enable_cap",
        (Gives("with a flag", errno=Errno.EINVAL), Gives("without flags")),
        CAP_SUSPEND,
    ),
    _row(
        "compat",
        "A 32-bit process cannot open /dev/kvm: ENODEV.",
        "virt/kvm/Kconfig, KVM_COMPAT is off on arm64; virt/kvm/kvm_main.c, kvm_no_compat_open",
        (Gives("open /dev/kvm", errno=Errno.ENODEV),),
        abi="arm",
    ),
)
