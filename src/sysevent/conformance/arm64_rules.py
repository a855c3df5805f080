"""The rules of arm64's KVM: PSCI (Arm DEN0022), MP states, and what ends KVM_RUN."""

from __future__ import annotations

from sysevent.conformance.rules import Rules

RULES = Rules("arm64")
_PSCI = "arch/arm64/kvm/psci.c, {}"
_ARM = "arch/arm64/kvm/arm.c, {}"
_API = "Documentation/virt/kvm/api.rst, {}"
_VGIC = "arch/arm64/kvm/vgic/{}"

# fmt: off
VERSION = RULES.add("psci.version",
    "PSCI_VERSION returns the version of the VM, also right after userspace has changed it.",
    _PSCI.format("kvm_psci_0_2_call, kvm_psci_1_x_call; include/kvm/arm_psci.h, kvm_psci_version"))
FEATURES = RULES.add("psci.features",
    "PSCI_FEATURES, since PSCI 1.0, knows the functions of the VM's version; SYSTEM_SUSPEND only once it is enabled.",
    _PSCI.format("kvm_psci_1_x_call"))
UNKNOWN = RULES.add("psci.unknown",
    "A function that the VM's version of PSCI does not have returns NOT_SUPPORTED (-1) in x0 and zeros in x1 to x3.",
    _PSCI.format("kvm_psci_call, kvm_psci_0_2_call, kvm_psci_0_1_call"))
SMCCC = RULES.add("smccc.version",
    "SMCCC_VERSION returns 1.1 with every version of PSCI.",
    "arch/arm64/kvm/hypercalls.c, kvm_smccc_call_handler (6.1: kvm_hvc_call_handler)")
SMC = RULES.add("smccc.smc",
    "A call by SMC does what it does by HVC, and the program counter is behind it as well.",
    "arch/arm64/kvm/handle_exit.c, handle_smc, since v6.12 at the latest")
FILTER = RULES.add("smccc.filter",
    "KVM_ARM_VM_SMCCC_FILTER takes an action for a range of functions, before the first KVM_RUN of the VM.",
    "Documentation/virt/kvm/devices/vm.rst, KVM_ARM_VM_SMCCC_FILTER; arch/arm64/kvm/hypercalls.c, "
    "kvm_smccc_set_filter; 821d935c87bc, v6.4")
FILTER_REFUSED = RULES.add("smccc.filter.refused",
    "It returns EINVAL for an empty range, one that ends behind the last function, and an unknown action, then EBUSY "
    "after the first KVM_RUN of any vCPU, also one that ran nothing, then EEXIST for a range that has functions of "
    "another one, or of the Arm architecture (0x80000000 and 0xc0000000 to ffff); it changes nothing.",
    "Documentation/virt/kvm/devices/vm.rst, KVM_ARM_VM_SMCCC_FILTER; arch/arm64/kvm/hypercalls.c, kvm_smccc_set_filter")
DENIED = RULES.add("smccc.filter.deny",
    "A denied function returns NOT_SUPPORTED (-1) in x0 and zeros in x1 to x3, and does nothing else.",
    "arch/arm64/kvm/hypercalls.c, kvm_smccc_call_handler")
FORWARDED = RULES.add("smccc.filter.forward",
    "A forwarded function exits as HYPERCALL: the function in nr, zeros in the arguments and in ret, the flag SMC for "
    "an SMC, and no other byte of the union. The registers stay, and the next KVM_RUN goes on behind the call.",
    "Documentation/virt/kvm/api.rst, KVM_EXIT_HYPERCALL; arch/arm64/kvm/hypercalls.c, kvm_prepare_hypercall_exit")
MIGRATE_TYPE = RULES.add("psci.migrate_info_type",
    "MIGRATE_INFO_TYPE returns 2: no trusted OS needs to migrate.", _PSCI.format("kvm_psci_0_2_call"))
OFF = RULES.add("psci.system_off",
    "SYSTEM_OFF exits as SHUTDOWN with one datum 0, stops every vCPU, and leaves INTERNAL_FAILURE (-6) in x0 and zeros "
    "in x1 to x3.",
    _PSCI.format("kvm_psci_system_off, kvm_prepare_system_event"))
RESET = RULES.add("psci.system_reset",
    "SYSTEM_RESET exits as RESET with one datum 0, and is else as SYSTEM_OFF.",
    _PSCI.format("kvm_psci_system_reset, kvm_prepare_system_event"))
