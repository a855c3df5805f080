"""Virtual machines of x86-64 in a Configuration: interrupt controller, calling vCPU, peers, and mode of the CPU."""

from __future__ import annotations

import struct

from sysevent.abi import x86_64 as abi
from sysevent.abi.capabilities import Capability
from sysevent.abi.ioctls import Request
from sysevent.abi.mp_state import MpState
from sysevent.scenario import ioctls
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.steps import Entry, Ioctl, Memory, Read, Scenario, Start, Step, Wait, Watch, Write, run
from sysevent.scenario.x86_64 import COUNTERS, HYPERV_CPUID, Leaves, registers, scenario, vm_with_vcpus
from sysevent.scenario.x86_64_state import LONG_CPUID, OUT, base_of, set_mode

# Pins of the I/O APIC that userspace emulates with a split interrupt controller.
_PINS = 24
# Configuration.irqchip: "full" has PIC, I/O APIC and local APICs in the kernel, "split" the local APICs alone.
IRQCHIPS: dict[str, tuple[Step, ...]] = {
    "": (),
    "full": (Ioctl("vm", Request.CREATE_IRQCHIP),),
    "split": (ioctls.enable_cap("vm", Capability.SPLIT_IRQCHIP, _PINS),),
}
# The vector of SIPIs, which is the number of the page where the vCPU begins, in real mode.
SIPI_VECTOR = 9
# That page, in a slot of its own: OUTs, as in the payload "wrmsr".
START_PAGE = Memory(SIPI_VECTOR << 12, 0x1000, 1), Write(SIPI_VECTOR << 12, OUT)


def signal_msi(vcpu: int, data: int) -> Ioctl:
    """Return the step KVM_SIGNAL_MSI to the local APIC of a vCPU."""
    # struct kvm_msi: address, data, flags, devid.
    buffer = struct.pack("<QIII12x", abi.MSI_ADDRESS | vcpu << abi.MSI_ID_SHIFT, data, 0, 0)
    return Ioctl("vm", Request.SIGNAL_MSI, buffer=buffer)


def machine(
    where: Configuration, payload: str = "wrmsr", *, cpuid: Leaves = HYPERV_CPUID
) -> tuple[Step, ...]:
    """Return the steps that make the VM of a configuration, with vCPUs that run when they are entered.

    With a local APIC in the kernel, all vCPUs but the first wait for another one to start them
    (KVM_MP_STATE_UNINITIALIZED), so userspace makes those RUNNABLE that are to run.
    """
    leaves = LONG_CPUID if where.cpu == "long" and cpuid is HYPERV_CPUID else cpuid
    used = [
        number
        for number in range(1, where.vcpus)
        if where.irqchip and (number == where.caller or where.peers is not Peers.UNSTARTED)
    ]
    return (
        *vm_with_vcpus(payload, cpuid=leaves, vcpus=where.vcpus, before_vcpus=IRQCHIPS[where.irqchip]),
        *(ioctls.set_mp_state(number, MpState.RUNNABLE) for number in used),
    )


def enter(
    where: Configuration, payload: str, arguments: tuple[int, ...] = (), symbol: str = ""
) -> tuple[Step, ...]:
    """Return the steps after which the calling vCPU is at a label of a payload, in its mode."""
    entry = Entry(payload, arguments, where.caller, symbol, base_of(where.cpu))
    return (entry, *set_mode(where.cpu, where.caller))


def peers_of(where: Configuration) -> tuple[int, ...]:
    """Return the indices of the vCPUs that do not call."""
    return tuple(number for number in range(where.vcpus) if number != where.caller)


def start_peers(where: Configuration) -> tuple[Step, ...]:
    """Return the steps after which the peers do what the configuration says.

    A peer that runs increments its counter; one that sleeps is in KVM_RUN, HALTED, where its counter would change if
    it ran. The payload must be "wrmsr".
    """
    if where.peers in (None, Peers.UNSTARTED):
        return ()
    peers = peers_of(where)
    entries = tuple(Entry("wrmsr", (0, COUNTERS + 8 * peer), peer, "spin") for peer in peers)
    if where.peers is Peers.ASLEEP:
        halted = tuple(ioctls.set_mp_state(peer, MpState.HALTED) for peer in peers)
        return (*entries, *halted, *map(Start, peers))
    return (*entries, *map(Start, peers), *(Watch(COUNTERS + 8 * peer) for peer in peers))


def look_at_peers(where: Configuration) -> tuple[Step, ...]:
    """Return the steps that end the peers' KVM_RUN, and record what they were doing.

    The exit "peer 1" and the answer "mp_state 1" of each peer, and the counters of all vCPUs in the answers "before"
    and "counted": between them a peer that runs has counted on.
    """
    peers = peers_of(where)
    states = tuple(ioctls.get_mp_state(peer, f"mp_state {peer}") for peer in peers)
    if where.peers is Peers.UNSTARTED:
        return states
    counted = Read(COUNTERS, 8 * where.vcpus, "before")
    watches = (Watch(COUNTERS + 8 * peer) for peer in peers if where.peers is Peers.RUNNING)
    waits = (Wait(f"peer {peer}", peer, 1) for peer in peers)
    return (counted, *watches, *waits, *states, Read(COUNTERS, 8 * where.vcpus, "counted"))


def wrmsr_in(
    where: Configuration,
    title: str,
    msr: int,
    value: int,
    *,
    cpuid: Leaves = HYPERV_CPUID,
    again: bool = True,
) -> Scenario:
    """Return the scenario in which the calling vCPU of a configuration executes one WRMSR.

    The exit "exit" is what KVM_RUN returned then, and the answer "mp_state" is the vCPU's MP state afterwards;
    look_at_peers() says what is recorded of its peers. With again the exit "again" is that of another KVM_RUN.
    """
    return scenario(
        where.title(title),
        *machine(where, cpuid=cpuid),
        *start_peers(where),
        *enter(where, "wrmsr", registers(msr, value)),
        *run("exit", where.caller),
        ioctls.get_mp_state(where.caller, "mp_state"),
        *(look_at_peers(where) if where.vcpus > 1 else ()),
        *(run("again", where.caller) if again else ()),
        configuration=where,
    )
