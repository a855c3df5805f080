"""System events of an arm64 guest whose VMM has turned on what real VMMs turn on: features of vCPUs, logs of memory.

QEMU, crosvm and Cloud Hypervisor give their guests a PMU, SVE, pointer authentication and steal time, handle accesses
that KVM cannot decode, and track written memory while a guest migrates. Each of these has code of its own on the way
into and out of the guest, and memory of its own beside kvm_run. The event must be the same. Each option is a scenario,
because a kernel or CPU that lacks one must be asked about the others.
"""

import struct

from sysevent.abi.arm64 import (
    VCPU_PMU_V3,
    VCPU_PMU_V3_CTRL,
    VCPU_PMU_V3_INIT,
    VCPU_PMU_V3_IRQ,
    VCPU_PSCI_0_2,
    VCPU_PTRAUTH_ADDRESS,
    VCPU_PTRAUTH_GENERIC,
    VCPU_PVTIME_CTRL,
    VCPU_PVTIME_IPA,
    VCPU_SVE,
)
from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType
from sysevent.abi.ioctls import Request
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import INTERNAL_FAILURE, Function
from sysevent.contract.arm64 import GICV3, PREPARE, STOPS, unchanged_registers
from sysevent.contract.checks import RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Counters, Returns
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.contract.terms import Need
from sysevent.scenario import gic, ioctls
from sysevent.scenario.arm64 import COUNTERS, RAM, registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import SETTLE_MS, Entry, Ioctl, Read, Sleep, Start, Wait, Watch, run

# KVM_MEM_LOG_DIRTY_PAGES
LOG_DIRTY_PAGES = 1
# Bytes of the ring of each vCPU: a power of two, more than KVM reserves and a page of 64 KiB has.
RING_BYTES = 1 << 17
# KVM_ARM_VCPU_FINALIZE takes the number of the feature, not its bit.
FINALIZE_SVE = Ioctl(0, Request.ARM_VCPU_FINALIZE, buffer=struct.pack("<i", VCPU_SVE.bit_length() - 1))
PMU = (
    gic.attribute(0, VCPU_PMU_V3_CTRL, VCPU_PMU_V3_IRQ, struct.pack("<I", 23)),
    gic.attribute(0, VCPU_PMU_V3_CTRL, VCPU_PMU_V3_INIT),
)
# Guest memory for the time that vCPU 0 was not run, 64 bytes.
STEAL_TIME = gic.attribute(0, VCPU_PVTIME_CTRL, VCPU_PVTIME_IPA, struct.pack("<Q", RAM + 0xC000))
# struct kvm_arm_counter_offset: the offset, and a reserved word.
COUNTER_OFFSET = Ioctl("vm", Request.ARM_SET_COUNTER_OFFSET, buffer=struct.pack("<QQ", 1 << 40, 0))


def has(capability, requires):
    """Return the need of a capability that depends on the CPU or the kernel's configuration."""
    return Need(f"KVM_CAP_{capability.name}", None, capability.on_vm, requires=requires)


def turned_off(name, *setup, symbol="", **machine):
    """Return the scenario: a guest of this machine, set up in this way, calls SYSTEM_OFF."""
    return scenario(
        f"options.{name}",
        *vm_with_vcpus(**machine),
        *setup,
        Entry("call", registers(Function.SYSTEM_OFF), symbol=symbol),
        *run("exit"),
        ioctls.get_mp_state(0, "mp_state 0"),
        *run("again", milliseconds=1),
    )


def logged(name, **machine):
    """Return the scenario: vCPU 1 writes to memory that is tracked while vCPU 0 turns the system off."""
    # struct kvm_dirty_log: slot, padding, a pointer to a bit for each page.
    log = struct.pack("<IIQ", 0, 0, 0) + bytes(8)
    return scenario(
        f"options.{name}",
        *vm_with_vcpus(vcpus=2, memory_flags=LOG_DIRTY_PAGES, **machine),
        Entry("call", (0, COUNTERS + 8), 1, "spin"),
        Start(1),
        Watch(COUNTERS + 8),
        Entry("call", registers(Function.SYSTEM_OFF)),
        *run("exit"),
        Read(COUNTERS, 16, "counted at the exit"),
        # With rings there is no log, and the ioctl is refused.
        Ioctl("vm", Request.GET_DIRTY_LOG, buffer=log, pointer=(8, 16), label="log"),
        Sleep(SETTLE_MS),
        Read(COUNTERS, 16, "counted later"),
        ioctls.get_mp_state(0, "mp_state 0"),
        Wait("again", 1, 1),
        ioctls.get_mp_state(1, "mp_state 1"),
    )


