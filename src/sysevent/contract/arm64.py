"""What PSCI calls of an arm64 guest must lead to: arch/arm64/kvm/psci.c."""

from __future__ import annotations

from sysevent.contract.checks import At, Exits, Holds, Register, Written
from sysevent.contract.claim import Claim, Need
from sysevent.contract.common import API, RESET, SHUTDOWN, capability, old_system_event, system_event
from sysevent.model import Level
from sysevent.probe.catalog.arm64 import COOKIE, RETURNED, VENDOR, VENDOR_HIGH

_EXIT_MMIO = 6
_INVALID_PARAMETERS = 0xFFFF_FFFF_FFFF_FFFE
_PREPARE = "arch/arm64/kvm/psci.c, kvm_prepare_system_event"

RESET2 = Need("PSCI SYSTEM_RESET2 (d43583b890e7)", (5, 18), f"psci.features.{0x8400_0012:#x}")

# scenario suffix: (what it is, the guest's x1 and x2 that userspace must find unchanged)
_RESET2 = {
    "reset2": ("SYSTEM_RESET2, 32-bit call, architectural type 0", 0, COOKIE & 0xFFFF_FFFF),
    "reset2.vendor": ("SYSTEM_RESET2, 32-bit call, first vendor type", VENDOR, COOKIE & 0xFFFF_FFFF),
    "reset2.vendor_high": ("SYSTEM_RESET2, 32-bit call, last vendor type", VENDOR_HIGH, COOKIE & 0xFFFF_FFFF),
    "reset2_64": ("SYSTEM_RESET2, 64-bit call, architectural type 0", 0, COOKIE),
    "reset2_64.vendor": ("SYSTEM_RESET2, 64-bit call, first vendor type", VENDOR, COOKIE),
    "reset2_64.vendor_high": ("SYSTEM_RESET2, 64-bit call, last vendor type", VENDOR_HIGH, COOKIE),
}

_RESERVED = {
    "reset2.reserved": "SYSTEM_RESET2, 32-bit call, reserved type 1",
    "reset2_64.reserved": "SYSTEM_RESET2, 64-bit call, reserved type 0x7fffffff",
}


def _written(name: str, what: str, *needs: Need) -> Claim:
    return Claim(
        name=f"arm64.psci.{name}.written",
        says=f"For {what} the kernel writes all 136 bytes of system_event, 16 before v5.18, and no others.",
        scenario=f"arm64.psci.{name}",
        level=Level.OBSERVED,
        source=f"{_PREPARE}: memset of the whole structure; api.rst promises only the first ndata items",
        checks=(Exits(24), Written(((32, 168),)), *(Holds(f"data[{n}]", 0) for n in range(1, 16))),
        before=(Exits(24), Written(((32, 48),))),
        needs=needs,
    )


CLAIMS = (
    capability("arm64"),
    Claim(
        name="arm64.psci.off",
        says="PSCI SYSTEM_OFF exits as SHUTDOWN with one datum, no flag set.",
        scenario="arm64.psci.off",
        level=Level.ABI,
        source=f"{API}; {_PREPARE}",
        checks=system_event(SHUTDOWN, 0),
        before=old_system_event(SHUTDOWN, 0),
    ),
    Claim(
        name="arm64.psci.reset",
        says="PSCI SYSTEM_RESET exits as RESET with one datum, no flag set.",
        scenario="arm64.psci.reset",
        level=Level.ABI,
        source=f"{API}; {_PREPARE}",
        checks=system_event(RESET, 0),
        before=old_system_event(RESET, 0),
    ),
    *(
        Claim(
            name=f"arm64.psci.{name}",
            says=f"PSCI {what} exits as RESET with the RESET2 flag (bit 0) in data[0].",
            scenario=f"arm64.psci.{name}",
            level=Level.ABI,
            source=f"{API}; 34739fd95fab, KVM: arm64: Indicate SYSTEM_RESET2 in kvm_run::system_event, v5.18",
            checks=system_event(RESET, 1),
            before=old_system_event(RESET, 1),
            needs=(RESET2,),
        )
        for name, (what, _, _) in _RESET2.items()
    ),
    *(
        Claim(
            name=f"arm64.psci.{name}.arguments",
            says=f"After {what} userspace finds the guest's reset type in x1 and its cookie in x2, "
            "and the PC behind the call.",
            scenario=f"arm64.psci.{name}",
            level=Level.ABI,
            source="9d3e7b7c82fd, KVM: arm64: Really propagate PSCI SYSTEM_RESET2 arguments to userspace, v5.18",
            checks=(Exits(24), Register("x1", x1), Register("x2", x2), At("call.returned", "pc")),
            needs=(RESET2,),
        )
        for name, (what, x1, x2) in _RESET2.items()
    ),
    *(
        Claim(
            name=f"arm64.psci.{name}",
            says=f"PSCI {what} is no event: the guest goes on with INVALID_PARAMETERS (-2) in x0.",
            scenario=f"arm64.psci.{name}",
            level=Level.ABI,
            source="Arm DEN0022, SYSTEM_RESET2; d43583b890e7, KVM: arm64: Add support for SYSTEM_RESET2, v5.18",
            checks=(
                Exits(_EXIT_MMIO),
                Holds("mmio.phys_addr", RETURNED),
                Register("x0", _INVALID_PARAMETERS),
            ),
            needs=(RESET2,),
        )
        for name, what in _RESERVED.items()
    ),
    _written("off", "PSCI SYSTEM_OFF"),
    _written("reset", "PSCI SYSTEM_RESET"),
    _written("reset2", "PSCI SYSTEM_RESET2", RESET2),
)
