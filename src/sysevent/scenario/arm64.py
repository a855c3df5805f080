"""Building blocks of arm64 scenarios: vCPUs that call PSCI. Function IDs are those of Arm DEN0022.

The payload "call" (guests/payloads/arm64/call.S) executes one HVC with the registers that the VMM set. If the call
comes back, it stores to RETURNED_MMIO, where no memory is, which ends KVM_RUN with KVM_EXIT_MMIO; then it calls again.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Container

from sysevent.abi import psci
from sysevent.abi.arm64 import (
    TARGET_GENERIC_V8,
    VCPU_POWER_OFF,
    VCPU_PSCI_0_2,
    VM_SMCCC_CTRL,
    VM_SMCCC_FILTER,
)
from sysevent.abi.capabilities import Capability
from sysevent.abi.debug import GUESTDBG_ENABLE, GUESTDBG_USE_SW_BP
from sysevent.abi.ioctls import Request
from sysevent.abi.registers import ARM64_PSCI_VERSION, arm64_x
from sysevent.scenario import gic, ioctls
from sysevent.scenario.steps import (
    COUNTERS_AT,
    RAM_SIZE,
    Entry,
    Ioctl,
    Load,
    Memory,
    Scenario,
    Step,
    Vcpu,
    Vm,
    run,
    scenario_of,
)

RAM = 0x4000_0000
COUNTERS = RAM + COUNTERS_AT
# Of the payload "call": `wfi`.
WFI = RAM + 0x100
# Where payloads store to after their call has come back.
RETURNED_MMIO = 0x0A00_0000

# The second argument of SYSTEM_RESET2: a lost half would show.
COOKIE = 0xC00C_1E00_C00C_1E55
# The second argument of SYSTEM_SUSPEND, which a resumed guest finds in x0.
CONTEXT = 0xC0DE


def psci_version(major: int, minor: int) -> Ioctl:
    """Return the step that selects a PSCI version for the VM, through vCPU 0 (KVM_REG_ARM_PSCI_VERSION)."""
    return ioctls.set_one_reg(0, ARM64_PSCI_VERSION, psci.version(major, minor))


def smccc_filter(function: int, action: int, functions: int = 1) -> Ioctl:
    """Return the step that sets the filter of SMCCC functions: VM attribute KVM_ARM_VM_SMCCC_FILTER, since v6.4.

    function: the first one of so many. The action is SMCCC_FILTER_DENY or SMCCC_FILTER_FWD_TO_USER.
    """
    # struct kvm_smccc_filter: base, nr_functions, action, padding.
    smccc = struct.pack("<IIB15x", function, functions, action)
    return gic.attribute("vm", VM_SMCCC_CTRL, VM_SMCCC_FILTER, smccc)


def vm_with_vcpus(
    *,
    features: int = VCPU_PSCI_0_2,
    payload: str = "call",
    vcpus: int = 1,
    off: Container[int] = (),
    irqchip: str = "",
    memory_flags: int = 0,
    before_vcpus: tuple[Step, ...] = (),
) -> tuple[Step, ...]:
    """Return the steps that make a VM with the payload in its memory, and vCPUs that can call their firmware.

    The features are the first word of kvm_vcpu_init.features, for all vCPUs; 0 leaves PSCI 0.1. off are the vCPUs that
    are created as STOPPED. irqchip is the interrupt controller, a key of GICS in scenario/gic.py, or "".
    memory_flags are KVM_MEM_*. before_vcpus are steps that KVM only takes while the VM has no vCPU.
    """
    return (
        Vm(),
        Memory(RAM, RAM_SIZE, flags=memory_flags),
        Load(payload),
        *before_vcpus,
        *(Vcpu(number, (features | (VCPU_POWER_OFF if number in off else 0),)) for number in range(vcpus)),
        *gic.controller(irqchip),
    )


def vcpu_init(*, off: bool = False, features: int = VCPU_PSCI_0_2) -> bytes:
    """Return the struct kvm_vcpu_init, target and features, of the vCPUs of vm_with_vcpus(); off: as STOPPED."""
    features |= VCPU_POWER_OFF if off else 0
    return struct.pack("<8I", TARGET_GENERIC_V8, features, 0, 0, 0, 0, 0, 0)


def registers(fid: int, *arguments: int) -> tuple[int, ...]:
    """Return x0 to x15 of a caller: the function ID, the arguments, and 0x5e00 + n in every other register xn.

    KVM must ignore the other registers, and keep those that the SMC Calling Convention preserves.
    """
    return (fid, *arguments, *(0x5E00 + n for n in range(len(arguments) + 1, 16)))


# scenario(name, *steps) returns a scenario of arm64. Its name is given without the architecture.
scenario = functools.partial(scenario_of, "arm64")


def call(
    name: str,
    fid: int,
    *arguments: int,
    setup: tuple[Step, ...] = (),
    features: int = VCPU_PSCI_0_2,
    payload: str = "call",
    symbol: str = "",
    before_vcpus: tuple[Step, ...] = (),
) -> Scenario:
    """Return a scenario in which vCPU 0 makes one firmware call.

    The exit "exit" is what KVM_RUN returned then, and the answer "mp_state" is the vCPU's MP state afterwards. setup
    runs between the vCPU's creation and the call; symbol is the label of the payload where the vCPU starts ("": at its
    HVC). For features and before_vcpus see vm_with_vcpus().
    """
    return scenario(
        name,
        *vm_with_vcpus(features=features, payload=payload, before_vcpus=before_vcpus),
        *setup,
        Entry(payload, registers(fid, *arguments), symbol=symbol),
        *run("exit"),
        ioctls.get_mp_state(0, "mp_state"),
    )


def call_again(label: str, fid: int, *arguments: int, milliseconds: int = 1000) -> tuple[Step, ...]:
    """Return the steps of another call by vCPU 0, whose last call has come back: its exit is recorded as label.

    The payload loops, so only the argument registers are set. After that time a signal ends KVM_RUN.
    """
    changed = (
        ioctls.set_one_reg(0, arm64_x(number), value) for number, value in enumerate((fid, *arguments))
    )
    return (*changed, *run(label, milliseconds=milliseconds))


ENABLE_SUSPEND = ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND)
# KVM_SET_GUEST_DEBUG: software breakpoints exit to userspace; no hardware breakpoints.
_DEBUG = Ioctl(
    0, Request.SET_GUEST_DEBUG_ARM64, buffer=struct.pack("<II512x", GUESTDBG_ENABLE | GUESTDBG_USE_SW_BP, 0)
)
# KVM_IRQ_LINE of vCPU 0, without an in-kernel interrupt controller.
IRQ_ON, IRQ_OFF = (gic.set_line("", 0, level) for level in (1, 0))

# The capabilities, the default PSCI version, and what PSCI_FEATURES returns for each function.
FACTS = scenario(
    "facts",
    *vm_with_vcpus(),
    *(
        ioctls.check_extension(fd, capability)
        for capability in (
            Capability.SYSTEM_EVENT_DATA,
            Capability.ARM_SYSTEM_SUSPEND,
            Capability.ARM_EL1_32BIT,
            Capability.ARM_PMU_V3,
            Capability.ARM_SVE,
            Capability.ARM_PTRAUTH_ADDRESS,
            Capability.STEAL_TIME,
            Capability.ARM_NISV_TO_USER,
            Capability.DIRTY_LOG_RING_ACQ_REL,
            Capability.ARM_EL2,
            Capability.ARM_MTE,
            Capability.COUNTER_OFFSET,
        )
        for fd in ("system", "vm")
    ),
    Ioctl(
        "vm",
        Request.HAS_DEVICE_ATTR,
        buffer=struct.pack(gic.DEVICE_ATTR, 0, VM_SMCCC_CTRL, VM_SMCCC_FILTER, 0),
        label="smccc.filter",
    ),
    *(gic.exists(irqchip) for irqchip in gic.GICS),
    ioctls.get_one_reg(0, ARM64_PSCI_VERSION, "psci.default"),
    Entry("call", (psci.VERSION,)),
    *run("psci.version"),
    *(step for function in psci.Function for step in call_again(function.fact, psci.FEATURES, function)),
)

# Whether SMC reaches PSCI, as HVC does. A scenario of its own: a kernel that injects an exception instead still gets
# all other facts.
SMC = scenario(
    "smc.version",
    *vm_with_vcpus(),
    Entry("call", registers(psci.VERSION), symbol="smc"),
    *run("smc.version"),
)

# A software breakpoint, then PSCI SYSTEM_OFF. Also a fact: whether hsr_high of the breakpoint's exit is valid.
DEBUG = scenario(
    "debug.break",
    *vm_with_vcpus(),
    _DEBUG,
    Entry("call", registers(psci.Function.SYSTEM_OFF), symbol="break_first"),
    *run("debug"),
    Entry("call", registers(psci.Function.SYSTEM_OFF), symbol="break_passed"),
    *run("exit"),
)
