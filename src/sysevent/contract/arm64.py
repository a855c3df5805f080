"""What PSCI calls of an arm64 guest must lead to: arch/arm64/kvm/psci.c."""

from __future__ import annotations

import functools

from sysevent.contract.around import Gives
from sysevent.contract.checks import At, Check, Exits, Holds, Register, RegisterOneOf, Written
from sysevent.contract.claim import Claim, Need
from sysevent.contract.common import (
    API,
    EXIT_HYPERCALL,
    EXIT_MMIO,
    EXIT_SYSTEM_EVENT,
    RESET,
    SHUTDOWN,
    SUSPEND,
    capability,
    old_system_event,
    row,
    system_event,
)
from sysevent.model import Level
from sysevent.probe.catalog.arm64 import (
    COOKIE,
    RETURNED,
    SYSTEM_OFF2,
    SYSTEM_RESET2,
    SYSTEM_SUSPEND,
    SYSTEM_SUSPEND_64,
    VENDOR,
    VENDOR_HIGH,
)

NOT_SUPPORTED = 0xFFFF_FFFF_FFFF_FFFF
INVALID_PARAMETERS = 0xFFFF_FFFF_FFFF_FFFE
INTERNAL_FAILURE = 0xFFFF_FFFF_FFFF_FFFA
_LOW = 0xFFFF_FFFF
_EINVAL, _ENODEV = 22, 19

_PREPARE = "arch/arm64/kvm/psci.c, kvm_prepare_system_event"
_CALL = "arch/arm64/kvm/psci.c, kvm_psci_call"
_INDICATE = "34739fd95fab, KVM: arm64: Indicate SYSTEM_RESET2 in kvm_run::system_event flags field, v5.18"
_PROPAGATE = "9d3e7b7c82fd, KVM: arm64: Really propagate PSCI SYSTEM_RESET2 arguments to userspace, v5.18"
_VERSIONS = "Documentation/virt/kvm/arm/fw-pseudo-registers.rst, KVM_REG_ARM_PSCI_VERSION"
_OFF2 = "97413cea1c48, KVM: arm64: Add PSCI v1.3 SYSTEM_OFF2 function for hibernation, v6.13"
_FILTER = "Documentation/virt/kvm/devices/vm.rst, KVM_ARM_VM_SMCCC_FILTER"

RESET2 = Need("PSCI SYSTEM_RESET2 (d43583b890e7)", (5, 18), f"psci.features.{SYSTEM_RESET2:#x}")
OFF2 = Need("PSCI SYSTEM_OFF2 (97413cea1c48)", (6, 13), f"psci.features.{SYSTEM_OFF2:#x}")
CAP_SUSPEND = Need("KVM_CAP_ARM_SYSTEM_SUSPEND (bfbab4456877)", (5, 19), "vm/216")
SMC = Need("PSCI by SMC", (6, 12), "smc.version")
FILTER = Need("SMCCC filter", (6, 4), "smccc.filter")
AARCH32 = Need("32-bit EL1 (KVM_CAP_ARM_EL1_32BIT), which takes a CPU that has it,", None, "vm/93")
HSR_HIGH = Need("KVM_DEBUG_ARCH_HSR_HIGH_VALID (18f3976fdb5d)", (5, 19), "debug")


def refused(answer: int, label: str = "exit") -> tuple[Check, ...]:
    """No event: the guest went on, with this in x0."""
    return (
        Exits(EXIT_MMIO, label),
        Holds("mmio.phys_addr", RETURNED, label),
        Register("x0", answer, label),
    )


def preserved(first: int, label: str = "exit") -> tuple[Check, ...]:
    """The registers from x<first> to x15 hold what the guest had in them: SMC Calling Convention, DEN0028."""
    return tuple(Register(f"x{n}", 0x5E00 + n, label) for n in range(first, 16))


_row = functools.partial(row, "arm64")
_observed = functools.partial(row, "arm64", level=Level.OBSERVED)


# name: (what it is, the guest's x1 and x2 that userspace must find)
_RESET2 = {
    "reset2": ("SYSTEM_RESET2, 32-bit call, architectural type 0", 0, COOKIE & _LOW),
    "reset2.vendor": ("SYSTEM_RESET2, 32-bit call, first vendor type", VENDOR, COOKIE & _LOW),
    "reset2.vendor_high": ("SYSTEM_RESET2, 32-bit call, last vendor type", VENDOR_HIGH, COOKIE & _LOW),
    "reset2.upper": ("SYSTEM_RESET2, 32-bit call with upper halves", VENDOR, COOKIE & _LOW),
    "reset2_64": ("SYSTEM_RESET2, 64-bit call, architectural type 0", 0, COOKIE),
    "reset2_64.vendor": ("SYSTEM_RESET2, 64-bit call, first vendor type", VENDOR, COOKIE),
    "reset2_64.vendor_high": ("SYSTEM_RESET2, 64-bit call, last vendor type", VENDOR_HIGH, COOKIE),
    # The kernel looks at 32 bits of the type and hands userspace all 64.
    "reset2_64.upper": ("SYSTEM_RESET2, 64-bit call, type 0 with an upper half", 0x1_0000_0000, COOKIE),
}
_RESERVED = {
    "reset2.reserved": "SYSTEM_RESET2, 32-bit call, reserved type 1,",
    "reset2_64.reserved": "SYSTEM_RESET2, 64-bit call, reserved type 0x7fffffff,",
}
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


