"""Scenarios for riscv64 around the exit: peers, re-entry, resume, and what was in kvm_run before."""

from __future__ import annotations

from sysevent.abi.kvm_run import IMMEDIATE_EXIT
from sysevent.abi.mp_state import MpState
from sysevent.abi.sbi import COLD_REBOOT, SHUTDOWN, WARM_REBOOT
from sysevent.scenario import ioctls
from sysevent.scenario.catalog.riscv64 import COUNTERS, machine, registers
from sysevent.scenario.steps import KEEP, Entry, Head, Read, Scenario, Sleep, Start, Step, Wait, Watch, run

BLOCKED = 50  # ms after which a KVM_RUN that must block counts as blocked
SETTLE = 8  # ms in which every peer that is runnable gets to run
EVENTS = {"shutdown": SHUTDOWN, "cold_reboot": COLD_REBOOT, "warm_reboot": WARM_REBOOT}
REASON = 0xDEAD_BEEF


def _scenario(name: str, *steps: Step) -> Scenario:
    return Scenario(f"riscv64.{name}", "riscv64", steps)


def _peers(name: str, count: int) -> Scenario:
    """Hart 0 asks for the event while its peers count; who still counts afterwards, blocks, is stopped."""
    peers = range(1, count)
    return _scenario(
        f"peers.{name}.{count}",
        *machine(vcpus=count),
        *(ioctls.set_mp_state(peer, MpState.RUNNABLE) for peer in peers),
        *(Entry("call", (0, COUNTERS + 8 * peer), peer, "spin") for peer in peers),
        *(Start(peer) for peer in peers),
        *(Watch(COUNTERS + 8 * peer) for peer in peers),
        Read(COUNTERS, 8 * count, "counted at first"),
        Entry("call", registers(EVENTS[name], REASON)),
        *run("exit"),
        Sleep(SETTLE),
        Read(COUNTERS, 8 * count, "counted after the exit"),
        Sleep(SETTLE),
        Read(COUNTERS, 8 * count, "counted later"),
        ioctls.get_mp_state(0, "mp_state 0"),
        *(Wait(f"peer {peer}", peer, 1) for peer in peers),
        *(ioctls.get_mp_state(peer, f"mp_state {peer}") for peer in peers),
    )


SCENARIOS = (
    *(_peers(name, count) for name in EVENTS for count in (2, 4)),
    *(
        _scenario(
            f"reentry.{name}",
            *machine(),
            Entry("call", registers(kind, REASON)),
            *run("exit"),
            *run("again", milliseconds=BLOCKED),
            ioctls.set_mp_state(0, MpState.RUNNABLE),
            *run("repeated"),
        )
        for name, kind in EVENTS.items()
    ),
    # A VMM that resumes: the PC has to be moved past the call, and the hart declared runnable.
    _scenario(
        "resumed",
        *machine(),
        Entry("call", registers(SHUTDOWN, REASON)),
        *run("exit"),
        ioctls.set_mp_state(0, MpState.RUNNABLE),
        Entry("call", (0x600D,), symbol="returned"),
        *run("resumed"),
    ),
    _scenario(
        "immediate_exit",
        *machine(),
        Entry("call", registers(COLD_REBOOT, REASON)),
        Head(IMMEDIATE_EXIT.offset, b"\x01"),
        *run("nothing"),
        *run("exit"),
    ),
    # Nothing of the first event may be left in the second: kvm_run is not poisoned between them.
    _scenario(
        "sequence.reset_then_shutdown",
        *machine(),
        Entry("call", registers(WARM_REBOOT, REASON)),
        *run("first"),
        ioctls.set_mp_state(0, MpState.RUNNABLE),
        Entry("call", registers(SHUTDOWN, 0)),
        *run("exit", poison=KEEP),
    ),
    # Nor may the bytes of an MMIO exit, which lie in the same union: address at 32, data at 40.
    *(
        _scenario(
            f"after_mmio.{name}",
            *machine(),
            Entry(
                "call",
                (*registers(kind, 1)[:5], 0xFEED_FACE_CAFE_F00D, *registers(kind, 1)[6:]),
                symbol="mmio_first",
            ),
            *run("first"),
            *run("exit", poison=KEEP),
        )
        for name, kind in EVENTS.items()
    ),
    # The same event over two different poisons: what the kernel writes must not depend on what was there.
    _scenario(
        "poison.cold_reboot",
        *machine(),
        Entry("call", registers(COLD_REBOOT, REASON)),
        *run("exit"),
        ioctls.set_mp_state(0, MpState.RUNNABLE),
        Entry("call", registers(COLD_REBOOT, REASON)),
        *run("other", poison=0x5C),
    ),
)
