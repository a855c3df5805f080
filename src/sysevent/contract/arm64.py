"""What PSCI calls of an arm64 guest must lead to: arch/arm64/kvm/psci.c."""

from __future__ import annotations

import functools

from sysevent.abi.capabilities import Capability
from sysevent.abi.psci import INTERNAL_FAILURE, INVALID_PARAMETERS, NOT_SUPPORTED
from sysevent.contract.around import Gives
from sysevent.contract.checks import At, Check, Exits, Holds, Register, Written
from sysevent.contract.claim import Claim, Need
from sysevent.contract.common import (
    API,
    EXIT_MMIO,
    EXIT_SYSTEM_EVENT,
    RESET,
    SHUTDOWN,
    capability,
    old_system_event,
    row,
    system_event,
)
from sysevent.model import Level
from sysevent.scenario.catalog.arm64 import (
    COOKIE,
    RETURNED,
    SYSTEM_OFF,
    SYSTEM_OFF2,
    SYSTEM_OFF2_64,
    SYSTEM_RESET,
    SYSTEM_RESET2,
    SYSTEM_RESET2_64,
    SYSTEM_SUSPEND,
    SYSTEM_SUSPEND_64,
    VENDOR,
    VENDOR_HIGH,
)

_LOW = 0xFFFF_FFFF

PREPARE = "arch/arm64/kvm/psci.c, kvm_prepare_system_event"
_CALL = "arch/arm64/kvm/psci.c, kvm_psci_call"
INDICATE = "34739fd95fab, KVM: arm64: Indicate SYSTEM_RESET2 in kvm_run::system_event flags field, v5.18"
_PROPAGATE = "9d3e7b7c82fd, KVM: arm64: Really propagate PSCI SYSTEM_RESET2 arguments to userspace, v5.18"
_OFF2 = "97413cea1c48, KVM: arm64: Add PSCI v1.3 SYSTEM_OFF2 function for hibernation, v6.13"

RESET2 = Need("PSCI SYSTEM_RESET2 (d43583b890e7)", (5, 18), SYSTEM_RESET2.fact)
OFF2 = Need("PSCI SYSTEM_OFF2 (97413cea1c48)", (6, 13), SYSTEM_OFF2.fact)
CAP_SUSPEND = Need("KVM_CAP_ARM_SYSTEM_SUSPEND (bfbab4456877)", (5, 19), Capability.ARM_SYSTEM_SUSPEND.on_vm)
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
    "reset2.reserved_high": "SYSTEM_RESET2, 32-bit call, reserved type 0x7fffffff,",
    "reset2_64.reserved": "SYSTEM_RESET2, 64-bit call, reserved type 1,",
    "reset2_64.reserved_high": "SYSTEM_RESET2, 64-bit call, reserved type 0x7fffffff,",
}


_DENIES = "denies, as long as KVM_CAP_ARM_SYSTEM_SUSPEND is not enabled,"
_SUSPEND = "Documentation/virt/kvm/api.rst, KVM_CAP_ARM_SYSTEM_SUSPEND"
_KNOWS = "Arm DEN0022, PSCI_FEATURES; arch/arm64/kvm/psci.c, kvm_psci_1_x_call"
# name, function, PSCI_FEATURES' answer, what that says, source, needs
_FEATURES: tuple[tuple[str, int, int, str, str, tuple[Need, ...]], ...] = (
    ("off", SYSTEM_OFF, 0, "knows", _KNOWS, ()),
    ("reset", SYSTEM_RESET, 0, "knows", _KNOWS, ()),
    ("reset2", SYSTEM_RESET2, 0, "knows", _KNOWS, (RESET2,)),
    ("reset2_64", SYSTEM_RESET2_64, 0, "knows", _KNOWS, (RESET2,)),
    ("off2", SYSTEM_OFF2, 1, "allows hibernation (bit 0) by", f"{_KNOWS}; {_OFF2}", (OFF2,)),
    ("off2_64", SYSTEM_OFF2_64, 1, "allows hibernation (bit 0) by", f"{_KNOWS}; {_OFF2}", (OFF2,)),
    ("suspend", SYSTEM_SUSPEND, NOT_SUPPORTED, _DENIES, _SUSPEND, ()),
    ("suspend_64", SYSTEM_SUSPEND_64, NOT_SUPPORTED, _DENIES, _SUSPEND, ()),
)


def _written(name: str, what: str, *needs: Need) -> Claim:
    return _observed(
        f"psci.{name}.written",
        f"For {what} the kernel writes all 136 bytes of system_event, 16 before v5.18, and no others.",
        f"{PREPARE}: memset of the whole structure; api.rst promises only the first ndata items",
        (Exits(EXIT_SYSTEM_EVENT), Written(((32, 168),)), *(Holds(f"data[{n}]", 0) for n in range(1, 16))),
        *needs,
        scenario=f"psci.{name}",
        before=(Exits(EXIT_SYSTEM_EVENT), Written(((32, 48),))),
    )


CLAIMS = (
    capability("arm64"),
    _row(
        "capability.suspend",
        "KVM_CAP_ARM_SYSTEM_SUSPEND (216) is 1 on /dev/kvm and on a VM.",
        "Documentation/virt/kvm/api.rst, KVM_CAP_ARM_SYSTEM_SUSPEND; bfbab4456877, v5.19",
        (Gives(Capability.ARM_SYSTEM_SUSPEND.on_system, 1), Gives(Capability.ARM_SYSTEM_SUSPEND.on_vm, 1)),
        CAP_SUSPEND,
        scenario="facts",
    ),
    *(
        _row(
            f"psci.features.{name}",
            f"PSCI_FEATURES {says} {name.upper()}, in the version that a guest gets by default.",
            source,
            refused(value, f"psci.features.{fid:#x}"),
            *needs,
            scenario="facts",
        )
        for name, fid, value, says, source, needs in _FEATURES
    ),
    *(
        _row(
            f"psci.{name}",
            f"PSCI {call} exits as {kind} with one datum, no flag set.",
            f"{API}; {PREPARE}",
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
            f"{API}; {INDICATE}",
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
            f"psci.off2{width}.wrong.{name}",
            f"PSCI SYSTEM_OFF2, {bits}-bit call, with type and cookie {name} is no event: INVALID_PARAMETERS (-2).",
            f"Arm DEN0022, SYSTEM_OFF2; {_OFF2}",
            refused(INVALID_PARAMETERS),
            OFF2,
        )
        for width, bits in (("", 32), ("_64", 64))
        for name in ("1.1", "0.1", "2.0")
    ),
    _written("off", "PSCI SYSTEM_OFF"),
    _written("reset", "PSCI SYSTEM_RESET"),
    _written("reset2", "PSCI SYSTEM_RESET2", RESET2),
)
