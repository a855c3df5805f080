"""Scenarios for arm64: PSCI calls of a guest. Function ids are the Arm PSCI specification's (DEN0022)."""

from __future__ import annotations

import struct

from sysevent.abi import psci
from sysevent.abi.arm64 import SMCCC_FILTER_DENY, SMCCC_FILTER_FWD_TO_USER, VCPU_EL1_32BIT, VCPU_PSCI_0_2
from sysevent.abi.capabilities import Capability
from sysevent.abi.ioctls import Request
from sysevent.abi.registers import ARM64_PSCI_VERSION, arm64_x
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, Ioctl, Load, Memory, Open, Scenario, Step, Vcpu, Vm, run

PSCI_VERSION = psci.VERSION
PSCI_FEATURES = psci.FEATURES
SYSTEM_OFF = psci.Function.SYSTEM_OFF
SYSTEM_RESET = psci.Function.SYSTEM_RESET
SYSTEM_RESET2 = psci.Function.SYSTEM_RESET2
SYSTEM_RESET2_64 = psci.Function.SYSTEM_RESET2_64
SYSTEM_OFF2 = psci.Function.SYSTEM_OFF2
SYSTEM_OFF2_64 = psci.Function.SYSTEM_OFF2_64
SYSTEM_SUSPEND = psci.Function.SYSTEM_SUSPEND
SYSTEM_SUSPEND_64 = psci.Function.SYSTEM_SUSPEND_64

RAM = 0x4000_0000
RAM_SIZE = 0x1_0000  # a multiple of every page size
COUNTERS = RAM + 0x8000  # a peer's is at 8 times its number
RETURNED = 0x0A00_0000  # where payloads store to when the call comes back

COOKIE = 0xC00C_1E00_C00C_1E55
VENDOR = psci.RESET2_VENDOR_FIRST
VENDOR_HIGH = psci.RESET2_VENDOR_LAST

_DEVICE_ATTR = "<IIQQ"  # struct kvm_device_attr: flags, group, attr, address


def psci_version(major: int, minor: int) -> Ioctl:
    """Select a PSCI version for the VM through one of its vCPUs."""
    return ioctls.set_one_reg(0, ARM64_PSCI_VERSION, psci.version(major, minor))


def smccc_filter(function: int, action: int) -> Ioctl:
    """Deny one SMCCC function or forward it to userspace; VM attribute KVM_ARM_VM_SMCCC_FILTER, since v6.4."""
    attribute = struct.pack(_DEVICE_ATTR, 0, 0, 0, 0)
    smccc = struct.pack("<IIB15x", function, 1, action)
    return Ioctl("vm", Request.SET_DEVICE_ATTR, buffer=attribute + smccc, pointer=(16, len(attribute)))


def machine(
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
    return Scenario(
        f"arm64.{name}",
        "arm64",
        (
            *machine(features=features, payload=payload, before_vcpus=before_vcpus),
            *setup,
            Entry(payload, registers(fid, *arguments), symbol=symbol),
            *run("exit"),
            ioctls.get_mp_state(0, "mp_state"),
        ),
    )


def ask(label: str, fid: int, *arguments: int) -> tuple[Step, ...]:
    """Another call of a vCPU whose last one has come back; the payload loops, so registers are all that changes."""
    changed = (
        ioctls.set_one_reg(0, arm64_x(number), value) for number, value in enumerate((fid, *arguments))
    )
    return (*changed, *run(label))


_ENABLE_SUSPEND = ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND)

FACTS = Scenario(
    "arm64.facts",
    "arm64",
    (
        *machine(),
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
        Entry("call", (PSCI_VERSION,)),
        *run("psci.version"),
        *(step for function in psci.Function for step in ask(function.fact, psci.FEATURES, function)),
    ),
)

# Does SMC reach PSCI, as HVC does? Asked apart, so that a kernel that injects an exception loses nothing else.
SMC = Scenario(
    "arm64.smc.version",
    "arm64",
    (*machine(), Entry("call", registers(PSCI_VERSION), symbol="smc"), *run("smc.version")),
)

_RESET2_TYPES = {"": 0, ".vendor": VENDOR, ".vendor_high": VENDOR_HIGH}
_OFF2_WRONG = {"1.1": (1, 1), "0.1": (0, 1), "2.0": (2, 0)}

