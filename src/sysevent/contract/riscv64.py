"""What SBI calls of a riscv64 guest must lead to: arch/riscv/kvm/vcpu_sbi.c, vcpu_sbi_replace.c."""

from __future__ import annotations

from sysevent.contract.checks import Exits, Holds, Register, Written
from sysevent.contract.claim import Claim
from sysevent.contract.common import API, RESET, SHUTDOWN, capability, old_system_event, system_event
from sysevent.model import Level
from sysevent.probe.catalog.riscv64 import REASONS, RETURNED

_EXIT_MMIO = 6
_NOT_SUPPORTED = 0xFFFF_FFFF_FFFF_FFFE
_RESET = "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_sbi_system_reset"
_KINDS = {
    "shutdown": ("shutdown", SHUTDOWN, "SHUTDOWN"),
    "cold_reboot": ("cold reboot", RESET, "RESET"),
    "warm_reboot": ("warm reboot", RESET, "RESET"),
}

CLAIMS = (
    capability("riscv64"),
    *(
        Claim(
            name=f"riscv64.srst.{kind}.{reason:#x}",
            says=f"SBI SRST {words} with reason {reason:#x} exits as {exits}; the reason is data[0].",
            scenario=f"riscv64.srst.{kind}.{reason:#x}",
            level=Level.ABI,
            source=f"{API}: data[0] is the second argument of the SBI SRST call; be78aa8a38c8, v5.18",
            checks=system_event(number, reason),
            before=old_system_event(number, reason),
        )
        for kind, (words, number, exits) in _KINDS.items()
        for reason in REASONS
    ),
    Claim(
        name="riscv64.srst.reserved",
        says="SBI SRST with reset type 3 is no event: the guest goes on with SBI_ERR_NOT_SUPPORTED (-2) in a0.",
        scenario="riscv64.srst.reserved",
        level=Level.OBSERVED,
        source="arch/riscv/kvm/vcpu_sbi_replace.c, kvm_sbi_ext_srst_handler; the SBI specification would say -3",
        checks=(Exits(_EXIT_MMIO), Holds("mmio.phys_addr", RETURNED), Register("a0", _NOT_SUPPORTED)),
    ),
    *(
        Claim(
            name=f"riscv64.srst.{kind}.written",
            says=f"For SBI SRST {words} the kernel writes all 136 bytes of system_event and no others.",
            scenario=f"riscv64.srst.{kind}.0x1",
            level=Level.OBSERVED,
            source=f"{_RESET}: memset of the whole structure; api.rst promises only the first ndata items",
            checks=(Exits(24), Written(((32, 168),)), *(Holds(f"data[{n}]", 0) for n in range(1, 16))),
            before=(Exits(24), Written(((32, 48),))),
        )
        for kind, (words, _, _) in _KINDS.items()
    ),
)