RESET2 = RULES.add("psci.system_reset2",
    "SYSTEM_RESET2, since PSCI 1.1, exits as RESET with one datum 1 and stops every vCPU; -6 is in x0, and the type "
    "and the cookie stay in x1 and x2, of which a 32-bit call has lost the upper halves.",
    _PSCI.format("kvm_psci_system_reset2; d43583b890e7, 34739fd95fab, 9d3e7b7c82fd, v5.18"))
RESET2_INVALID = RULES.add("psci.system_reset2.invalid",
    "SYSTEM_RESET2 of a type from 1 to 0x7fffffff, of whose register the lower half counts, returns "
    "INVALID_PARAMETERS (-2).",
    _PSCI.format("kvm_psci_1_x_call"))
OFF2 = RULES.add("psci.system_off2",
    "SYSTEM_OFF2, since PSCI 1.3, exits as SHUTDOWN with one datum 1, and is else as SYSTEM_OFF.",
    _PSCI.format("kvm_psci_system_off2; 97413cea1c48, v6.13"))
OFF2_INVALID = RULES.add("psci.system_off2.invalid",
    "SYSTEM_OFF2 of a type other than 0 and 1, or with a cookie, returns INVALID_PARAMETERS (-2).",
    _PSCI.format("kvm_psci_1_x_call; 97413cea1c48, v6.13"))
SUSPEND = RULES.add("psci.system_suspend",
    "SYSTEM_SUSPEND, once enabled, exits as SUSPEND without data; x0 stays, and a 32-bit call loses the upper halves "
    "of x1 to x3. No vCPU is stopped.",
    _PSCI.format("kvm_psci_system_suspend; bfbab4456877, v5.19"))
SUSPEND_OFF = RULES.add("psci.system_suspend.disabled",
    "SYSTEM_SUSPEND returns NOT_SUPPORTED (-1) unless userspace has enabled it.",
    _PSCI.format("kvm_psci_1_x_call; bfbab4456877, v5.19"))
CPU_OFF = RULES.add("psci.cpu_off",
    "CPU_OFF stops its vCPU, which blocks in KVM_RUN; x0 to x3 are 0.", _PSCI.format("kvm_psci_0_2_call"))
CPU_ON = RULES.add("psci.cpu_on",
    "CPU_ON makes a stopped vCPU RUNNABLE, which resets its registers at its next step in KVM_RUN, and begins at the "
    "entry point with the context in x0.",
    _PSCI.format("kvm_psci_vcpu_on; arch/arm64/kvm/reset.c, kvm_reset_vcpu"))
CPU_ON_REFUSED = RULES.add("psci.cpu_on.refused",
    "CPU_ON returns ALREADY_ON (-4) for a vCPU that is not stopped (PSCI 0.1: -2), and INVALID_PARAMETERS (-2) for one "
    "that does not exist.",
    _PSCI.format("kvm_psci_vcpu_on"))
AFFINITY = RULES.add("psci.affinity_info",
    "AFFINITY_INFO returns 0 if a vCPU of that affinity is not stopped, 1 if all of them are, and -2 if there is none.",
    _PSCI.format("kvm_psci_vcpu_affinity_info"))
CPU_SUSPEND = RULES.add("psci.cpu_suspend",
    "CPU_SUSPEND sleeps until an interrupt is pending or a signal comes, and returns SUCCESS (0).",
    _PSCI.format("kvm_psci_vcpu_suspend; arch/arm64/kvm/arm.c, kvm_vcpu_wfi"))
CPU_SUSPEND_STOPPED = RULES.add("psci.cpu_suspend.stopped",
    "A vCPU that another one stops while it sleeps in CPU_SUSPEND sleeps on, also if an interrupt is pending.",
    _ARM.format("kvm_arch_vcpu_runnable"))
WFI = RULES.add("wfi",
    "A guest's WFI sleeps as CPU_SUSPEND does, and goes on behind it with the registers that it had.",
    "arch/arm64/kvm/handle_exit.c, kvm_handle_wfx; arch/arm64/kvm/arm.c, kvm_vcpu_wfi")
STORE = RULES.add("mmio.store",
    "A store to an address without memory exits as MMIO: address, 8 bytes of data, length and direction are written, "
    "and no other byte of the union.",
    "arch/arm64/kvm/mmio.c, io_mem_abort")
COMPLETED = RULES.add("mmio.completed",
    "KVM_RUN after an MMIO exit moves the program counter past the store, wherever userspace has set it, before it "
    "looks at immediate_exit or signals.",
    "arch/arm64/kvm/mmio.c, kvm_handle_mmio_return; arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_run")
IMMEDIATE = RULES.add("run.immediate_exit",
    "KVM_RUN with immediate_exit returns EINTR and writes nothing to kvm_run.",
    _API.format("immediate_exit") + "; arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_run")
