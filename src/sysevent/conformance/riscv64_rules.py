"""The rules of riscv64's KVM: SBI (RISC-V SBI specification), MP states, and what ends KVM_RUN."""

from __future__ import annotations

from sysevent.conformance.rules import Rules

RULES = Rules("riscv64")
_SBI = "RISC-V SBI specification; arch/riscv/kvm/{}"
_VCPU = "arch/riscv/kvm/vcpu.c, {}"
_AIA = "arch/riscv/kvm/{}"

# fmt: off
SHUTDOWN = RULES.add("srst.shutdown",
    "SRST of type 0 exits as SHUTDOWN with one datum, the lower half of the reason, and stops every hart; no register "
    "of the caller changes, so that the call repeats if userspace lets the hart run.",
    _SBI.format("vcpu_sbi_replace.c, kvm_sbi_ext_srst_handler; vcpu_sbi.c, kvm_riscv_vcpu_sbi_system_reset"))
REBOOT = RULES.add("srst.reboot",
    "SRST of type 1 or 2 exits as RESET, and is else as that of type 0. The upper half of the type is ignored.",
    _SBI.format("vcpu_sbi_replace.c, kvm_sbi_ext_srst_handler"))
SRST_REFUSED = RULES.add("srst.refused",
    "SRST of another type or function returns NOT_SUPPORTED (-2) in a0 and 0 in a1.",
    _SBI.format("vcpu_sbi_replace.c, kvm_sbi_ext_srst_handler"))
LEGACY = RULES.add("legacy.shutdown",
    "The legacy shutdown exits as SHUTDOWN with one datum 0, stops every hart and changes no register.",
    _SBI.format("vcpu_sbi_v01.c, kvm_sbi_ext_v01_handler"))
UNKNOWN = RULES.add("sbi.unknown",
    "A call of an extension that the hart does not have, or that userspace has turned off, returns NOT_SUPPORTED (-2) "
    "in a0 and 0 in a1.",
    _SBI.format("vcpu_sbi.c, kvm_riscv_vcpu_sbi_ecall"))
PROBE = RULES.add("base.probe",
    "BASE finds the extensions of the hart, without those that userspace has turned off.",
    _SBI.format("vcpu_sbi_base.c, kvm_sbi_ext_base_handler"))
HART_START = RULES.add("hsm.start",
    "HART_START makes a stopped hart RUNNABLE, which at its next step in KVM_RUN begins at the address with its number "
    "in a0 and the opaque value in a1.",
    _SBI.format("vcpu_sbi_hsm.c, kvm_sbi_hsm_vcpu_start"))
HART_START_REFUSED = RULES.add("hsm.start.refused",
    "HART_START returns ALREADY_AVAILABLE (-6) for a hart that is not stopped, and INVALID_PARAM (-3) for none.",
    _SBI.format("vcpu_sbi_hsm.c, kvm_sbi_hsm_vcpu_start"))
HART_STOP = RULES.add("hsm.stop",
    "HART_STOP stops its hart, which blocks in KVM_RUN; it returns -1 if another hart has stopped it meanwhile.",
    _SBI.format("vcpu_sbi_hsm.c, kvm_sbi_hsm_vcpu_stop"))
HART_STATUS = RULES.add("hsm.status",
    "HART_STATUS returns STOPPED (1) for a stopped hart, STARTED (0), or SUSPENDED (4) while it sleeps in "
    "HART_SUSPEND, for others, and INVALID_PARAM (-3) for none.",
    _SBI.format("vcpu_sbi_hsm.c, kvm_sbi_hsm_vcpu_get_status"))
HART_SUSPEND = RULES.add("hsm.suspend",
    "HART_SUSPEND of type 0 sleeps until an enabled interrupt is pending or a signal comes, and returns SUCCESS (0).",
    _SBI.format("vcpu_sbi_hsm.c, kvm_sbi_ext_hsm_handler; vcpu_insn.c, kvm_riscv_vcpu_wfi"))
HART_SUSPEND_STOPPED = RULES.add("hsm.suspend.stopped",
    "A hart that another one stops while it sleeps in HART_SUSPEND sleeps on, also if an interrupt is pending.",
    _VCPU.format("kvm_arch_vcpu_runnable"))
HART_SUSPEND_REFUSED = RULES.add("hsm.suspend.refused",
    "HART_SUSPEND that does not keep the hart's state (0x80000000) returns NOT_SUPPORTED (-2), and of another type "
    "INVALID_PARAM (-3).",
    _SBI.format("vcpu_sbi_hsm.c, kvm_sbi_ext_hsm_handler"))