def _written(name: str, what: str, *needs: Need) -> Claim:
    return _observed(
        f"psci.{name}.written",
        f"For {what} the kernel writes all 136 bytes of system_event, 16 before v5.18, and no others.",
        f"{_PREPARE}: memset of the whole structure; api.rst promises only the first ndata items",
        (Exits(EXIT_SYSTEM_EVENT), Written(((32, 168),)), *(Holds(f"data[{n}]", 0) for n in range(1, 16))),
        *needs,
        scenario=f"psci.{name}",
        before=(Exits(EXIT_SYSTEM_EVENT), Written(((32, 48),))),
    )


CLAIMS = (
    capability("arm64"),
    *(
        _row(
            f"psci.{name}",
            f"PSCI {call} exits as {kind} with one datum, no flag set.",
            f"{API}; {_PREPARE}",
            system_event(number, 0),
            before=old_system_event(number, 0),
        )
        for name, call, kind, number in (
            ("off", "SYSTEM_OFF", "SHUTDOWN", SHUTDOWN),
            ("reset", "SYSTEM_RESET", "RESET", RESET),
        )
    ),
    *(
        _row(
            f"psci.{name}",
            f"PSCI {what} exits as RESET with the RESET2 flag (bit 0) in data[0].",
            f"{API}; {_INDICATE}",
            system_event(RESET, 1),
            RESET2,
            before=old_system_event(RESET, 1),
        )
        for name, (what, _, _) in _RESET2.items()
    ),
    *(
        _row(
            f"psci.{name}.arguments",
            f"After {what} userspace finds the guest's reset type in x1 and its cookie in x2, "
            "everything else as it was, and the PC behind the call.",
            _PROPAGATE,
            (
                Exits(EXIT_SYSTEM_EVENT),
                Register("x0", INTERNAL_FAILURE),
                Register("x1", x1),
                Register("x2", x2),
                At("call.returned", "pc"),
                *preserved(3),
            ),
            RESET2,
            scenario=f"psci.{name}",
        )
        for name, (what, x1, x2) in _RESET2.items()
    ),
    *(
        _row(
            f"psci.{name}",
            f"PSCI {what} is no event: the guest goes on with INVALID_PARAMETERS (-2) in x0.",
            "Arm DEN0022, SYSTEM_RESET2; d43583b890e7, KVM: arm64: Add support for SYSTEM_RESET2, v5.18",
            refused(INVALID_PARAMETERS),
            RESET2,
        )
        for name, what in _RESERVED.items()
    ),
    *(
        _row(
            f"psci.{name}.registers",
            f"After {call} x0 holds INTERNAL_FAILURE (-6), for a guest that is resumed nevertheless; the PC "
            "stands behind the call, and nothing from x4 up has changed.",
            f"{_CALL}: preloaded for a userspace that resumes the guest",
            (
                *(Exits(EXIT_SYSTEM_EVENT), Register("x0", INTERNAL_FAILURE)),
                *(At("call.returned", "pc"), *preserved(4)),
            ),
            scenario=f"psci.{name}",
        )
        for name, call in (("off", "SYSTEM_OFF"), ("reset", "SYSTEM_RESET"))
    ),
    *(
        _observed(
            f"psci.{name}.zeroed",
            f"After {call} x1, x2 and x3 are zero.",
            f"{_CALL}: smccc_set_retval",
            (Exits(EXIT_SYSTEM_EVENT), *(Register(f"x{n}", 0) for n in (1, 2, 3))),
            scenario=f"psci.{name}",
        )
        for name, call in (("off", "SYSTEM_OFF"), ("reset", "SYSTEM_RESET"))
    ),
    *(
        _row(
            f"psci.off2{width}.{kind}",
            f"PSCI SYSTEM_OFF2, {bits}-bit call of type {kind}, exits as SHUTDOWN with the OFF2 flag in data[0].",
            f"{API}; {_OFF2}",
            (*system_event(SHUTDOWN, 1), Register("x0", INTERNAL_FAILURE)),
            OFF2,
        )
        for width, bits in (("", 32), ("_64", 64))
        for kind in (0, 1)
    ),
    *(
        _row(
            f"psci.off2.wrong.{name}",
            f"PSCI SYSTEM_OFF2 with type and cookie {name} is no event: INVALID_PARAMETERS (-2) in x0.",
            f"Arm DEN0022, SYSTEM_OFF2; {_OFF2}",
            refused(INVALID_PARAMETERS),
            OFF2,
        )
        for name in ("1.1", "0.1", "2.0")
    ),
    _written("off", "PSCI SYSTEM_OFF"),
    _written("reset", "PSCI SYSTEM_RESET"),
    _written("reset2", "PSCI SYSTEM_RESET2", RESET2),
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
            *(Gives("set 0.3", errno=_EINVAL), Gives("set 2.0", errno=_EINVAL)),
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
        f"{API}; {_PREPARE}",
        system_event(SHUTDOWN, 0),
        AARCH32,
        before=old_system_event(SHUTDOWN, 0),
    ),
    _row(
        "aarch32.reset2",
        "PSCI SYSTEM_RESET2 of a 32-bit guest exits as RESET with the RESET2 flag in data[0].",
        f"{API}; {_INDICATE}",
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
        (Gives("with a flag", errno=_EINVAL), Gives("without flags")),
        CAP_SUSPEND,
    ),
    _row(
        "compat",
        "A 32-bit process cannot open /dev/kvm: ENODEV.",
        "virt/kvm/Kconfig, KVM_COMPAT is off on arm64; virt/kvm/kvm_main.c, kvm_no_compat_open",
        (Gives("open /dev/kvm", errno=_ENODEV),),
        abi="arm",
    ),
)