SIGNALLED = RULES.add("run.signal",
    "KVM_RUN with a signal pending returns EINTR with the exit reason INTR, runs nothing and handles no request.",
    _ARM.format("kvm_arch_vcpu_ioctl_run, xfer_to_guest_mode_handle_work"))
STOPPED = RULES.add("run.stopped",
    "KVM_RUN of a STOPPED vCPU blocks until a signal: EINTR, the exit reason INTR, no other byte written, each time.",
    _ARM.format("kvm_vcpu_sleep; 'vcpu_req_sleep' before v5.19"))
NOWHERE = RULES.add("run.nowhere",
    "A guest that executes where no memory is runs, from one exception to the next, until a signal.",
    "arch/arm64/kvm/mmu.c, kvm_handle_guest_abort")
SLEEPS = RULES.add("run.suspended",
    "KVM_RUN of a SUSPENDED vCPU without an interrupt blocks until a signal.", _ARM.format("kvm_vcpu_suspend"))
WAKEUP = RULES.add("run.wakeup",
    "KVM_RUN of a SUSPENDED vCPU with an interrupt pending exits as WAKEUP without data, each time: SUSPENDED stays.",
    _ARM.format("kvm_vcpu_suspend; 7b33a09d036f, v5.19"))
RESET_AT_RUN = RULES.add("run.reset",
    "The reset by CPU_ON comes before the vCPU's next instruction, also if a signal ends KVM_RUN while it is stopped "
    "once more; KVM_GET_ONE_REG and KVM_SET_ONE_REG carry it out before that.",
    _ARM.format("check_vcpu_requests, kvm_arch_vcpu_ioctl, KVM_REQ_VCPU_RESET"))
RESET_LEFT = RULES.add("run.reset_left",
    "KVM_ARM_VCPU_INIT between CPU_ON and the vCPU's reset uses up the entry point; the reset then clears all "
    "registers.",
    _ARM.format("check_vcpu_requests; arch/arm64/kvm/reset.c, kvm_reset_vcpu"))
GET_STATE = RULES.add("mp_state.get",
    "KVM_GET_MP_STATE gives the state that the last call, event or KVM_SET_MP_STATE left.",
    _ARM.format("kvm_arch_vcpu_ioctl_get_mpstate"))
SET_STATE = RULES.add("mp_state.set",
    "KVM_SET_MP_STATE takes RUNNABLE, STOPPED and SUSPENDED.", _ARM.format("kvm_arch_vcpu_ioctl_set_mpstate"))
SET_STATE_REFUSED = RULES.add("mp_state.refused",
    "KVM_SET_MP_STATE refuses every other state with EINVAL, and changes nothing.",
    _ARM.format("kvm_arch_vcpu_ioctl_set_mpstate"))
INIT = RULES.add("init",
    "KVM_ARM_VCPU_INIT of a vCPU clears its registers, and makes it RUNNABLE, or STOPPED with POWER_OFF. The interrupt "
    "line of a vCPU that has run may stay or be cleared.",
    _ARM.format("kvm_arch_vcpu_ioctl_vcpu_init, vcpu_reset_hcr"))
INIT_ON = RULES.add("init.cpu_on",
    "KVM_ARM_VCPU_INIT after CPU_ON, before the vCPU's next KVM_RUN, gives the vCPU the entry point and the context.",
    "arch/arm64/kvm/reset.c, kvm_reset_vcpu")
INIT_CHANGED = RULES.add("init.changed",
    "KVM_ARM_VCPU_INIT with other features than before returns EINVAL and changes nothing.",
    _ARM.format("kvm_vcpu_set_target, kvm_vcpu_init_changed"))
SET_VERSION = RULES.add("psci_version.set",
    "KVM_REG_ARM_PSCI_VERSION takes the versions up to the kernel's latest at any time, for the whole VM.",
    "arch/arm64/kvm/hypercalls.c, kvm_arm_set_fw_reg")
SET_VERSION_REFUSED = RULES.add("psci_version.refused",
    "KVM_REG_ARM_PSCI_VERSION refuses other versions with EINVAL, and so does a vCPU without the feature PSCI_0_2.",
    "arch/arm64/kvm/hypercalls.c, kvm_arm_set_fw_reg")
GET_VERSION = RULES.add("psci_version.get",
    "KVM_REG_ARM_PSCI_VERSION reads as the VM's version.", "arch/arm64/kvm/hypercalls.c, kvm_arm_get_fw_reg")
ENABLE = RULES.add("cap.system_suspend",
    "KVM_ENABLE_CAP of KVM_CAP_ARM_SYSTEM_SUSPEND succeeds at any time; with flags it is EINVAL.",
    _ARM.format("kvm_vm_ioctl_enable_cap; bfbab4456877, v5.19"))