# fmt: off
# End of the claim's name, the option in words, scenario, needs.
OPTIONS = (
    ("pmu", "a PMU (KVM_ARM_VCPU_PMU_V3)",
     turned_off("pmu", *PMU, features=VCPU_PSCI_0_2 | VCPU_PMU_V3, irqchip="gicv3"),
     (GICV3, has(Capability.ARM_PMU_V3, "a CPU with a PMU, and perf"))),
    ("sve", "SVE",
     turned_off("sve", FINALIZE_SVE, features=VCPU_PSCI_0_2 | VCPU_SVE),
     (has(Capability.ARM_SVE, "a CPU with SVE, and KVM's VHE mode"),)),
    ("ptrauth", "pointer authentication",
     turned_off("ptrauth", features=VCPU_PSCI_0_2 | VCPU_PTRAUTH_ADDRESS | VCPU_PTRAUTH_GENERIC),
     (has(Capability.ARM_PTRAUTH_ADDRESS, "a CPU with pointer authentication"),)),
    ("steal_time", "steal time",
     turned_off("steal_time", STEAL_TIME),
     (has(Capability.STEAL_TIME, "a kernel with CONFIG_SCHED_INFO"),)),
    ("caps", "KVM_CAP_ARM_NISV_TO_USER and KVM_CAP_HALT_POLL enabled",
     turned_off("caps", ioctls.enable_cap("vm", Capability.ARM_NISV_TO_USER),
                ioctls.enable_cap("vm", Capability.HALT_POLL, 0)),
     (has(Capability.ARM_NISV_TO_USER, "a kernel since v5.5"),)),
    ("mte", "tagged memory (KVM_CAP_ARM_MTE)",
     turned_off("mte", before_vcpus=(ioctls.enable_cap("vm", Capability.ARM_MTE),)),
     (has(Capability.ARM_MTE, "a CPU with FEAT_MTE2; of QEMU a target with machine = \"mte=on\""),)),
    ("counter_offset", "an offset of its counters (KVM_ARM_SET_COUNTER_OFFSET)",
     turned_off("counter_offset", COUNTER_OFFSET),
     (has(Capability.COUNTER_OFFSET, "Linux since v6.4"),)),
)
TRACKED = (
    ("dirty_log", "a log of written pages (KVM_MEM_LOG_DIRTY_PAGES)", logged("dirty_log"), (Returns("log"),), ()),
    ("dirty_ring", "rings of written pages (KVM_CAP_DIRTY_LOG_RING_ACQ_REL)",
     logged("dirty_ring",
            before_vcpus=(ioctls.enable_cap("vm", Capability.DIRTY_LOG_RING_ACQ_REL, RING_BYTES),)),
     (), (has(Capability.DIRTY_LOG_RING_ACQ_REL, "arm64 since v6.2"),)),
)
# fmt: on
STOPPED = (Blocks("again"), Written((), "again"), BufferHolds("mp_state 0", MpState.STOPPED))
AFTER = (RegisterHolds("x0", INTERNAL_FAILURE), *unchanged_registers(4), *STOPPED)
PEERS = (
    *STOPPED,
    BufferHolds("mp_state 1", MpState.STOPPED),
    Counters("counted at the exit", "counted later", 2, running=False),
)

CLAIMS = claims(
    *(
        ExitClaim(
            f"options.{name}",
            f"With {words}, SYSTEM_OFF exits with the same type, data and registers, and stops the vCPU.",
            asks=asks,
            gives=(*system_event(EventType.SHUTDOWN, 0), *AFTER),
            before_5_18=(*old_system_event(EventType.SHUTDOWN, 0), *AFTER),
            source=f"{API}; {PREPARE}",
            needs=needs,
        )
        for name, words, asks, needs in OPTIONS
    ),
    *(
        ExitClaim(
            f"options.{name}",
            f"With {words}, SYSTEM_OFF exits with the same type and data, and stops a peer that writes.",
            asks=asks,
            gives=(*system_event(EventType.SHUTDOWN, 0), *PEERS, *more),
            before_5_18=(*old_system_event(EventType.SHUTDOWN, 0), *PEERS, *more),
            source=f"{API}; {STOPS}",
            needs=needs,
        )
        for name, words, asks, more, needs in TRACKED
    ),
)


@CLAIMS.each
def test_options(check, claim):
    """What VMMs turn on changes neither the event nor what it stops."""
    check(claim)
