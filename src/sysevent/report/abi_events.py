"""Which events docs/abi.md shows: one scenario for each, and the claims that say what else holds. Data only.

A new way to cause an event gets a row here, once its scenario is recorded in tests/data/runs.
"""

from __future__ import annotations

import msgspec


class Shown(msgspec.Struct, frozen=True):
    """An event on the page."""

    # The heading below its architecture.
    title: str
    # The scenario whose recordings are drawn, without the architecture; its claim has the same name.
    scenario: str
    # What the guest does, or the host.
    call: str
    # Labels of the exits that are drawn, in the order of the scenario.
    labels: tuple[str, ...] = ("exit",)
    # The scenario, without the architecture, in which other vCPUs are there, too.
    peers: str = ""
    # Names of further claims, without the architecture, whose sentences are printed.
    also: tuple[str, ...] = ()


EVENTS: dict[str, tuple[Shown, ...]] = {
    "arm64": (
        Shown(
            "PSCI SYSTEM_OFF",
            "psci.off",
            "HVC with x0 = 0x84000008, PSCI 0.2 or later",
            peers="peers.off.2",
            also=("psci.off.registers", "psci.off.zeroed", "peers.off.2", "reentry.off"),
        ),
        Shown(
            "PSCI SYSTEM_RESET",
            "psci.reset",
            "HVC with x0 = 0x84000009, PSCI 0.2 or later",
            peers="peers.reset.2",
            also=("psci.reset.registers", "psci.reset.zeroed", "peers.reset.2", "reentry.reset"),
        ),
        Shown(
            "PSCI SYSTEM_RESET2",
            "psci.reset2",
            "HVC with x0 = 0x84000012 (or 0xc4000012), x1 = type, x2 = cookie, PSCI 1.1 or later",
            peers="peers.reset2.2",
            also=("psci.reset2.arguments", "psci.reset2.reserved", "peers.reset2.2", "reentry.reset2"),
        ),
        Shown(
            "PSCI SYSTEM_OFF2",
            "psci.off2.0",
            "HVC with x0 = 0x84000015 (or 0xc4000015), x1 = 0 or 1, x2 = 0, PSCI 1.3 or later",
            peers="peers.off2.2",
            also=("psci.off2.wrong.2.0", "peers.off2.2", "reentry.off2"),
        ),
        Shown(
            "PSCI SYSTEM_SUSPEND",
            "psci.suspend",
            "HVC with x0 = 0x8400000e (or 0xc400000e), x1 = entry point, x2 = context, in a VM with "
            "KVM_CAP_ARM_SYSTEM_SUSPEND enabled",
            peers="peers.suspend.2",
            also=("peers.suspend.2", "reentry.suspend", "psci.suspend.denied"),
        ),
        Shown(
            "WAKEUP",
            "suspend.wakeup",
            "none: the VMM sets KVM_MP_STATE_SUSPENDED after a SUSPEND, and an interrupt is pending",
            labels=("wakeup",),
            also=("suspend.wakeup", "suspend.asleep", "wakeup.blocked"),
        ),
    ),
    "riscv64": (
        Shown(
            "SBI SRST shutdown",
            "srst.shutdown.0x1",
            "ecall with a7 = 0x53525354, a6 = 0, a0 = 0, a1 = reason",
            peers="peers.shutdown.2",
            also=("peers.shutdown.2", "reentry.shutdown", "reentry.shutdown.repeats"),
        ),
        Shown(
            "SBI SRST cold reboot",
            "srst.cold_reboot.0x1",
            "ecall with a7 = 0x53525354, a6 = 0, a0 = 1, a1 = reason",
            peers="peers.cold_reboot.2",
            also=("peers.cold_reboot.2", "reentry.cold_reboot"),
        ),
        Shown(
            "SBI SRST warm reboot",
            "srst.warm_reboot.0x1",
            "ecall with a7 = 0x53525354, a6 = 0, a0 = 2, a1 = reason",
            peers="peers.warm_reboot.2",
            also=("peers.warm_reboot.2", "reentry.warm_reboot"),
        ),
        Shown(
            "Legacy SBI shutdown",
            "legacy.shutdown",
            "ecall with a7 = 8",
            also=("legacy.shutdown", "legacy.absent"),
        ),
    ),
    "x86_64": (
        Shown(
            "Hyper-V reset",
            "hyperv.reset",
            "WRMSR of 1 to 0x40000003",
            peers="peers.reset.2",
            also=("hyperv.reset.written", "hyperv.reset.state", "peers.reset.2", "reentry.reset"),
        ),
        Shown(
            "Hyper-V crash",
            "hyperv.crash",
            "WRMSR to 0x40000105 with bit 63",
            peers="peers.crash.2",
            also=("hyperv.crash.written", "hyperv.crash.state", "crash.parameters", "reentry.crash"),
        ),
        Shown(
            "Hyper-V reset after an I/O exit",
            "after_out.reset",
            "OUT, then WRMSR of 1 to 0x40000003; the VMM fills nothing in between",
            labels=("first", "exit"),
            also=("after_out.reset", "after_out.reset.stale"),
        ),
        Shown(
            "Triple fault",
            "triple_fault",
            "an exception without a table of handlers: KVM_EXIT_SHUTDOWN, which is not a system event",
            also=("triple_fault", "triple_fault.written", "triple_fault.state", "triple_fault.state.vmx"),
        ),
    ),
}

# Claims, with their architecture, about events that no target could cause yet.
NOT_RECORDED = ("x86_64.sev_term", "x86_64.tdx_fatal")

# The registers of a call that the page shows.
REGISTERS: dict[str, tuple[str, ...]] = {
    "arm64": ("x0", "x1", "x2", "x3"),
    "riscv64": ("a0", "a1", "a6", "a7"),
    "x86_64": ("rax", "rcx", "rdx"),
}
