"""Building blocks of riscv64 scenarios: harts that call SBI. Numbers are those of the RISC-V SBI specification.

The payload "call" (guests/payloads/riscv64/call.S) executes one ECALL with the registers that the VMM set. If the call
comes back, it stores to RETURNED_MMIO, where no memory is, which ends KVM_RUN with KVM_EXIT_MMIO; then it calls again.
A hart that another one starts at STARTED_AT stores there as well, and then calls SRST with what it found in a0 and a1.
"""

from __future__ import annotations

import functools

from sysevent.abi.capabilities import Capability
from sysevent.abi.mp_state import MpState
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
from sysevent.scenario import aia, ioctls
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.steps import (
    COUNTERS_AT,
    RAM_SIZE,
    SETTLE_MS,
    Entry,
    Load,
    Memory,
    Read,
    Scenario,
    Sleep,
    Start,
    Step,
    Vcpu,
    Vm,
    Wait,
    Watch,
    run,
    scenario_of,
)

RAM = 0x8000_0000
COUNTERS = RAM + COUNTERS_AT
# Of the payload "call": the instruction after the call, `started` and `wfi`.
RETURNED_AT = RAM + 4
STARTED_AT = RAM + 0x100
WFI = RAM + 0x180
# Milliseconds in which harts begin to sleep. Nothing shows that one does.
_ASLEEP_MS = 3
# Where payloads store to after their call has come back.
RETURNED_MMIO = 0x0A00_0000


def vm_with_vcpus(
    *,
    payload: str = "call",
    vcpus: int = 1,
    irqchip: str = "",
    memory_flags: int = 0,
    before_vcpus: tuple[Step, ...] = (),
) -> tuple[Step, ...]:
    """Return the steps that make a VM with the payload in its memory, and harts that can call their firmware.

    All harts but the first start as STOPPED (kvm_arch_vcpu_postcreate). irqchip: "" or aia.AIA. memory_flags are those
    of the memory slot. before_vcpus are steps that KVM only takes while the VM has no vCPU.
    """
    return (
        Vm(),
        Memory(RAM, RAM_SIZE, flags=memory_flags),
        Load(payload),
        *before_vcpus,
        *(Vcpu(number) for number in range(vcpus)),
        *aia.controller(irqchip, vcpus),
    )


def registers(
    a0: int, a1: int, *, a2: int = 0x5E02, function: int = 0, extension: int = SRST
) -> tuple[int, ...]:
    """Return a0 to a7 of a caller of an SBI function, which has two or three arguments.

    KVM must ignore the others: 0x5e00 + n.
    """
    return (a0, a1, a2, 0x5E03, 0x5E04, 0x5E05, function, extension)


# scenario(name, *steps) returns a scenario of riscv64. Its name is given without the architecture.
scenario = functools.partial(scenario_of, "riscv64")


def ecall(
    name: str,
    a0: int,
    a1: int,
    *,
    function: int = 0,
    extension: int = SRST,
    setup: tuple[Step, ...] = (),
    memory_flags: int = 0,
) -> Scenario:
    """Return a scenario in which hart 0 makes one SBI call; by default function 0 of SRST, with type a0 and reason a1.

    The exit "exit" is what KVM_RUN returned then, and the answer "mp_state" is the hart's MP state afterwards. setup
    runs between the hart's creation and the call. memory_flags are those of the memory slot.
    """
    return scenario(
        name,
        *vm_with_vcpus(memory_flags=memory_flags),
        *setup,
        Entry("call", registers(a0, a1, function=function, extension=extension)),
        *run("exit"),
        ioctls.get_mp_state(0, "mp_state"),
    )


def call(
    hart: int, a0: int, a1: int, label: str = "exit", *, milliseconds: int = 3000, **more: int
) -> tuple[Step, ...]:
    """Return the steps of the first SBI call of a hart, of which label is the exit. more: as for registers()."""
    return (Entry("call", registers(a0, a1, **more), hart), *run(label, hart, milliseconds=milliseconds))


