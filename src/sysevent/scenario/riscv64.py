"""What scenarios of riscv64 are made of: harts that call SBI. Numbers are the RISC-V SBI specification's."""

from __future__ import annotations

from sysevent.abi.capabilities import Capability
from sysevent.abi.registers import riscv64_a, riscv64_sbi
from sysevent.abi.sbi import (
    BASE,
    EXT_SRST,
    EXT_SUSP,
    EXT_V01,
    LEGACY_SHUTDOWN,
    PROBE_EXTENSION,
    SRST,
)
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, Load, Memory, Scenario, Step, Vcpu, Vm, run

RAM = 0x8000_0000
RAM_SIZE = 0x1_0000
COUNTERS = RAM + 0x8000  # a peer's is at 8 times its number
RETURNED_MMIO = 0x0A00_0000  # where payloads store to when the call comes back


def vm_with_vcpus(*, payload: str = "call", vcpus: int = 1) -> tuple[Step, ...]:
    """Harts that can call their firmware. All but the first start stopped (kvm_arch_vcpu_postcreate)."""
    return (Vm(), Memory(RAM, RAM_SIZE), Load(payload), *(Vcpu(number) for number in range(vcpus)))


def registers(a0: int, a1: int, *, function: int = 0, extension: int = SRST) -> tuple[int, ...]:
    """a0 to a7 of a caller: what is no argument holds a value that nobody may touch or care for."""
    return (a0, a1, 0x5E02, 0x5E03, 0x5E04, 0x5E05, function, extension)


def scenario(name: str, *steps: Step) -> Scenario:
    """A scenario of riscv64 by its name without the architecture."""
    return Scenario(f"riscv64.{name}", "riscv64", steps)


def ecall(
    name: str, a0: int, a1: int, *, function: int = 0, extension: int = SRST, setup: tuple[Step, ...] = ()
) -> Scenario:
    """One SBI call on one hart; what it leads to is the exit "exit"."""
    return scenario(
        name,
        *vm_with_vcpus(),
        *setup,
        Entry("call", registers(a0, a1, function=function, extension=extension)),
        *run("exit"),
        ioctls.get_mp_state(0, "mp_state"),
    )


def enable(extension: int, on: int, label: str = "") -> Step:
    """Turn an SBI extension of a hart on or off, which only works before its first KVM_RUN."""
    return ioctls.set_one_reg(0, riscv64_sbi(extension), on, label)


FACTS = Scenario(
    "riscv64.facts",
    "riscv64",
    (
        *vm_with_vcpus(),
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
