"""Scenarios for arm64: PSCI calls of a guest. Function ids are the Arm PSCI specification's (DEN0022)."""

from __future__ import annotations

from sysevent.probe import ioctls
from sysevent.probe.scenario import Entry, Load, Memory, Scenario, Step, Vcpu, Vm, run

PSCI_VERSION = 0x8400_0000
PSCI_FEATURES = 0x8400_000A
SYSTEM_OFF = 0x8400_0008
SYSTEM_RESET = 0x8400_0009
SYSTEM_RESET2 = 0x8400_0012
SYSTEM_RESET2_64 = 0xC400_0012
SYSTEM_OFF2 = 0x8400_0015
SYSTEM_SUSPEND = 0x8400_000E

RAM = 0x4000_0000
RAM_SIZE = 0x1_0000  # a multiple of every page size
RETURNED = 0x0A00_0000  # where payloads store to when the call comes back
FEATURE_PSCI_0_2 = 1 << 2  # KVM_ARM_VCPU_PSCI_0_2: without it, PSCI 0.1
REG_PSCI_VERSION = 0x6030_0000_0014_0000  # KVM_REG_ARM_PSCI_VERSION


def x(number: int) -> int:
    """The KVM_*_ONE_REG id of general register x<number>."""
    return 0x6030_0000_0010_0000 | 2 * number


def machine(*, features: int = FEATURE_PSCI_0_2, payload: str = "call") -> tuple[Step, ...]:
    """One vCPU that can call its firmware."""
    return (Vm(), Memory(RAM, RAM_SIZE), Load(payload), Vcpu(0, (features,)))


def call(name: str, fid: int, *arguments: int) -> Scenario:
    """One firmware call on one vCPU; what it leads to is the exit "exit"."""
    # x4 and up hold what no PSCI function may touch or care for.
    registers = (fid, *arguments, *(0x5E00 + n for n in range(len(arguments) + 1, 8)))
    return Scenario(
        name,
        "arm64",
        (*machine(), Entry("call", registers), *run("exit"), ioctls.get_mp_state(0, "mp_state")),
    )


def _ask_features(fid: int) -> tuple[Step, ...]:
    """PSCI_FEATURES of a function; the payload loops, so registers are all that has to change."""
    return (
        ioctls.set_one_reg(0, x(0), PSCI_FEATURES),
        ioctls.set_one_reg(0, x(1), fid),
        *run(f"psci.features.{fid:#x}"),
    )


FACTS = Scenario(
    "arm64.facts",
    "arm64",
    (
        *machine(),
        *(
            ioctls.check_extension(fd, capability)
            for capability in (ioctls.CAP_SYSTEM_EVENT_DATA, ioctls.CAP_ARM_SYSTEM_SUSPEND)
            for fd in ("system", "vm")
        ),
        Entry("call", (PSCI_VERSION,)),
        *run("psci.version"),
        *(step for fid in (SYSTEM_RESET2, SYSTEM_OFF2) for step in _ask_features(fid)),
    ),
)

COOKIE = 0xC00C_1E00_C00C_1E55
VENDOR = 0x8000_0000  # the first vendor-specific reset type
VENDOR_HIGH = 0xFFFF_FFFF

SCENARIOS = (
    call("arm64.psci.off", SYSTEM_OFF),
    call("arm64.psci.reset", SYSTEM_RESET),
    call("arm64.psci.reset2", SYSTEM_RESET2, 0, COOKIE),
    call("arm64.psci.reset2.vendor", SYSTEM_RESET2, VENDOR, COOKIE),
    call("arm64.psci.reset2.vendor_high", SYSTEM_RESET2, VENDOR_HIGH, COOKIE),
    call("arm64.psci.reset2_64", SYSTEM_RESET2_64, 0, COOKIE),
    call("arm64.psci.reset2_64.vendor", SYSTEM_RESET2_64, VENDOR, COOKIE),
    call("arm64.psci.reset2_64.vendor_high", SYSTEM_RESET2_64, VENDOR_HIGH, COOKIE),
    call("arm64.psci.reset2.reserved", SYSTEM_RESET2, 1, COOKIE),
    call("arm64.psci.reset2_64.reserved", SYSTEM_RESET2_64, 0x7FFF_FFFF, COOKIE),
)