def next_call(hart: int, a0: int, a1: int, label: str = "exit", **more: int) -> tuple[Step, ...]:
    """Return the steps of another SBI call of a hart whose last one came back.

    The payload loops, so only its argument registers are set. The PC must not be: KVM_RUN moves it past the store first
    (kvm_riscv_vcpu_mmio_return).
    """
    values = enumerate(registers(a0, a1, **more))
    return (
        *(ioctls.set_one_reg(hart, riscv64_a(number), value) for number, value in values),
        *run(label, hart),
    )


def others(where: Configuration) -> tuple[int, ...]:
    """Return the harts that do not make the call."""
    return tuple(hart for hart in range(where.vcpus) if hart != where.caller)


def call_among_peers(name: str, where: Configuration, a0: int, a1: int, **more: int) -> Scenario:
    """Return a scenario in which one hart of several makes an SBI call, and then every hart gets a reason to run.

    more: function and extension, as for registers(). The exit "exit" is the caller's. Its KVM_RUN is entered again,
    harts that sleep get an interrupt, and those that were never started are started. The exits "again", of the caller,
    and "peer n" are waited for a millisecond each. Counters are read "after the exit" and "later", and the answers
    "mp_state n" are the MP states of all harts at the end. Harts but hart 0 are created as STOPPED; userspace makes all
    of them RUNNABLE.
    """
    peers, caller = others(where), where.caller
    asleep = peers if where.peers is Peers.ASLEEP else ()
    unstarted = peers if where.peers is Peers.UNSTARTED else ()
    running = peers if where.peers is Peers.RUNNING else ()
    return scenario_of(
        "riscv64",
        where.title(name),
        *vm_with_vcpus(vcpus=where.vcpus, irqchip=where.irqchip),
        *(ioctls.set_mp_state(hart, MpState.RUNNABLE) for hart in range(1, where.vcpus)),
        *(Entry("call", (0, COUNTERS + 8 * hart), hart, "nap" if asleep else "spin") for hart in peers),
        *(Start(hart) for hart in (*running, *asleep)),
        *(Watch(COUNTERS + 8 * hart) for hart in running),
        *((Sleep(_ASLEEP_MS),) if asleep else ()),
        Entry("call", registers(a0, a1, **more), caller),
        *run("exit", caller),
        Read(COUNTERS, 8 * where.vcpus, "after the exit"),
        *(aia.interrupt(hart) for hart in asleep),
        *(Start(hart) for hart in (*unstarted, caller)),
        Sleep(SETTLE_MS),
        Read(COUNTERS, 8 * where.vcpus, "later"),
        Wait("again", caller, 1),
        *(Wait(f"peer {hart}", hart, 1) for hart in peers),
        *(ioctls.get_mp_state(hart, f"mp_state {hart}") for hart in range(where.vcpus)),
        configuration=where,
    )


def enable(extension: int, on: int, label: str = "", *, hart: int = 0) -> Step:
    """Return the step that turns an SBI extension of a hart on (1) or off (0).

    KVM allows it only before the hart's first KVM_RUN. With a label a refusal is an answer.
    """
    return ioctls.set_one_reg(hart, riscv64_sbi(extension), on, label)


# The capability, the interrupt controller, which SBI extensions can be turned on and off, and which of them
# probe_extension finds.
FACTS = scenario(
    "facts",
    *vm_with_vcpus(),
    *(
        ioctls.check_extension(fd, capability)
        for capability in (Capability.SYSTEM_EVENT_DATA, Capability.RISCV_MP_STATE_RESET)
        for fd in ("system", "vm")
    ),
    *(
        ioctls.get_one_reg(0, riscv64_sbi(number), f"sbi.enable.{name}")
        for name, number in (("v01", EXT_V01), ("srst", EXT_SRST), ("susp", EXT_SUSP))
    ),
    aia.exists(),
    Entry("call", registers(LEGACY_SHUTDOWN, 0, function=PROBE_EXTENSION, extension=BASE)),
    *run("sbi.probe.legacy_shutdown"),
    # The payload loops, so only the argument registers are set.
    ioctls.set_one_reg(0, riscv64_a(0), SRST),
    ioctls.set_one_reg(0, riscv64_a(1), 0),
    *run("sbi.probe.srst"),
)
