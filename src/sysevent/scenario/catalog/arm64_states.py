"""Scenarios for arm64 around the exit: peers, re-entry, resume, wake-up, and what was in kvm_run before."""

from __future__ import annotations

import struct

from sysevent.abi.arm64 import TARGET_GENERIC_V8, VCPU_PSCI_0_2
from sysevent.abi.capabilities import Capability
from sysevent.abi.debug import GUESTDBG_ENABLE, GUESTDBG_USE_SW_BP
from sysevent.abi.ioctls import Request
from sysevent.abi.kvm_run import IMMEDIATE_EXIT
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import DENIED
from sysevent.abi.registers import arm64_x
from sysevent.scenario import ioctls
from sysevent.scenario.catalog.arm64 import (
    COOKIE,
    COUNTERS,
    RAM,
    SYSTEM_OFF,
    SYSTEM_OFF2,
    SYSTEM_RESET,
    SYSTEM_RESET2,
    SYSTEM_SUSPEND,
    machine,
    registers,
)
from sysevent.scenario.steps import (
    KEEP,
    Entry,
    Head,
    Ioctl,
    Read,
    Scenario,
    Sleep,
    Start,
    Step,
    Wait,
    Watch,
    run,
)

BLOCKED = 50  # ms after which a KVM_RUN that must block counts as blocked
SETTLE = 8  # ms in which every peer that is runnable gets to run

_ENABLE_SUSPEND = ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND)
EVENTS: dict[str, tuple[tuple[int, ...], tuple[Step, ...]]] = {  # the call, and what the VM needs for it
    "off": ((SYSTEM_OFF,), ()),
    "reset": ((SYSTEM_RESET,), ()),
    "reset2": ((SYSTEM_RESET2, 0, COOKIE), ()),
    "off2": ((SYSTEM_OFF2, 0, 0), ()),
    "suspend": ((SYSTEM_SUSPEND, RAM, 0xC0DE), (_ENABLE_SUSPEND,)),
}

# A vCPU's IRQ line without an in-kernel interrupt controller: KVM_ARM_IRQ_TYPE_CPU, vCPU 0, KVM_ARM_IRQ_CPU_IRQ.
_IRQ_ON = Ioctl("vm", Request.IRQ_LINE, buffer=struct.pack("<II", 0, 1))
_IRQ_OFF = Ioctl("vm", Request.IRQ_LINE, buffer=struct.pack("<II", 0, 0))


def _scenario(name: str, *steps: Step) -> Scenario:
    return Scenario(f"arm64.{name}", "arm64", steps)


def _peers(name: str, count: int) -> Scenario:
    """vCPU 0 asks for the event while its peers count; who still counts afterwards, who blocks, who is stopped."""
    call, setup = EVENTS[name]
    peers = range(1, count)
    return _scenario(
        f"peers.{name}.{count}",
        *machine(vcpus=count),
        *setup,
        *(Entry("call", (0, COUNTERS + 8 * peer), peer, "spin") for peer in peers),
        *(Start(peer) for peer in peers),
        *(Watch(COUNTERS + 8 * peer) for peer in peers),
        Read(COUNTERS, 8 * count, "counted at first"),
        Entry("call", registers(*call)),
        *run("exit"),
        Sleep(SETTLE),
        Read(COUNTERS, 8 * count, "counted after the exit"),
        Sleep(SETTLE),
        Read(COUNTERS, 8 * count, "counted later"),
        ioctls.get_mp_state(0, "mp_state 0"),
        *(Wait(f"peer {peer}", peer, 1) for peer in peers),
        *(ioctls.get_mp_state(peer, f"mp_state {peer}") for peer in peers),
    )


def _reentry(name: str) -> Scenario:
    """KVM_RUN again after the event, and again after userspace has declared the vCPU runnable."""
    call, setup = EVENTS[name]
    return _scenario(
        f"reentry.{name}",
        *machine(),
        *setup,
        Entry("call", registers(*call)),
        *run("exit"),
        *run("again", milliseconds=BLOCKED),
        ioctls.set_mp_state(0, MpState.RUNNABLE),
        *run("resumed"),
    )


def _reset(name: str) -> Scenario:
    """A VMM that resets: KVM_ARM_VCPU_INIT after the event starts the vCPU anew."""
    call, setup = EVENTS[name]
    init = struct.pack("<8I", TARGET_GENERIC_V8, VCPU_PSCI_0_2, 0, 0, 0, 0, 0, 0)
    return _scenario(
        f"reinit.{name}",
        *machine(),
        *setup,
        Entry("call", registers(*call)),
        *run("exit"),
        Ioctl(0, Request.ARM_VCPU_INIT, buffer=init, label="init"),
        ioctls.get_mp_state(0, "mp_state"),
        Entry("call", registers(SYSTEM_OFF)),
        *run("second"),
    )


