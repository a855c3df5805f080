"""What SBI calls of a riscv64 guest must lead to: arch/riscv/kvm/vcpu_sbi.c, vcpu_sbi_replace.c."""

from __future__ import annotations

import functools

from sysevent.abi.errno import Errno
from sysevent.abi.mp_state import MpState
from sysevent.abi.sbi import INVALID_PARAM, NOT_SUPPORTED, SUSP
from sysevent.contract.around import Blocks, Contains, Counters, Gives, Interrupted, SameBytes
from sysevent.contract.checks import At, Check, Exits, Holds, Register, RegisterOneOf, Written
from sysevent.contract.claim import Claim, Need
from sysevent.contract.common import (
    API,
    EXIT_MMIO,
    EXIT_RISCV_SBI,
    EXIT_SYSTEM_EVENT,
    RESET,
    SHUTDOWN,
    capability,
    old_system_event,
    row,
    system_event,
)
from sysevent.model import Level
from sysevent.scenario.catalog.riscv64 import REASONS, RETURNED
from sysevent.scenario.catalog.riscv64_states import REASON

_row = functools.partial(row, "riscv64")
_observed = functools.partial(row, "riscv64", level=Level.OBSERVED)

_POISON32 = 0xAAAA_AAAA

_RESET = "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_sbi_system_reset"
_SRST = f"{API}: data[0] is the second argument of the SBI SRST call; be78aa8a38c8, v5.18"
_ENABLE = "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_set_reg_sbi_ext, v6.4"
_SUSP = "023c15151fbb, RISC-V: KVM: Add SBI system suspend support, v6.13"
_IMMEDIATE = "Documentation/virt/kvm/api.rst, kvm_run, immediate_exit"

LEGACY = Need("legacy SBI v0.1 shutdown (CONFIG_RISCV_SBI_V01=y)", None, "sbi.probe.legacy_shutdown")
NO_LEGACY = Need("legacy SBI v0.1 shutdown", None, "sbi.probe.legacy_shutdown", absent=True)
ENABLE = Need("register that turns SRST on and off", (6, 12), "sbi.enable.srst")
ENABLE_SUSP = Need("SBI system suspend (023c15151fbb)", (6, 13), "sbi.enable.susp")

COMPAT = Need(
    "32-bit processes that could open /dev/kvm: it takes CONFIG_COMPAT=y, a CPU with UXL=32, and a VMM built for "
    "riscv32; none of the three is",
    None,
    "compat",
)

_KINDS = {
    "shutdown": ("shutdown", SHUTDOWN, "SHUTDOWN"),
    "cold_reboot": ("cold reboot", RESET, "RESET"),
    "warm_reboot": ("warm reboot", RESET, "RESET"),
}


def _went_on(label: str = "exit") -> tuple[Check, ...]:
    """No event: the guest came back from its call."""
    return (Exits(EXIT_MMIO, label), Holds("mmio.phys_addr", RETURNED, label))


def _srst(name: str, says: str, kind: int, reason: int) -> Claim:
    return _row(name, says, _SRST, system_event(kind, reason), before=old_system_event(kind, reason))


def _stopped(count: int) -> tuple[Check, ...]:
    """Every hart says STOPPED, every peer blocks and counts no further."""
    return (
        Exits(EXIT_SYSTEM_EVENT),
        Counters("counted after the exit", "counted later", count, running=False),
        *(Blocks(f"peer {peer}") for peer in range(1, count)),
        *(Contains(f"mp_state {hart}", MpState.STOPPED) for hart in range(count)),
    )


_NO_EVENT = {
    "srst.reserved": "SBI SRST of reset type 3 is no event",
    "srst.vendor_type": "SBI SRST of a vendor reset type (0xf0000000) is no event",
    "srst.function": "Function 1 of the SRST extension, which does not exist, is no event",
}