LINE = RULES.add("irq_line",
    "KVM_IRQ_LINE sets the interrupt input of a vCPU, without a controller in the kernel; EINVAL for no vCPU.",
    _ARM.format("kvm_vm_ioctl_irq_line, vcpu_interrupt_line"))
LINE_REFUSED = RULES.add("irq_line.refused",
    "KVM_IRQ_LINE of a vCPU's input is ENXIO with a GIC in the kernel, and that of a PPI or an SPI without one; a PPI "
    "that is none of 16 to 31, one of no vCPU, and an SPI that the GIC does not have are EINVAL.",
    _ARM.format("kvm_vm_ioctl_irq_line") + "; " + _VGIC.format("vgic.c, kvm_vgic_inject_irq"))
GIC_PPI = RULES.add("gic.ppi",
    "With a GIC in the kernel, KVM_IRQ_LINE sets the input of a vCPU's PPI, which is pending while it is high.",
    _VGIC.format("vgic.c, kvm_vgic_inject_irq; vgic-init.c, vgic_allocate_private_irqs_locked"))
GIC_SPI = RULES.add("gic.spi",
    "An SPI is edge-triggered at first: each KVM_IRQ_LINE of level 1 makes it pending for vCPU 0, until a register "
    "clears that, and level 0 does nothing.",
    _VGIC.format("vgic.c, vgic_validate_injection; vgic-init.c, kvm_vgic_dist_init"))
GIC_WAKES = RULES.add("gic.wakes",
    "An interrupt wakes a vCPU if it is pending, enabled and not active, its priority is above the vCPU's mask, and "
    "the distributor is enabled. Whether its group is (ICC_IGRPEN1_EL1) does not matter.",
    _VGIC.format("vgic.c, kvm_vgic_vcpu_pending_irq"))
GIC_SLEEPS = RULES.add("gic.sleeps",
    "A vCPU sleeps on, in CPU_SUSPEND, in WFI and as SUSPENDED, while any of that is missing.",
    _VGIC.format("vgic.c, kvm_vgic_vcpu_pending_irq"))
GIC_MISSED = RULES.add("gic.missed",
    "An interrupt that becomes pending, or is at the end of a KVM_RUN, while the distributor is disabled does not wake "
    "once userspace enables it, until something of the interrupt is set again.",
    _VGIC.format("vgic-mmio-v3.c, vgic_mmio_uaccess_write_v3_misc; vgic.c, vgic_target_oracle, vgic_prune_ap_list"))
GIC_WRITE = RULES.add("gic.write",
    "KVM_SET_DEVICE_ATTR sets what is enabled, pending, active, and of which priority, a vCPU's mask and groups, and "
    "the distributor, at any time while no vCPU is in KVM_RUN.",
    "Documentation/virt/kvm/devices/arm-vgic-v3.rst; " + _VGIC.format("vgic-kvm-device.c, vgic_v3_attr_regs_access"))
GIC_BUSY = RULES.add("gic.write.busy",
    "KVM_SET_DEVICE_ATTR of a register returns EBUSY while any vCPU is in KVM_RUN, and changes nothing.",
    "Documentation/virt/kvm/devices/arm-vgic-v3.rst; " + _VGIC.format("vgic-kvm-device.c, vgic_v3_attr_regs_access"))
GIC_NOT_READY = RULES.add("gic.uninitialized",
    "Before a GICv3 is initialized, KVM_IRQ_LINE of its interrupts and KVM_SET_DEVICE_ATTR of a register return EBUSY; "
    "a GICv2 is initialized by them. Linux 7.2 looks at that before the number of the interrupt, and 6.12 after it.",
    _ARM.format("kvm_vm_ioctl_irq_line") + "; "
    + _VGIC.format("vgic-init.c, vgic_lazy_init; vgic-kvm-device.c, vgic_v3_attr_regs_access"))
GIC_READY = RULES.add("gic.initialize",
    "KVM_DEV_ARM_VGIC_CTRL_INIT succeeds, also once more.", _VGIC.format("vgic-init.c, vgic_init"))
GIC_INIT = RULES.add("gic.init",
    "KVM_ARM_VCPU_INIT and the reset by CPU_ON change nothing of the vCPU's interrupts and of its mask.",
    _ARM.format("kvm_arch_vcpu_ioctl_vcpu_init") + "; arch/arm64/kvm/reset.c, kvm_reset_vcpu")
# fmt: on
# Those of a machine with an interrupt controller in the kernel.
GIC_RULES = tuple(one for one in RULES if one.name.startswith("gic."))
