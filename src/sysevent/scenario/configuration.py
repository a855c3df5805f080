"""Dimensions: the ways in which one claim can be asked of virtual machines that are made differently."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Peers(StrEnum):
    """What the vCPUs that do not call are doing when one of them calls."""

    RUNNING = "running"
    # In WFI or HLT, within KVM_RUN.
    ASLEEP = "asleep"
    # KVM_RUN was never called.
    UNSTARTED = "unstarted"


class Configuration(msgspec.Struct, frozen=True):
    """How the virtual machine of a scenario is made; by default as simple as possible.

    A claim is asked in those configurations in which different code of KVM answers, not in all combinations.
    """

    # The in-kernel interrupt controller, by the name that the architecture's scenarios give it. "": none.
    irqchip: str = ""
    vcpus: int = 1
    # The vCPU that causes the event.
    caller: int = 0
    # None: there are no other vCPUs, or their scenario starts them by itself.
    peers: Peers | None = None
    # The mode of the guest's CPU, by the name that the architecture's scenarios give it. "": the usual one.
    cpu: str = ""

    @property
    def dimensions(self) -> dict[str, str]:
        """The dimensions that are not the default, with their values: {"irqchip": "gicv3", "caller": "3 of 4"}."""
        values = {
            "irqchip": self.irqchip,
            "caller": f"{self.caller} of {self.vcpus}" if self.vcpus > 1 else "",
            "peers": self.peers or "",
            "cpu": self.cpu,
        }
        return {name: str(value) for name, value in values.items() if value}

    def title(self, base: str) -> str:
        """Return the name of a claim or scenario in this configuration: "psci.off.gicv3.vcpu3of4.asleep"."""
        caller = f"vcpu{self.caller}of{self.vcpus}" if self.vcpus > 1 else ""
        return ".".join(part for part in (base, self.irqchip, caller, self.peers or "", self.cpu) if part)


DEFAULT = Configuration()
