"""Building blocks of riscv64 scenarios: harts that call SBI. Numbers are those of the RISC-V SBI specification.

The payload "call" (guests/payloads/riscv64/call.S) executes one ECALL with the registers that the VMM set. If the call
comes back, it stores to RETURNED_MMIO, where no memory is, which ends KVM_RUN with KVM_EXIT_MMIO; then it calls again.
"""

from __future__ import annotations

import functools

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
from sysevent.scenario.steps import (
    COUNTERS_AT,
    RAM_SIZE,
    Entry,
    Load,
    Memory,
    Scenario,
    Step,
    Vcpu,
    Vm,
    run,
    scenario_of,
)

RAM = 0x8000_0000
COUNTERS = RAM + COUNTERS_AT
# Where payloads store to after their call has come back.
RETURNED_MMIO = 0x0A00_0000


def vm_with_vcpus(*, payload: str = "call", vcpus: int = 1) -> tuple[Step, ...]:
    """Return the steps that make a VM with the payload in its memory, and harts that can call their firmware.

    All harts but the first start as STOPPED (kvm_arch_vcpu_postcreate).
    """
    return (Vm(), Memory(RAM, RAM_SIZE), Load(payload), *(Vcpu(number) for number in range(vcpus)))


def registers(a0: int, a1: int, *, function: int = 0, extension: int = SRST) -> tuple[int, ...]:
    """Return a0 to a7 of a caller of an SBI function, which has two arguments. KVM must ignore a2 to a5: 0x5e00 + n."""
    return (a0, a1, 0x5E02, 0x5E03, 0x5E04, 0x5E05, function, extension)


# scenario(name, *steps) returns a scenario of riscv64. Its name is given without the architecture.
scenario = functools.partial(scenario_of, "riscv64")


def ecall(
    name: str, a0: int, a1: int, *, function: int = 0, extension: int = SRST, setup: tuple[Step, ...] = ()
) -> Scenario:
    """Return a scenario in which hart 0 makes one SBI call; by default function 0 of SRST, with type a0 and reason a1.

    The exit "exit" is what KVM_RUN returned then, and the answer "mp_state" is the hart's MP state afterwards. setup
    runs between the hart's creation and the call.
    """
    return scenario(
        name,
        *vm_with_vcpus(),
        *setup,
        Entry("call", registers(a0, a1, function=function, extension=extension)),
        *run("exit"),
        ioctls.get_mp_state(0, "mp_state"),
    )


def enable(extension: int, on: int, label: str = "") -> Step:
    """Return the step that turns an SBI extension of hart 0 on (1) or off (0).

    KVM allows it only before the hart's first KVM_RUN. With a label a refusal is an answer.
    """
    return ioctls.set_one_reg(0, riscv64_sbi(extension), on, label)


# The capability, which SBI extensions can be turned on and off, and which ones probe_extension finds.
FACTS = scenario(
    "facts",
    *vm_with_vcpus(),
    *(ioctls.check_extension(fd, Capability.SYSTEM_EVENT_DATA) for fd in ("system", "vm")),
    *(
        ioctls.get_one_reg(0, riscv64_sbi(number), f"sbi.enable.{name}")
        for name, number in (("v01", EXT_V01), ("srst", EXT_SRST), ("susp", EXT_SUSP))
    ),
    Entry("call", registers(LEGACY_SHUTDOWN, 0, function=PROBE_EXTENSION, extension=BASE)),
    *run("sbi.probe.legacy_shutdown"),
    # The payload loops, so only the argument registers are set.
    ioctls.set_one_reg(0, riscv64_a(0), SRST),
    ioctls.set_one_reg(0, riscv64_a(1), 0),
    *run("sbi.probe.srst"),
)
