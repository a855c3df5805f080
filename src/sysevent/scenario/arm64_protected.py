"""Building blocks of scenarios in a protected VM of pKVM, whose memory and registers KVM at EL2 keeps from the host."""

from __future__ import annotations

from sysevent.abi import psci
from sysevent.abi.arm64 import VM_TYPE_PROTECTED
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import Entry, Scenario, Step, Vm, run


def protected_vm(*, vcpus: int = 1, before_vcpus: tuple[Step, ...] = ()) -> tuple[Step, ...]:
    """Return the steps that make a protected VM with the payload "call" in its memory, and vCPUs.

    The host loses the memory page by page, when the guest first uses it.
    """
    _, *others = vm_with_vcpus(vcpus=vcpus, before_vcpus=before_vcpus)
    return (Vm(VM_TYPE_PROTECTED), *others)


def protected_call(
    name: str,
    fid: int,
    *arguments: int,
    setup: tuple[Step, ...] = (),
    caller: int = 0,
    symbol: str = "",
    after: tuple[Step, ...] = (),
) -> Scenario:
    """Return a scenario in which a vCPU of a protected VM makes one firmware call; see arm64.call().

    The steps of after come behind the exit.
    """
    return scenario(
        name,
        *protected_vm(vcpus=caller + 1, before_vcpus=setup),
        Entry("call", registers(fid, *arguments), vcpu=caller, symbol=symbol),
        *run("exit", caller),
        ioctls.get_mp_state(caller, "mp_state"),
        *after,
    )


# A fact: whether the kernel has protected VMs, and is in the mode for them. Without, KVM_CREATE_VM is refused.
PROTECTED = scenario(
    "protected.facts", *protected_vm(), Entry("call", registers(psci.VERSION)), *run("protected.version")
)
