"""What scenarios of arm64 are made of: vCPUs that call PSCI. Function ids are those of Arm DEN0022."""

from __future__ import annotations

import struct

from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, Ioctl, Load, Memory, Scenario, Step, Vcpu, Vm, run

PSCI_VERSION = 0x8400_0000
PSCI_FEATURES = 0x8400_000A
SYSTEM_OFF = 0x8400_0008
SYSTEM_RESET = 0x8400_0009
SYSTEM_RESET2 = 0x8400_0012
SYSTEM_RESET2_64 = 0xC400_0012
SYSTEM_OFF2 = 0x8400_0015
SYSTEM_OFF2_64 = 0xC400_0015
SYSTEM_SUSPEND = 0x8400_000E
SYSTEM_SUSPEND_64 = 0xC400_000E

RAM = 0x4000_0000
RAM_SIZE = 0x1_0000  # a multiple of every page size
COUNTERS = RAM + 0x8000  # a peer's is at 8 times its number
RETURNED = 0x0A00_0000  # where payloads store to when the call comes back

# KVM_ARM_VCPU_*: bits of kvm_vcpu_init.features[0]
POWER_OFF = 1 << 0
EL1_32BIT = 1 << 1
PSCI_0_2 = 1 << 2  # without it, PSCI 0.1
REG_PSCI_VERSION = 0x6030_0000_0014_0000  # KVM_REG_ARM_PSCI_VERSION
CAP_ARM_EL1_32BIT = 93

COOKIE = 0xC00C_1E00_C00C_1E55
VENDOR = 0x8000_0000  # the first vendor-specific reset type
VENDOR_HIGH = 0xFFFF_FFFF

_DEVICE_ATTR = "<IIQQ"  # struct kvm_device_attr: flags, group, attr, address
SMCCC_DENY, SMCCC_FORWARD = 1, 2


def x(number: int) -> int:
    """The KVM_*_ONE_REG id of general register x<number>."""
    return 0x6030_0000_0010_0000 | 2 * number


def psci_version(major: int, minor: int) -> Ioctl:
    """Select a PSCI version for the VM through one of its vCPUs."""
    return ioctls.set_one_reg(0, REG_PSCI_VERSION, major << 16 | minor)


def smccc_filter(function: int, action: int) -> Ioctl:
    """Deny one SMCCC function or forward it to userspace; VM attribute KVM_ARM_VM_SMCCC_FILTER, since v6.4."""
    attribute = struct.pack(_DEVICE_ATTR, 0, 0, 0, 0)
    smccc = struct.pack("<IIB15x", function, 1, action)
    return Ioctl("vm", ioctls.SET_DEVICE_ATTR, buffer=attribute + smccc, pointer=(16, len(attribute)))


def machine(
    *, features: int = PSCI_0_2, payload: str = "call", vcpus: int = 1, before_vcpus: tuple[Step, ...] = ()
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
    features: int = PSCI_0_2,
    payload: str = "call",
    symbol: str = "",
    before_vcpus: tuple[Step, ...] = (),
) -> Scenario:
    """One firmware call on one vCPU; what it leads to is the exit "exit"."""
    return scenario(
        name,
        *machine(features=features, payload=payload, before_vcpus=before_vcpus),
        *setup,
        Entry(payload, registers(fid, *arguments), symbol=symbol),
        *run("exit"),
        ioctls.get_mp_state(0, "mp_state"),
    )


def ask(label: str, fid: int, *arguments: int) -> tuple[Step, ...]:
    """Another call of a vCPU whose last one has come back; the payload loops, so registers are all that changes."""
    changed = (ioctls.set_one_reg(0, x(number), value) for number, value in enumerate((fid, *arguments)))
    return (*changed, *run(label))


ENABLE_SUSPEND = ioctls.enable_cap("vm", ioctls.CAP_ARM_SYSTEM_SUSPEND)
# control KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP, no hardware breakpoints
_DEBUG = Ioctl(0, ioctls.SET_GUEST_DEBUG_ARM64, buffer=struct.pack("<II512x", 0x1_0001, 0))
# A vCPU's IRQ line without an in-kernel interrupt controller: KVM_ARM_IRQ_TYPE_CPU, vCPU 0, KVM_ARM_IRQ_CPU_IRQ.
IRQ_ON = Ioctl("vm", ioctls.IRQ_LINE, buffer=struct.pack("<II", 0, 1))
IRQ_OFF = Ioctl("vm", ioctls.IRQ_LINE, buffer=struct.pack("<II", 0, 0))

_ASKED_FEATURES = (
    *(SYSTEM_OFF, SYSTEM_RESET, SYSTEM_RESET2, SYSTEM_RESET2_64),
    *(SYSTEM_OFF2, SYSTEM_OFF2_64, SYSTEM_SUSPEND, SYSTEM_SUSPEND_64),
)

FACTS = Scenario(
    "arm64.facts",
    "arm64",
    (
        *machine(),
        *(
            ioctls.check_extension(fd, capability)
            for capability in (ioctls.CAP_SYSTEM_EVENT_DATA, ioctls.CAP_ARM_SYSTEM_SUSPEND, CAP_ARM_EL1_32BIT)
            for fd in ("system", "vm")
        ),
        Ioctl(
            "vm",
            ioctls.HAS_DEVICE_ATTR,
            buffer=struct.pack(_DEVICE_ATTR, 0, 0, 0, 0),
            label="smccc.filter",
        ),
        ioctls.get_one_reg(0, REG_PSCI_VERSION, "psci.default"),
        Entry("call", (PSCI_VERSION,)),
        *run("psci.version"),
        *(step for fid in _ASKED_FEATURES for step in ask(f"psci.features.{fid:#x}", PSCI_FEATURES, fid)),
    ),
)

# Does SMC reach PSCI, as HVC does? Asked apart, so that a kernel that injects an exception loses nothing else.
SMC = Scenario(
    "arm64.smc.version",
    "arm64",
    (*machine(), Entry("call", registers(PSCI_VERSION), symbol="smc"), *run("smc.version")),
)

# A software breakpoint, then PSCI SYSTEM_OFF. Whether its exit is valid as a whole is a fact, too.
DEBUG = scenario(
    "debug.break",
    *machine(),
    _DEBUG,
    Entry("call", registers(SYSTEM_OFF), symbol="break_first"),
    *run("debug"),
    Entry("call", registers(SYSTEM_OFF), symbol="break_passed"),
    *run("exit"),
)
