"""Scenarios for riscv64: SBI calls of a guest. Numbers are the RISC-V SBI specification's."""

from __future__ import annotations

from sysevent.abi import sbi
from sysevent.abi.capabilities import Capability
from sysevent.abi.registers import riscv64_a, riscv64_sbi
from sysevent.abi.sbi import (
    BASE,
    COLD_REBOOT,
    EXT_SRST,
    EXT_SUSP,
    EXT_V01,
    LEGACY_SHUTDOWN,
    PROBE_EXTENSION,
    SHUTDOWN,
    SRST,
    SUSP,
    WARM_REBOOT,
)
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, Load, Memory, Scenario, Step, Vcpu, Vm, run

# The last is any of the vendors'.
REASONS = (sbi.NO_REASON, sbi.SYSTEM_FAILURE, sbi.VENDOR_REASON, 0xDEAD_BEEF)
TYPES = {"shutdown": SHUTDOWN, "cold_reboot": COLD_REBOOT, "warm_reboot": WARM_REBOOT}

RAM = 0x8000_0000
RAM_SIZE = 0x1_0000
COUNTERS = RAM + 0x8000  # a peer's is at 8 times its number
RETURNED = 0x0A00_0000  # where payloads store to when the call comes back


def machine(*, payload: str = "call", vcpus: int = 1) -> tuple[Step, ...]:
    """Harts that can call their firmware. All but the first start stopped (kvm_arch_vcpu_postcreate)."""
    return (Vm(), Memory(RAM, RAM_SIZE), Load(payload), *(Vcpu(number) for number in range(vcpus)))


def registers(a0: int, a1: int, *, function: int = 0, extension: int = SRST) -> tuple[int, ...]:
    """a0 to a7 of a caller: what is no argument holds a value that nobody may touch or care for."""
    return (a0, a1, 0x5E02, 0x5E03, 0x5E04, 0x5E05, function, extension)


def ecall(
    name: str, a0: int, a1: int, *, function: int = 0, extension: int = SRST, setup: tuple[Step, ...] = ()
) -> Scenario:
    """One SBI call on one hart; what it leads to is the exit "exit"."""
    return Scenario(
        f"riscv64.{name}",
        "riscv64",
        (
            *machine(),
            *setup,
            Entry("call", registers(a0, a1, function=function, extension=extension)),
            *run("exit"),
            ioctls.get_mp_state(0, "mp_state"),
        ),
    )


def enable(extension: int, on: int, label: str = "") -> Step:
    """Turn an SBI extension of a hart on or off, which only works before its first KVM_RUN."""
    return ioctls.set_one_reg(0, riscv64_sbi(extension), on, label)


FACTS = Scenario(
    "riscv64.facts",
    "riscv64",
    (
        *machine(),
        *(ioctls.check_extension(fd, Capability.SYSTEM_EVENT_DATA) for fd in ("system", "vm")),
        *(
            ioctls.get_one_reg(0, riscv64_sbi(number), f"sbi.enable.{name}")
            for name, number in (("v01", EXT_V01), ("srst", EXT_SRST), ("susp", EXT_SUSP))
        ),
        Entry("call", registers(LEGACY_SHUTDOWN, 0, function=PROBE_EXTENSION, extension=BASE)),
        *run("sbi.probe.legacy_shutdown"),
        # The payload loops; only what is asked for changes.
        ioctls.set_one_reg(0, riscv64_a(0), SRST),
        ioctls.set_one_reg(0, riscv64_a(1), 0),
        *run("sbi.probe.srst"),
    ),
)

SCENARIOS = (
    *(
        ecall(f"srst.{name}.{reason:#x}", number, reason)
        for name, number in TYPES.items()
        for reason in REASONS
    ),
    ecall("srst.upper.reason", SHUTDOWN, 0xFFFF_FFFF_0000_0001),
    ecall("srst.upper.type", 0x1_0000_0000 | COLD_REBOOT, 1),
    ecall("srst.reserved", 3, 0),
    ecall("srst.vendor_type", sbi.VENDOR_TYPE, 0),
    ecall("srst.function", SHUTDOWN, 0, function=1),
    ecall("srst.disabled", SHUTDOWN, 0, setup=(enable(EXT_SRST, 0),)),
    ecall("legacy.shutdown", 0x1234, 0x5678, extension=LEGACY_SHUTDOWN),
    ecall("susp.disabled", 0, RAM, extension=SUSP),
    ecall("susp.enabled", 0, RAM, extension=SUSP, setup=(enable(EXT_SUSP, 1),)),
    ecall("susp.reserved", 1, RAM, extension=SUSP, setup=(enable(EXT_SUSP, 1),)),
    Scenario(
        "riscv64.srst.register",
        "riscv64",
        (
            *machine(),
            enable(EXT_SRST, 2, "two"),
            Entry("call", registers(SHUTDOWN, 0)),
            *run("exit"),
            enable(EXT_SRST, 0, "after KVM_RUN"),
        ),
    ),
)
