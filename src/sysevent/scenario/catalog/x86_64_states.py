"""Scenarios for x86-64 around the exit: peers, re-entry, pending requests, and what was in kvm_run before."""

from __future__ import annotations

import struct

from sysevent.abi import kvm_run
from sysevent.abi.capabilities import Capability
from sysevent.abi.debug import GUESTDBG_ENABLE, GUESTDBG_SINGLESTEP
from sysevent.abi.hyperv import CRASH_NOTIFY, MSR_CRASH_CTL, MSR_CRASH_P0, MSR_RESET
from sysevent.abi.ioctls import Request
from sysevent.abi.x86_64 import SYNC_REGS, VCPUEVENT_VALID_TRIPLE_FAULT
from sysevent.scenario import ioctls
from sysevent.scenario.catalog.x86_64 import (
    COUNTERS,
    machine,
    registers,
)
from sysevent.scenario.steps import KEEP, Entry, Head, Ioctl, Read, Scenario, Start, Step, Wait, Watch, run

EVENTS = {"reset": (MSR_RESET, 1), "crash": (MSR_CRASH_CTL, CRASH_NOTIFY)}
CRASH_PARAMETERS = tuple(0xC0DE_0000_0000_0000 + n for n in range(5))

_DEBUG_STEP = struct.pack("<II64x", GUESTDBG_ENABLE | GUESTDBG_SINGLESTEP, 0)
_DEBUG_OFF = struct.pack("<II64x", 0, 0)
# struct kvm_vcpu_events: its flags, and triple_fault.pending
_TRIPLE_FAULT = struct.pack("<20xI4xB35x", VCPUEVENT_VALID_TRIPLE_FAULT, 1)


def _scenario(name: str, *steps: Step) -> Scenario:
    return Scenario(f"x86_64.{name}", "x86_64", steps)


def msrs(values: dict[int, int]) -> bytes:
    """struct kvm_msrs of these."""
    entries = b"".join(struct.pack("<IIQ", index, 0, value) for index, value in values.items())
    return struct.pack("<II", len(values), 0) + entries


def _peers(name: str, count: int) -> Scenario:
    """vCPU 0 makes the event while its peers count: on x86 nobody stops them."""
    peers = range(1, count)
    return _scenario(
        f"peers.{name}.{count}",
        *machine("wrmsr", vcpus=count),
        *(Entry("wrmsr", (0, COUNTERS + 8 * peer), peer, "spin") for peer in peers),
        *(Start(peer) for peer in peers),
        *(Watch(COUNTERS + 8 * peer) for peer in peers),
        Read(COUNTERS, 8 * count, "counted at first"),
        Entry("wrmsr", registers(*EVENTS[name])),
        *run("exit"),
        Read(COUNTERS, 8 * count, "counted after the exit"),
        *(Watch(COUNTERS + 8 * peer) for peer in peers),
        Read(COUNTERS, 8 * count, "counted later"),
        ioctls.get_mp_state(0, "mp_state 0"),
        *(Wait(f"peer {peer}", peer, 1) for peer in peers),
        *(ioctls.get_mp_state(peer, f"mp_state {peer}") for peer in peers),
    )


def _after(first: str, name: str) -> Scenario:
    """An exit whose bytes lie in the same union, then the event, with no poison between them."""
    msr, value = EVENTS[name]
    eax, _, ecx, edx, *rest = registers(msr, value)
    return _scenario(
        f"after_{first}.{name}",
        *machine("wrmsr"),
        Entry("wrmsr", (eax, 0xFEED_F00D, ecx, edx, *rest), symbol=f"{first}_first"),
        *run("first"),
        *run("exit", poison=KEEP),
    )


SCENARIOS = (
    *(_peers(name, count) for name in EVENTS for count in (2, 4)),
    *(
        _scenario(
            f"reentry.{name}",
            *machine("wrmsr"),
            Entry("wrmsr", registers(*event)),
            *run("exit"),
            *run("again"),
        )
        for name, event in EVENTS.items()
    ),
    *(_after(first, name) for first in ("out", "mmio") for name in EVENTS),
    _scenario(
        "immediate_exit",
        *machine("wrmsr"),
        Entry("wrmsr", registers(MSR_RESET, 1)),
        Head(kvm_run.IMMEDIATE_EXIT.offset, b"\x01"),
        *run("nothing"),
        *run("exit"),
    ),
    # One after the other, with no poison between them.
    _scenario(
        "sequence.crash_then_reset",
        *machine("wrmsr"),
        Entry("wrmsr", registers(*EVENTS["crash"])),
        *run("first"),
        Entry("wrmsr", registers(*EVENTS["reset"])),
        *run("exit", poison=KEEP),
    ),
    # Both pending at once: single-stepping ends KVM_RUN between the guest's WRMSR and the exit it asked for.
    _scenario(
        "pending.both",
        *machine("wrmsr"),
        Entry("wrmsr", registers(*EVENTS["crash"])),
        # After the entry: KVM steps from the RIP it saw here (x86.c, kvm_arch_vcpu_ioctl_set_guest_debug).
        Ioctl(0, Request.SET_GUEST_DEBUG_X86, buffer=_DEBUG_STEP),
        *run("step"),
        Ioctl(0, Request.SET_MSRS, buffer=msrs({MSR_RESET: 1}), label="set reset"),
        Ioctl(0, Request.SET_GUEST_DEBUG_X86, buffer=_DEBUG_OFF),
        *run("exit"),
        *run("second"),
        *run("third"),
    ),
    # The crash parameters are not in the exit: userspace reads the MSRs.
    _scenario(
        "crash.parameters",
        *machine("wrmsr"),
        Ioctl(
            0,
            Request.SET_MSRS,
            buffer=msrs({MSR_CRASH_P0 + n: value for n, value in enumerate(CRASH_PARAMETERS)}),
            label="set",
        ),
        Entry("wrmsr", registers(*EVENTS["crash"])),
        *run("exit"),
        Ioctl(0, Request.GET_MSRS, buffer=msrs({MSR_CRASH_P0 + n: 0 for n in range(5)}), label="get"),
    ),
    # kvm_valid_regs asks for the registers behind the union: they must come where they always were.
    _scenario(
        "sync_regs",
        *machine("wrmsr"),
        Entry("wrmsr", registers(MSR_RESET, 1)),
        Head(kvm_run.VALID_REGS.offset, struct.pack("<Q", SYNC_REGS)),
        *run("exit"),
    ),
    # The second trigger of a triple fault: userspace injects it.
    _scenario(
        "triple_fault.injected",
        *machine("wrmsr"),
        ioctls.enable_cap("vm", Capability.X86_TRIPLE_FAULT_EVENT, 1),
        Entry("wrmsr", registers(MSR_RESET, 0)),
        Ioctl(0, Request.SET_VCPU_EVENTS_X86, buffer=_TRIPLE_FAULT, label="inject"),
        *run("exit"),
    ),
    _scenario(
        "triple_fault.not_enabled",
        *machine("wrmsr"),
        Entry("wrmsr", registers(MSR_RESET, 0)),
        Ioctl(0, Request.SET_VCPU_EVENTS_X86, buffer=_TRIPLE_FAULT, label="inject"),
        *run("exit"),
    ),
    # A triple fault right after a system event: its exit has no fields, and must not look as if it had.
    _scenario(
        "sequence.crash_then_triple_fault",
        *machine("wrmsr"),
        Entry("wrmsr", registers(*EVENTS["crash"])),
        *run("first"),
        Entry("wrmsr", registers(0xFFFF_FFFF, 0)),
        *run("exit"),
    ),
)