HSM_UNKNOWN = RULES.add("hsm.unknown",
    "An HSM function that does not exist returns NOT_SUPPORTED (-2).",
    _SBI.format("vcpu_sbi_hsm.c, kvm_sbi_ext_hsm_handler"))
_SUSP = "arch/riscv/kvm/vcpu_sbi_system.c, kvm_sbi_ext_susp_handler; 023c15151fbb, v6.13"
SUSP = RULES.add("susp.suspend",
    "SUSP's SYSTEM_SUSPEND, once userspace has turned SUSP on and all other harts are stopped, exits as RISCV_SBI with "
    "the call, its arguments, and NOT_SUPPORTED (-2) as its result; the registers and the program counter stay.", _SUSP)
SUSP_REFUSED = RULES.add("susp.refused",
    "SYSTEM_SUSPEND of another type than 0 returns INVALID_PARAM (-3), then for an address without memory "
    "INVALID_ADDRESS (-5), then while another hart is not stopped DENIED (-4); another function NOT_SUPPORTED (-2).",
    _SUSP)
SUSP_COMPLETED = RULES.add("susp.completed",
    "KVM_RUN after that writes the two results in kvm_run to a0 and a1 and moves the program counter past the call, "
    "before it looks at immediate_exit or signals; the reset to the call's address, with its opaque value, comes then.",
    "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_sbi_return, kvm_riscv_vcpu_sbi_request_reset")
ENABLE_SUSP = RULES.add("susp.enable",
    "The register of SUSP turns the extension of a hart on, which is off before, as that of SRST does.",
    "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_set_reg_sbi_ext; 023c15151fbb, v6.13")
WFI = RULES.add("wfi",
    "A guest's WFI sleeps as HART_SUSPEND does, and goes on behind it with the registers that it had.",
    "arch/riscv/kvm/vcpu_insn.c, wfi_insn, kvm_riscv_vcpu_wfi")
STORE = RULES.add("mmio.store",
    "A store to an address without memory exits as MMIO: address, 8 bytes of data, length and direction are written, "
    "and no other byte of the union.",
    "arch/riscv/kvm/vcpu_insn.c, kvm_riscv_vcpu_mmio_store")
COMPLETED = RULES.add("mmio.completed",
    "KVM_RUN after an MMIO exit moves the program counter past the store, wherever userspace has set it, before it "
    "looks at immediate_exit or signals.",
    "arch/riscv/kvm/vcpu_insn.c, kvm_riscv_vcpu_mmio_return")
IMMEDIATE = RULES.add("run.immediate_exit",
    "KVM_RUN with immediate_exit returns EINTR and writes nothing to kvm_run.",
    "Documentation/virt/kvm/api.rst, immediate_exit; arch/riscv/kvm/vcpu.c, kvm_arch_vcpu_ioctl_run")
SIGNALLED = RULES.add("run.signal",
    "KVM_RUN with a signal pending returns EINTR with the exit reason INTR, runs nothing and handles no request.",
    _VCPU.format("kvm_arch_vcpu_ioctl_run, xfer_to_guest_mode_handle_work"))
STOPPED = RULES.add("run.stopped",
    "KVM_RUN of a STOPPED hart blocks until a signal: EINTR, the exit reason INTR, no other byte written, each time.",
    _VCPU.format("kvm_riscv_check_vcpu_requests"))
RESET_AT_RUN = RULES.add("run.reset",
    "The reset by HART_START comes before the hart's next instruction, also if userspace has set registers since, or a "
    "signal ends KVM_RUN while the hart is stopped once more.",
    _VCPU.format("kvm_riscv_check_vcpu_requests, KVM_REQ_VCPU_RESET"))
GET_STATE = RULES.add("mp_state.get",
    "KVM_GET_MP_STATE gives the state that the last call, event or KVM_SET_MP_STATE left; harts but the first begin as "
    "STOPPED.",
    _VCPU.format("kvm_arch_vcpu_ioctl_get_mpstate, kvm_arch_vcpu_postcreate"))
SET_STATE = RULES.add("mp_state.set",
    "KVM_SET_MP_STATE takes RUNNABLE and STOPPED.", _VCPU.format("kvm_arch_vcpu_ioctl_set_mpstate"))
SET_STATE_REFUSED = RULES.add("mp_state.refused",
    "KVM_SET_MP_STATE refuses every other state with EINVAL, and changes nothing.",
    _VCPU.format("kvm_arch_vcpu_ioctl_set_mpstate"))
