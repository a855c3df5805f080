"""SBI system reset (SRST) under conditions of real VMMs: a signal is pending, pages are logged, the guest is debugged.

Each has code of its own around the guest's execution, and the event must be the same. Source: api.rst, KVM_RUN and
KVM_EXIT_SYSTEM_EVENT.
"""

import struct

from sysevent.abi import sbi
from sysevent.abi.capabilities import Capability
from sysevent.abi.debug import GUESTDBG_ENABLE
from sysevent.abi.events import EventType
from sysevent.abi.ioctls import Request
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import RegisterHoldsOneOf
from sysevent.contract.claim import claims
from sysevent.contract.riscv64 import REASON, event_claim
from sysevent.contract.scenario_checks import BufferHolds, Interrupted
from sysevent.contract.system_events import API
from sysevent.scenario import ioctls
from sysevent.scenario.riscv64 import RAM, call, ecall, next_call, registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import Entry, Ioctl, Start, Wait, run

# A signal is pending when the guest enters; then the call is made.
SIGNALLED = scenario(
    "srst.signalled",
    *vm_with_vcpus(),
    Entry("call", registers(sbi.WARM_REBOOT, REASON)),
    Start(signalled=True),
    Wait("nothing"),
    *run("exit"),
)
# KVM_MEM_LOG_DIRTY_PAGES of the memory.
LOGGED = ecall("srst.dirty_log", sbi.COLD_REBOOT, REASON, memory_flags=1)
# What VMMs turn on, as far as the kernel has it.
OPTIONS = scenario(
    "srst.options",
    *vm_with_vcpus(
        memory_flags=1,
        before_vcpus=(
            ioctls.enable_cap("vm", Capability.DIRTY_LOG_RING_ACQ_REL, 65536, label="ring"),
            ioctls.enable_cap("vm", Capability.HALT_POLL, 0, label="halt_poll"),
        ),
    ),
    Ioctl(0, Request.SET_GUEST_DEBUG_RISCV64, buffer=struct.pack("<II", GUESTDBG_ENABLE, 0), label="debug"),
    *call(0, sbi.SHUTDOWN, REASON),
    ioctls.get_mp_state(0, "mp_state"),
)
# Linux asks for steal time on every CPU that it starts (arch/riscv/kernel/paravirt.c). KVM then writes to the guest's
# memory at each entry. A kernel without the extension refuses.
STEAL_TIME = scenario(
    "srst.steal_time",
    *vm_with_vcpus(),
    *call(0, RAM + 0xC000, 0, "asked", extension=sbi.STA, a2=0),
    *next_call(0, sbi.WARM_REBOOT, REASON),
    ioctls.get_mp_state(0, "mp_state"),
)
CLAIMS = claims(
    event_claim(
        "srst.signalled",
        "A signal that is pending when KVM_RUN begins ends it with EINTR, and the event comes with the next KVM_RUN.",
        asks=SIGNALLED,
        event=(EventType.RESET, REASON),
        also=(Interrupted("nothing"),),
        source="Documentation/virt/kvm/api.rst, KVM_RUN: EINTR, an unmasked signal is pending",
    ),
    event_claim(
        "srst.dirty_log",
        "SBI SRST exits with its event in a machine whose dirty pages are logged.",
        asks=LOGGED,
        event=(EventType.RESET, REASON),
        also=(BufferHolds("mp_state", MpState.STOPPED),),
        source=API,
    ),
    event_claim(
        "srst.options",
        "SBI SRST exits with its event under a dirty ring, without halt polling, and while the guest is debugged.",
        asks=OPTIONS,
        event=(EventType.SHUTDOWN, REASON),
        also=(BufferHolds("mp_state", MpState.STOPPED),),
        source=API,
    ),
    event_claim(
        "srst.steal_time",
        "SBI SRST exits with its event for a guest that has asked for steal time.",
        asks=STEAL_TIME,
        event=(EventType.RESET, REASON),
        also=(
            RegisterHoldsOneOf("a0", (0, sbi.NOT_SUPPORTED), "asked"),
            BufferHolds("mp_state", MpState.STOPPED),
        ),
        source=API,
    ),
)


@CLAIMS.each
def test_options(check, claim):
    """The event is the same whatever the VMM has turned on, and a pending signal does not cost it."""
    check(claim)
