"""What scenarios of arm64 are made of: vCPUs that call PSCI. Function ids are those of Arm DEN0022."""

from __future__ import annotations

import struct

from sysevent.abi import psci
from sysevent.abi.arm64 import VCPU_PSCI_0_2
from sysevent.abi.capabilities import Capability
from sysevent.abi.debug import GUESTDBG_ENABLE, GUESTDBG_USE_SW_BP
from sysevent.abi.ioctls import Request
from sysevent.abi.registers import ARM64_PSCI_VERSION, arm64_x
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, Ioctl, Load, Memory, Scenario, Step, Vcpu, Vm, run

RAM = 0x4000_0000
RAM_SIZE = 0x1_0000  # a multiple of every page size
COUNTERS = RAM + 0x8000  # a peer's is at 8 times its number
RETURNED_MMIO = 0x0A00_0000  # where payloads store to when the call comes back

COOKIE = 0xC00C_1E00_C00C_1E55

_DEVICE_ATTR = "<IIQQ"  # struct kvm_device_attr: flags, group, attr, address


def psci_version(major: int, minor: int) -> Ioctl:
    """Select a PSCI version for the VM through one of its vCPUs."""
    return ioctls.set_one_reg(0, ARM64_PSCI_VERSION, psci.version(major, minor))


def smccc_filter(function: int, action: int) -> Ioctl:
    """Deny one SMCCC function or forward it to userspace; VM attribute KVM_ARM_VM_SMCCC_FILTER, since v6.4."""
    attribute = struct.pack(_DEVICE_ATTR, 0, 0, 0, 0)
    smccc = struct.pack("<IIB15x", function, 1, action)
    return Ioctl("vm", Request.SET_DEVICE_ATTR, buffer=attribute + smccc, pointer=(16, len(attribute)))


def vm_with_vcpus(
    *,
    features: int = VCPU_PSCI_0_2,
    payload: str = "call",
    vcpus: int = 1,
    before_vcpus: tuple[Step, ...] = (),
) -> tuple[Step, ...]:
    """vCPUs that can call their firmware."""
    return (
        Vm(),
        Memory(RAM, RAM_SIZE),
        Load(payload),
        *before_vcpus,
        *(Vcpu(number, (features,)) for number in range(vcpus)),
    )


def registers(fid: int, *arguments: int) -> tuple[int, ...]:
    """x0 to x15 of a caller: what is no argument holds a value that nobody may touch or care for."""
    return (fid, *arguments, *(0x5E00 + n for n in range(len(arguments) + 1, 16)))


def scenario(name: str, *steps: Step) -> Scenario:
    """A scenario of arm64 by its name without the architecture."""
    return Scenario(f"arm64.{name}", "arm64", steps)


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
    """One firmware call on one vCPU; what it leads to is the exit "exit"."""
    return scenario(
        name,
        *vm_with_vcpus(features=features, payload=payload, before_vcpus=before_vcpus),
        *setup,
        Entry(payload, registers(fid, *arguments), symbol=symbol),
        *run("exit"),
        ioctls.get_mp_state(0, "mp_state"),
    )


def call_again(label: str, fid: int, *arguments: int) -> tuple[Step, ...]:
    """Another call of a vCPU whose last one has come back; the payload loops, so registers are all that changes."""
    changed = (
        ioctls.set_one_reg(0, arm64_x(number), value) for number, value in enumerate((fid, *arguments))
    )
    return (*changed, *run(label))


ENABLE_SUSPEND = ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND)
# No hardware breakpoints.
_DEBUG = Ioctl(
    0, Request.SET_GUEST_DEBUG_ARM64, buffer=struct.pack("<II512x", GUESTDBG_ENABLE | GUESTDBG_USE_SW_BP, 0)
)
# A vCPU's IRQ line without an in-kernel interrupt controller: KVM_ARM_IRQ_TYPE_CPU, vCPU 0, KVM_ARM_IRQ_CPU_IRQ.
IRQ_ON = Ioctl("vm", Request.IRQ_LINE, buffer=struct.pack("<II", 0, 1))
IRQ_OFF = Ioctl("vm", Request.IRQ_LINE, buffer=struct.pack("<II", 0, 0))

FACTS = Scenario(
    "arm64.facts",
    "arm64",
    (
        *vm_with_vcpus(),
        *(
            ioctls.check_extension(fd, capability)
            for capability in (
                Capability.SYSTEM_EVENT_DATA,
                Capability.ARM_SYSTEM_SUSPEND,
                Capability.ARM_EL1_32BIT,
            )
            for fd in ("system", "vm")
        ),
        Ioctl(
            "vm",
            Request.HAS_DEVICE_ATTR,
            buffer=struct.pack(_DEVICE_ATTR, 0, 0, 0, 0),
            label="smccc.filter",
        ),
        ioctls.get_one_reg(0, ARM64_PSCI_VERSION, "psci.default"),
        Entry("call", (psci.VERSION,)),
        *run("psci.version"),
        *(step for function in psci.Function for step in call_again(function.fact, psci.FEATURES, function)),
    ),
)

# Does SMC reach PSCI, as HVC does? Asked apart, so that a kernel that injects an exception loses nothing else.
SMC = Scenario(
    "arm64.smc.version",
    "arm64",
    (*vm_with_vcpus(), Entry("call", registers(psci.VERSION), symbol="smc"), *run("smc.version")),
)

# A software breakpoint, then PSCI SYSTEM_OFF. Whether its exit is valid as a whole is a fact, too.
DEBUG = scenario(
    "debug.break",
    *vm_with_vcpus(),
    _DEBUG,
    Entry("call", registers(psci.Function.SYSTEM_OFF), symbol="break_first"),
    *run("debug"),
    Entry("call", registers(psci.Function.SYSTEM_OFF), symbol="break_passed"),
    *run("exit"),
)
