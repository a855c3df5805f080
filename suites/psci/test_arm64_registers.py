"""What a PSCI call leaves as it was, and what it hands over: whole registers, and the caller's endianness.

A 32-bit call takes the lower halves of x1 to x3 alone; all other registers stay as they are, with both halves. A vCPU
that CPU_ON starts has the endianness of its caller. Source: Arm DEN0028 (SMC Calling Convention), Arm DEN0022;
arch/arm64/kvm/psci.c.
"""

from sysevent.abi import psci
from sysevent.abi.events import EventType, ResetFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.psci import SUCCESS, Function
from sysevent.abi.registers import ARM64_SCTLR
from sysevent.contract.arm64 import CAP_SUSPEND, RESET2
from sysevent.contract.checks import Exits, RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds
from sysevent.contract.system_events import system_event
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import ENABLE_SUSPEND, RAM, registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import Entry, run

SMCCC = "Arm DEN0028, SMC Calling Convention: registers that a call preserves; arch/arm64/kvm/psci.c, {}"
UPPER = 0xA5C3_0000_0000_0000
# x4 to x15, with an upper half.
WIDE = tuple(UPPER | 0x5E00 + n for n in range(4, 16))
UNCHANGED = tuple(RegisterHolds(f"x{n}", value) for n, value in enumerate(WIDE, 4))
# A 32-bit call with an upper half in its own register.
SUSPENDS = scenario(
    "psci.registers.suspend",
    *vm_with_vcpus(),
    ENABLE_SUSPEND,
    Entry("call", (UPPER | Function.SYSTEM_SUSPEND, RAM, 0, 0, *WIDE)),
    *run("exit"),
)
# SCTLR_EL1 of a vCPU that was reset (arch/arm64/kvm/sys_regs.c), and its bit EE: data is big-endian.
SCTLR_RESET, SCTLR_EE = 0x00C5_0078, 1 << 25


def starts(name, sctlr):
    """Return the scenario: vCPU 0, with this SCTLR_EL1, starts vCPU 1, which calls PSCI_VERSION and stores."""
    return scenario(
        f"psci.cpu_on.{name}",
        *vm_with_vcpus(vcpus=2, off=(1,)),
        ioctls.set_one_reg(0, ARM64_SCTLR, sctlr),
        Entry("call", registers(psci.CPU_ON_64, 1, RAM, psci.VERSION)),
        *run("on"),
        *run("started", 1),
        ioctls.get_one_reg(1, ARM64_SCTLR, "sctlr"),
    )


CLAIMS = claims(
    ExitClaim(
        "psci.registers.suspend",
        "A 32-bit SYSTEM_SUSPEND leaves both halves of x4 to x15 as they were.",
        asks=SUSPENDS,
        gives=(*system_event(EventType.SUSPEND), *UNCHANGED),
        source=SMCCC.format("kvm_psci_narrow_to_32bit"),
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "psci.registers.suspend.x0",
        "A SYSTEM_SUSPEND whose x0 has an upper half is a call of the lower half, and leaves x0 as it was.",
        asks=SUSPENDS,
        gives=(*system_event(EventType.SUSPEND), RegisterHolds("x0", UPPER | Function.SYSTEM_SUSPEND)),
        source=SMCCC.format("kvm_psci_narrow_to_32bit"),
        needs=(CAP_SUSPEND,),
        level=Level.OBSERVED,
    ),
    ExitClaim(
        "psci.registers.reset2",
        "A 32-bit SYSTEM_RESET2 leaves both halves of x4 to x15 as they were.",
        asks=scenario(
            "psci.registers.reset2",
            *vm_with_vcpus(),
            Entry("call", (Function.SYSTEM_RESET2, 0, 0, 0, *WIDE)),
            *run("exit"),
        ),
        gives=(*system_event(EventType.RESET, ResetFlag.PSCI_RESET2), *UNCHANGED),
        source=SMCCC.format("kvm_psci_narrow_to_32bit"),
        needs=(RESET2,),
    ),
    *(
        ExitClaim(
            f"psci.cpu_on.{name}",
            f"A vCPU that a {words} vCPU starts with CPU_ON begins {words}.",
            asks=starts(name, sctlr),
            gives=(
                Exits(ExitReason.MMIO, "on"),
                RegisterHolds("x0", SUCCESS, "on"),
                Exits(ExitReason.MMIO, "started"),
                BufferHolds("sctlr", sctlr & SCTLR_EE, ioctls.ONE_REG_VALUE, 8, SCTLR_EE),
            ),
            source="Arm DEN0022, CPU_ON: the endianness of the caller; arch/arm64/kvm/psci.c, kvm_psci_vcpu_on",
        )
        for name, words, sctlr in (
            ("little_endian", "little-endian", SCTLR_RESET),
            ("big_endian", "big-endian", SCTLR_RESET | SCTLR_EE),
        )
    ),
)


@CLAIMS.each
def test_registers(check, claim):
    """A call changes the registers that it is about, and no others."""
    check(claim)