SCENARIOS = (
    SMC,
    call("psci.off", SYSTEM_OFF),
    call("psci.reset", SYSTEM_RESET),
    *(call(f"psci.reset2{name}", SYSTEM_RESET2, kind, COOKIE) for name, kind in _RESET2_TYPES.items()),
    *(call(f"psci.reset2_64{name}", SYSTEM_RESET2_64, kind, COOKIE) for name, kind in _RESET2_TYPES.items()),
    call("psci.reset2.reserved", SYSTEM_RESET2, 1, COOKIE),
    call("psci.reset2.reserved_high", SYSTEM_RESET2, 0x7FFF_FFFF, COOKIE),
    call("psci.reset2_64.reserved", SYSTEM_RESET2_64, 1, COOKIE),
    call("psci.reset2_64.reserved_high", SYSTEM_RESET2_64, 0x7FFF_FFFF, COOKIE),
    call("psci.reset2.upper", SYSTEM_RESET2, 0xDEAD_0000_0000_0000 | VENDOR, COOKIE),
    call("psci.reset2_64.upper", SYSTEM_RESET2_64, 0x1_0000_0000, COOKIE),
    *(
        call(f"psci.off2{width}.{kind}", fid, kind, 0)
        for width, fid in (("", SYSTEM_OFF2), ("_64", SYSTEM_OFF2_64))
        for kind in (0, 1)
    ),
    *(
        call(f"psci.off2{width}.wrong.{name}", fid, *values)
        for width, fid in (("", SYSTEM_OFF2), ("_64", SYSTEM_OFF2_64))
        for name, values in _OFF2_WRONG.items()
    ),
    # PSCI by version
    *(
        call(f"psci_0_1.{name}", fid, features=0)
        for name, fid in (("off", SYSTEM_OFF), ("reset", SYSTEM_RESET))
    ),
    *(
        call(f"psci_{major}_{minor}.{name}", fid, *arguments, setup=(psci_version(major, minor),))
        for (major, minor), calls in {
            (0, 2): {
                "off": (SYSTEM_OFF,),
                "reset": (SYSTEM_RESET,),
                "reset2": (SYSTEM_RESET2, 0, 0),
                "suspend": (SYSTEM_SUSPEND, 0, 0),
                "features": (PSCI_FEATURES, SYSTEM_OFF),
            },
            (1, 0): {
                "off": (SYSTEM_OFF,),
                "reset": (SYSTEM_RESET,),
                "reset2": (SYSTEM_RESET2, 0, 0),
                "features": (PSCI_FEATURES, SYSTEM_RESET2),
            },
            (1, 1): {
                "reset2": (SYSTEM_RESET2, 0, 0),
                "features": (PSCI_FEATURES, SYSTEM_RESET2),
                "off2": (SYSTEM_OFF2, 0, 0),
                "features_off2": (PSCI_FEATURES, SYSTEM_OFF2),
            },
            (1, 3): {
                "off2": (SYSTEM_OFF2, 0, 0),
                "features": (PSCI_FEATURES, SYSTEM_OFF2),
            },
        }.items()
        for name, (fid, *arguments) in calls.items()
    ),
    Scenario(
        "arm64.psci.versions",
        "arm64",
        (
            *machine(),
            *(
                ioctls.set_one_reg(0, ARM64_PSCI_VERSION, number, f"set {number >> 16}.{number & 0xFFFF}")
                for number in (
                    psci.version(*one) for one in ((0, 2), (1, 0), (1, 1), (1, 2), (1, 3), (0, 3), (2, 0))
                )
            ),
        ),
    ),
    # Conduits, filters, and a 32-bit guest
    call("smc.off", SYSTEM_OFF, symbol="smc"),
    call("smc.reset2", SYSTEM_RESET2, 0, COOKIE, symbol="smc"),
    call("smc.other", SYSTEM_OFF, symbol="smc_other"),
    call("filter.deny", SYSTEM_OFF, before_vcpus=(smccc_filter(SYSTEM_OFF, SMCCC_FILTER_DENY),)),
    call("filter.forward", SYSTEM_OFF, before_vcpus=(smccc_filter(SYSTEM_OFF, SMCCC_FILTER_FWD_TO_USER),)),
    *(
        call(f"aarch32.{name}", fid, 0, 0, features=VCPU_PSCI_0_2 | VCPU_EL1_32BIT, payload="call_aarch32")
        for name, fid in (
            ("off", SYSTEM_OFF),
            ("reset2", SYSTEM_RESET2),
            ("reset2_64", SYSTEM_RESET2_64),
            ("suspend_64", SYSTEM_SUSPEND_64),
            ("off2_64", SYSTEM_OFF2_64),
        )
    ),
    # Suspend
    call("psci.suspend.denied", SYSTEM_SUSPEND, 0, 0),
    call("psci.suspend", SYSTEM_SUSPEND, 0x4000_0000, 0xC0DE, setup=(_ENABLE_SUSPEND,)),
    call("psci.suspend_64", SYSTEM_SUSPEND_64, 0x4000_0000, 0xC0DE, setup=(_ENABLE_SUSPEND,)),
    call("psci.suspend.features", PSCI_FEATURES, SYSTEM_SUSPEND, setup=(_ENABLE_SUSPEND,)),
    Scenario(
        "arm64.psci.suspend.enable",
        "arm64",
        (
            *machine(),
            ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND, flags=1, label="with a flag"),
            ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND, label="without flags"),
        ),
    ),
    # A 32-bit process, which KVM does not serve on arm64: asked with the VMM of that ABI.
    Scenario("arm64.compat", "arm64", (Open("/dev/kvm", "open /dev/kvm"),)),
)
