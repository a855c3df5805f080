"""Machines of the model of arm64: vCPUs, and the interrupt controller that KVM has for them."""

from __future__ import annotations

import msgspec

from sysevent.conformance import machine as base


class Interrupt(msgspec.Struct, frozen=True):
    """An interrupt of a GIC. A PPI follows its input; an SPI is pending once its input has risen."""

    # The input is high; a write to GICx_ISPENDRn, or a rising edge, has made it pending.
    level: bool = False
    latch: bool = False
    enabled: bool = False
    active: bool = False
    # The lower the number, the higher the priority.
    priority: int = 0
    # It is in the list of those that KVM looks at (ap_list of struct vgic_cpu).
    queued: bool = False

    @property
    def pending(self) -> bool:
        """Whether it is pending (irq_is_pending)."""
        return self.level or self.latch

    def counts(self, mask: int) -> bool:
        """Return whether a vCPU with this priority mask would be woken, if KVM looks at the interrupt."""
        return self.pending and self.enabled and not self.active and self.priority < mask

    def is_targeted(self, distributor: bool) -> bool:
        """Return whether KVM has a vCPU to queue it for (vgic_target_oracle)."""
        return self.active or (self.enabled and self.pending and distributor)


class Vcpu(base.Vcpu, frozen=True, kw_only=True):
    """A vCPU. Its stack pointer stays 0, and its PSTATE as the reset left it."""

    # x0 to x30; None: nothing is known of the registers.
    x: tuple[int, ...] | None = (0,) * 31
    pc: int = 0
    # The interrupt input is high (HCR_EL2.VI), without a controller in the kernel.
    line: bool = False
    # With one: its PPI, and on vCPU 0 also the SPI of the machine; ICC_PMR_EL1.
    interrupts: tuple[Interrupt, ...] = ()
    mask: int = 0
    # Entry point and context of a CPU_ON that the next reset uses up.
    on: tuple[int, int] | None = None
    # A reset is requested (KVM_REQ_VCPU_RESET).
    reset: bool = False
    # The store of the last MMIO exit is not completed.
    mmio: bool = False
    # KVM_RUN was entered once.
    ran: bool = False


class Machine(base.Machine, frozen=True, kw_only=True):
    """A virtual machine."""

    vcpus: tuple[Vcpu, ...]
    # Of the kernel: its latest version of PSCI, which new VMs have.
    latest: int
    # The version of PSCI that the VM has.
    version: int
    # The vCPUs have the feature KVM_ARM_VCPU_PSCI_0_2.
    psci: bool = True
    # KVM_CAP_ARM_SYSTEM_SUSPEND is enabled.
    suspend: bool = False
    # The SMCCC filter: first function, last function and action of each range.
    filters: tuple[tuple[int, int, int], ...] = ()
    # There is an interrupt controller in the kernel; it is initialized; a GICv2 is as soon as it is needed; its
    # distributor is enabled.
    gic: bool = False
    ready: bool = True
    lazy: bool = False
    distributor: bool = False

    def wakes(self, number: int) -> bool:
        """Return whether an interrupt wakes a vCPU that sleeps (kvm_arch_vcpu_runnable)."""
        vcpu = self.vcpus[number]
        if not self.gic:
            return vcpu.line
        return self.distributor and any(one.queued and one.counts(vcpu.mask) for one in vcpu.interrupts)