def _suspended(name: str, *steps: Step) -> Scenario:
    """A guest that asked for suspend and was granted it."""
    call, setup = EVENTS["suspend"]
    return _scenario(
        name,
        *machine(),
        *setup,
        Entry("call", registers(*call)),
        *run("exit"),
        ioctls.set_mp_state(0, MpState.SUSPENDED, "grant"),
        *steps,
    )


# No hardware breakpoints.
_CONTROL = GUESTDBG_ENABLE | GUESTDBG_USE_SW_BP
_DEBUG = Ioctl(0, Request.SET_GUEST_DEBUG_ARM64, buffer=struct.pack("<II512x", _CONTROL, 0))

DEBUG = _scenario(
    "debug.break",
    *machine(),
    _DEBUG,
    Entry("call", registers(SYSTEM_OFF), symbol="break_first"),
    *run("debug"),
    Entry("call", registers(SYSTEM_OFF), symbol="break_passed"),
    *run("exit"),
)

SCENARIOS = (
    DEBUG,
    *(_peers(name, count) for name in EVENTS for count in (2, 4)),
    *(_reentry(name) for name in EVENTS),
    *(_reset(name) for name in ("off", "reset2")),
    # Denied: userspace answers the call itself and lets the guest go on.
    _scenario(
        "suspend.refused",
        *machine(),
        _ENABLE_SUSPEND,
        Entry("call", registers(*EVENTS["suspend"][0])),
        *run("exit"),
        ioctls.set_one_reg(0, arm64_x(0), DENIED),
        *run("resumed"),
    ),
    _suspended("suspend.asleep", *run("asleep", milliseconds=BLOCKED)),
    _suspended(
        "suspend.wakeup",
        ioctls.get_mp_state(0, "mp_state granted"),
        _IRQ_ON,
        *run("wakeup"),
        ioctls.get_mp_state(0, "mp_state woken"),
        *run("wakeup again"),
        _IRQ_OFF,
        ioctls.set_mp_state(0, MpState.RUNNABLE, "leave"),
        *run("resumed"),
    ),
    # The wake-up comes while the vCPU already blocks, and without the guest ever having asked.
    _scenario(
        "wakeup.blocked",
        *machine(),
        Entry("call", registers(SYSTEM_OFF)),
        ioctls.set_mp_state(0, MpState.SUSPENDED, "suspend"),
        Start(0),
        Sleep(SETTLE),
        _IRQ_ON,
        Wait("wakeup"),
    ),
    # immediate_exit: KVM_RUN does nothing, and the event comes when it is entered for real.
    _scenario(
        "immediate_exit",
        *machine(),
        Entry("call", registers(SYSTEM_RESET2, 0, COOKIE)),
        Head(IMMEDIATE_EXIT.offset, b"\x01"),
        *run("nothing"),
        *run("exit"),
    ),
    # Nothing of the first event may be left in the second: kvm_run is not poisoned between them.
    *(
        _scenario(
            f"sequence.reset2_then_{name}",
            *machine(),
            *EVENTS[name][1],
            Entry("call", registers(SYSTEM_RESET2, 0, COOKIE)),
            *run("first"),
            ioctls.set_mp_state(0, MpState.RUNNABLE),
            Entry("call", registers(*EVENTS[name][0])),
            *run("exit", poison=KEEP),
        )
        for name in ("off", "reset", "suspend")
    ),
    # Nor may the bytes of an MMIO exit, which lie in the same union: address at 32, data at 40.
    *(
        _scenario(
            f"after_mmio.{name}",
            *machine(),
            *EVENTS[name][1],
            Entry("call", (*registers(*EVENTS[name][0])[:9], 0xFEED_FACE_CAFE_F00D), symbol="mmio_first"),
            *run("first"),
            *run("exit", poison=KEEP),
        )
        for name in EVENTS
    ),
    # The same event over two different poisons: what the kernel writes must not depend on what was there.
    _scenario(
        "poison.reset2",
        *machine(),
        Entry("call", registers(SYSTEM_RESET2, 0, COOKIE)),
        *run("exit"),
        ioctls.set_mp_state(0, MpState.RUNNABLE),
        Entry("call", registers(SYSTEM_RESET2, 0, COOKIE)),
        *run("other", poison=0x5C),
    ),
)