INTERRUPT = RULES.add("interrupt",
    "KVM_INTERRUPT sets and clears the external interrupt of a hart, also while it is in KVM_RUN.",
    _VCPU.format("kvm_arch_vcpu_async_ioctl"))
SIE = RULES.add("sie",
    "The register sie says, also after it was set again, whether an external interrupt wakes the hart.",
    _VCPU.format("kvm_riscv_vcpu_has_interrupts") + "; arch/riscv/kvm/vcpu_onereg.c, kvm_riscv_vcpu_general_set_csr")
MSI = RULES.add("aia.msi",
    "KVM_SIGNAL_MSI to the page of a hart's IMSIC makes the interrupt of that number pending there; to no hart's page "
    "it succeeds and does nothing.",
    _AIA.format("aia_device.c, kvm_riscv_aia_inject_msi; aia_imsic.c, kvm_riscv_vcpu_aia_imsic_inject"))
MSI_REFUSED = RULES.add("aia.msi.refused",
    "KVM_SIGNAL_MSI is EINVAL without an AIA in the kernel, ENODEV for interrupt 0, and EINVAL for one that the IMSIC "
    "does not have.",
    "virt/kvm/irqchip.c, kvm_send_userspace_msi; " + _AIA.format("aia_imsic.c, kvm_riscv_vcpu_aia_imsic_inject"))
SOURCE = RULES.add("aia.source",
    "KVM_IRQ_LINE sets the input of a source of the APLIC, which becomes pending as its mode says; if source and "
    "domain are enabled, it is sent to the IMSIC of its target, and is not pending any more.",
    _AIA.format("aia_aplic.c, kvm_riscv_aia_aplic_inject"))
SOURCE_REFUSED = RULES.add("aia.source.refused",
    "KVM_IRQ_LINE is ENXIO without an AIA in the kernel, and ENODEV for a source that the APLIC does not have.",
    _AIA.format("vm.c, kvm_vm_ioctl_irq_line; aia_aplic.c, kvm_riscv_aia_aplic_inject"))
AIA_WRITE = RULES.add("aia.write",
    "KVM_SET_DEVICE_ATTR writes registers of the APLIC at any time, and those of the IMSIC of a hart that is not in "
    "KVM_RUN; a source that is pending and enabled then is sent.",
    _AIA.format("aia_aplic.c, aplic_mmio_write_offset; aia_imsic.c, kvm_riscv_aia_imsic_rw_attr"))
AIA_REFUSED = RULES.add("aia.write.refused",
    "A register that the APLIC does not have is ENODEV, or EOPNOTSUPP at an odd address; one that the IMSIC does not "
    "have is ENOENT, or EINVAL among those of single interrupts.",
    _AIA.format("aia_aplic.c, aplic_mmio_write_offset; aia_imsic.c, imsic_mrif_rmw"))
AIA_WAKES = RULES.add("aia.wakes",
    "An external interrupt is pending if the hart's IMSIC delivers and has an interrupt that is pending, enabled and "
    "below the threshold. KVM looks at each message and each write, also a refused one, after which what KVM_INTERRUPT "
    "has set does not count.",
    _AIA.format("aia_imsic.c, imsic_swfile_extirq_update, imsic_mrif_topei"))
AIA_SLEEPS = RULES.add("aia.sleeps",
    "A hart with an interrupt pending in its IMSIC sleeps on while any of that is missing.",
    _AIA.format("aia_imsic.c, imsic_swfile_extirq_update, imsic_mrif_topei"))
AIA_RESET = RULES.add("aia.reset",
    "The reset by HART_START clears the hart's IMSIC.", _AIA.format("aia_device.c, kvm_riscv_vcpu_aia_reset"))
ENABLE = RULES.add("sbi.enable",
    "The register of SRST turns the extension of a hart on (1) and off (0) before its first KVM_RUN; other values are "
    "EINVAL.",
    "arch/riscv/kvm/vcpu_sbi.c, riscv_vcpu_set_sbi_ext_single; bae0dfd74e01, v6.4")
ENABLE_LATE = RULES.add("sbi.enable.late",
    "After the hart's first KVM_RUN, also one that ran nothing, that register is EBUSY.",
    "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_set_reg_sbi_ext")
IS_ENABLED = RULES.add("sbi.enable.get",
    "The register of SRST reads as it was set, and as 1 before.",
    "arch/riscv/kvm/vcpu_sbi.c, riscv_vcpu_get_sbi_ext_single")
# fmt: on
# Those of a machine with an AIA in the kernel.
AIA_RULES = (MSI, SOURCE, AIA_WRITE, AIA_REFUSED, AIA_WAKES, AIA_SLEEPS, AIA_RESET)
