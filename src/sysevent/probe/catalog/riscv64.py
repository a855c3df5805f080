"""Scenarios for riscv64: SBI calls of a guest. Numbers are the RISC-V SBI specification's."""

from __future__ import annotations

from sysevent.probe import ioctls
from sysevent.probe.scenario import Entry, Load, Memory, Scenario, Step, Vcpu, Vm, run

SRST = 0x5352_5354  # "SRST", the system reset extension
SHUTDOWN = 0
COLD_REBOOT = 1
WARM_REBOOT = 2
REASONS = (0, 1, 0xE000_0000, 0xDEAD_BEEF)  # none, system failure, first vendor-specific, any

RAM = 0x8000_0000
RAM_SIZE = 0x1_0000
RETURNED = 0x0A00_0000  # where payloads store to when the call comes back


def machine(*, payload: str = "call") -> tuple[Step, ...]:
    """One hart that can call its firmware."""
    return (Vm(), Memory(RAM, RAM_SIZE), Load(payload), Vcpu(0))


def ecall(name: str, a0: int, a1: int, *, function: int = 0, extension: int = SRST) -> Scenario:
    """One SBI call on one hart; what it leads to is the exit "exit"."""
    registers = (a0, a1, 0x5E02, 0x5E03, 0x5E04, 0x5E05, function, extension)
    return Scenario(
        name,
        "riscv64",
        (*machine(), Entry("call", registers), *run("exit"), ioctls.get_mp_state(0, "mp_state")),
    )


FACTS = Scenario(
    "riscv64.facts",
    "riscv64",
    (Vm(), *(ioctls.check_extension(fd, ioctls.CAP_SYSTEM_EVENT_DATA) for fd in ("system", "vm"))),
)

TYPES = {"shutdown": SHUTDOWN, "cold_reboot": COLD_REBOOT, "warm_reboot": WARM_REBOOT}

SCENARIOS = (
    *(
        ecall(f"riscv64.srst.{name}.{reason:#x}", number, reason)
        for name, number in TYPES.items()
        for reason in REASONS
    ),
    ecall("riscv64.srst.reserved", 3, 0),
)
