"""arm64 scenarios in which any vCPU of a machine calls its firmware or is woken, beside its peers."""

from __future__ import annotations

from sysevent.scenario import gic, ioctls
from sysevent.scenario.arm64 import COUNTERS, registers, scenario, vm_with_vcpus
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.steps import Entry, Read, Scenario, Sleep, Start, Step, Wait, Watch, run

# Milliseconds of a timer tick, within which a vCPU that can run does.
_TICK_MS = 4
# Milliseconds in which all peers begin to sleep.
_ASLEEP_MS = 2
# Where the payload "call" begins for a peer.
_SYMBOLS = {Peers.RUNNING: "spin", Peers.ASLEEP: "nap", Peers.UNSTARTED: "spin"}


def peers_of(where: Configuration) -> tuple[int, ...]:
    """Return the vCPUs that do not call."""
    return tuple(vcpu for vcpu in range(where.vcpus) if vcpu != where.caller)


def machine(where: Configuration, *setup: Step) -> tuple[Step, ...]:
    """Return the steps that make the machine of a configuration, carry out the setup, and start its peers."""
    peers = peers_of(where) if where.peers else ()
    symbol = _SYMBOLS[where.peers or Peers.UNSTARTED]
    started = () if where.peers is Peers.UNSTARTED else peers
    # A counter that changes shows that a peer runs, and nothing shows that one sleeps.
    begun = (
        (Sleep(_ASLEEP_MS),)
        if where.peers is Peers.ASLEEP
        else tuple(Watch(COUNTERS + 8 * peer) for peer in started)
    )
    return (
        *vm_with_vcpus(vcpus=where.vcpus, irqchip=where.irqchip),
        *setup,
        *(Entry("call", (0, COUNTERS + 8 * peer), peer, symbol) for peer in peers),
        *(Start(peer) for peer in started),
        *begun,
    )


def count(where: Configuration, label: str) -> Read:
    """Return the step that reads the counters of all vCPUs."""
    return Read(COUNTERS, 8 * where.vcpus, label)


def mp_states(where: Configuration) -> tuple[Step, ...]:
    """Return the steps that read the MP state of every vCPU, none of which is in KVM_RUN: "mp_state 0", …"""
    return tuple(ioctls.get_mp_state(vcpu, f"mp_state {vcpu}") for vcpu in range(where.vcpus))


def stir(where: Configuration) -> tuple[Step, ...]:
    """Return the steps that make peers run which KVM did not stop: an interrupt for each sleeper, a first KVM_RUN."""
    peers = peers_of(where)
    if where.peers is Peers.ASLEEP:
        return tuple(gic.set_line(where.irqchip, peer, 1) for peer in peers)
    return tuple(Start(peer) for peer in peers) if where.peers is Peers.UNSTARTED else ()


def event_from(
    title: str, where: Configuration, call: tuple[int, ...], *setup: Step, final: bool
) -> Scenario:
    """Return the scenario in which a vCPU makes a call that causes an event, and then every vCPU gets a reason to run.

    final: the call stops every vCPU, so that none may run then; otherwise one peer, at least, must. The exits are
    "exit", the caller's next one "again", and "peer 0", …, ended by a signal; the counters are read as "counted at the
    exit" and "counted later".
    """
    caller, peers = where.caller, peers_of(where) if where.peers else ()
    accept = (
        step
        for peer in peers
        if where.peers is Peers.ASLEEP
        for step in gic.accept_interrupts(where.irqchip, peer)
    )
    running = () if final or not peers else (Watch(COUNTERS + 8 * peers[0]),)
    return scenario(
        where.title(title),
        *machine(where, *setup, *accept),
        Entry("call", registers(*call), caller),
        *run("exit", caller),
        count(where, "counted at the exit"),
        *stir(where),
        Start(caller),
        *running,
        Sleep(_TICK_MS),
        count(where, "counted later"),
        # Among peers that run, a caller that goes on needs time.
        Wait("again", caller, 1 if final else 3000),
        *(Wait(f"peer {peer}", peer, 1) for peer in peers),
        *mp_states(where),
        configuration=where,
    )