CLAIMS = (
    capability("riscv64"),
    _row(
        "srst.probe",
        "SBI's probe_extension finds SRST: 0 in a0 and 1 in a1.",
        "RISC-V SBI specification, probe_extension; arch/riscv/kvm/vcpu_sbi_base.c",
        (
            *_went_on("sbi.probe.srst"),
            Register("a0", 0, "sbi.probe.srst"),
            Register("a1", 1, "sbi.probe.srst"),
        ),
        scenario="facts",
    ),
    *(
        _srst(
            f"srst.{kind}.{reason:#x}",
            f"SBI SRST {words} with reason {reason:#x} exits as {exits}; the reason is data[0].",
            number,
            reason,
        )
        for kind, (words, number, exits) in _KINDS.items()
        for reason in REASONS
    ),
    _srst(
        "srst.upper.reason", "The reason is 32 bits: what is above them in a1 is not looked at.", SHUTDOWN, 1
    ),
    _srst("srst.upper.type", "The type is 32 bits: what is above them in a0 is not looked at.", RESET, 1),
    *(
        _row(name, f"{says}: the guest goes on.", "RISC-V SBI specification, SRST", _went_on())
        for name, says in _NO_EVENT.items()
    ),
    *(
        _observed(
            f"{name}.error",
            f"{says}, and its error is SBI_ERR_NOT_SUPPORTED (-2).",
            "arch/riscv/kvm/vcpu_sbi_replace.c, kvm_sbi_ext_srst_handler; the SBI specification would say -3",
            (*_went_on(), Register("a0", NOT_SUPPORTED), Register("a1", 0)),
            scenario=name,
        )
        for name, says in _NO_EVENT.items()
    ),
    *(
        _observed(
            f"srst.{kind}.written",
            f"For SBI SRST {words} the kernel writes all 136 bytes of system_event and no others.",
            f"{_RESET}: memset of the whole structure; api.rst promises only the first ndata items",
            (
                Exits(EXIT_SYSTEM_EVENT),
                Written(((32, 168),)),
                *(Holds(f"data[{n}]", 0) for n in range(1, 16)),
            ),
            scenario=f"srst.{kind}.0x1",
            before=(Exits(EXIT_SYSTEM_EVENT), Written(((32, 48),))),
        )
        for kind, (words, _, _) in _KINDS.items()
    ),
    _observed(
        "srst.registers",
        "After SBI SRST the PC stands at the call, a0 is as the guest had it, and a1 too or, before v6.12, 0.",
        "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_sbi_ecall",
        (
            *(Exits(EXIT_SYSTEM_EVENT), At("call._start", "pc")),
            *(Register("a0", 1), RegisterOneOf("a1", (0xDEAD_BEEF, 0))),
        ),
        scenario="srst.cold_reboot.0xdeadbeef",
    ),
    _observed(
        "srst.flags",
        "riscv's KVM writes nothing into kvm_run.flags.",
        "arch/riscv/kvm/vcpu.c, kvm_arch_vcpu_ioctl_run",
        (Exits(EXIT_SYSTEM_EVENT), Holds("run.flags", _POISON32 & 0xFFFF)),
        scenario="srst.shutdown.0x0",
    ),
    _row(
        "srst.disabled",
        "SBI SRST that userspace has turned off is no event: SBI_ERR_NOT_SUPPORTED (-2) in a0.",
        _ENABLE,
        (*_went_on(), Register("a0", NOT_SUPPORTED)),
        ENABLE,
    ),
    _row(
        "srst.register",
        "The register that turns SRST off takes 0 and 1 (EINVAL for 2), and only before the first KVM_RUN (EBUSY).",
        _ENABLE,
        (
            Gives("two", errno=Errno.EINVAL),
            Exits(EXIT_SYSTEM_EVENT),
            Gives("after KVM_RUN", errno=Errno.EBUSY),
        ),
        ENABLE,
    ),
    _row(
        "legacy.shutdown",
        "Legacy SBI shutdown exits as SHUTDOWN with one datum, 0, whatever its arguments hold.",
        f"{API}; arch/riscv/kvm/vcpu_sbi_v01.c, kvm_sbi_ext_v01_handler",
        system_event(SHUTDOWN, 0),
        LEGACY,
        before=old_system_event(SHUTDOWN, 0),
    ),
    _row(
        "legacy.absent",
        "Where legacy SBI is not built, its shutdown is no event: SBI_ERR_NOT_SUPPORTED (-2) in a0.",
        "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_sbi_ecall",
        (*_went_on(), Register("a0", NOT_SUPPORTED)),
        NO_LEGACY,
        scenario="legacy.shutdown",
    ),
    _row(
        "susp.disabled",
        "SBI system suspend, which userspace has not turned on, is no event: SBI_ERR_NOT_SUPPORTED (-2) in a0.",
        _SUSP,
        (*_went_on(), Register("a0", NOT_SUPPORTED)),
    ),
    _row(
        "susp.enabled",
        "SBI system suspend is forwarded to userspace as KVM_EXIT_RISCV_SBI, and is no system event.",
        _SUSP,
        (Exits(EXIT_RISCV_SBI), Holds("riscv_sbi.extension_id", SUSP)),
        ENABLE_SUSP,
    ),
    _row(
        "susp.reserved",
        "SBI system suspend of a reserved type is refused by the kernel: SBI_ERR_INVALID_PARAM (-3) in a0.",
        _SUSP,
        (*_went_on(), Register("a0", INVALID_PARAM)),
        ENABLE_SUSP,
    ),
    # Around the exit
    *(
        _row(
            f"peers.{kind}.{count}",
            f"After SBI SRST {words} none of {count} harts runs: all are STOPPED, and none leaves KVM_RUN by itself.",
            f"{_RESET}; RISC-V SBI specification, SRST: the call does not return",
            _stopped(count),
        )
        for kind, (words, _, _) in _KINDS.items()
        for count in (2, 4)
    ),
    *(
        _row(
            f"reentry.{kind}",
            f"After SBI SRST {words} KVM_RUN blocks until userspace declares the hart runnable.",
            _RESET,
            (Exits(EXIT_SYSTEM_EVENT), Blocks("again")),
        )
        for kind, (words, _, _) in _KINDS.items()
    ),
    *(
        _observed(
            f"reentry.{kind}.repeats",
            f"A hart declared runnable after SBI SRST {words} repeats the call, since its PC was not moved.",
            f"{_RESET}; before v6.12 a1 is lost, and the repeated event's reason is 0",
            (
                *(Exits(EXIT_SYSTEM_EVENT, label) for label in ("exit", "repeated")),
                Holds("type", number, "repeated"),
            ),
            scenario=f"reentry.{kind}",
        )
        for kind, (words, number, _) in _KINDS.items()
    ),
    _row(
        "resumed",
        "Userspace that moves the PC past the call and declares the hart runnable resumes the guest.",
        "Documentation/virt/kvm/api.rst, KVM_SET_MP_STATE",
        (Exits(EXIT_SYSTEM_EVENT), *_went_on("resumed"), Register("a0", 0x600D, "resumed")),
    ),
    _row(
        "immediate_exit",
        "With immediate_exit KVM_RUN gives EINTR and runs nothing; the event comes at the next KVM_RUN.",
        _IMMEDIATE,
        (Interrupted("nothing"), *system_event(RESET, REASON)),
        before=(Interrupted("nothing"), *old_system_event(RESET, REASON)),
    ),
    _row(
        "sequence.reset_then_shutdown",
        "A shutdown after a reboot exits with its own type and reason, and nothing of the first.",
        API,
        (*system_event(RESET, REASON, label="first"), *system_event(SHUTDOWN, 0)),
    ),
    *(
        _row(
            f"after_mmio.{kind}",
            f"SBI SRST {words} right after an MMIO exit, whose bytes lie in the same union, exits with its own data.",
            API,
            (Exits(EXIT_MMIO, "first"), *system_event(number, 1)),
        )
        for kind, (words, number, _) in _KINDS.items()
    ),
    _row(
        "poison.cold_reboot",
        "What SBI SRST writes does not depend on what was in kvm_run before.",
        API,
        (
            *(*system_event(RESET, REASON), *system_event(RESET, REASON, label="other")),
            *(SameBytes("exit", "other", (8, 12)), SameBytes("exit", "other", (32, 48))),
        ),
    ),
    _row(
        "compat",
        "A 32-bit process cannot open /dev/kvm: ENODEV.",
        "afec0c65d09d, KVM: compat: riscv: Prevent KVM_COMPAT from being selected, v5.18",
        (Gives("open /dev/kvm", errno=Errno.ENODEV),),
        COMPAT,
        scenario="facts",
    ),
)
