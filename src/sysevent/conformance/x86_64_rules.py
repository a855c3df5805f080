"""The rules of x86's KVM: Hyper-V's MSRs (TLFS), triple faults, MP states, and what ends KVM_RUN."""

from __future__ import annotations

from sysevent.conformance.rules import Rules

RULES = Rules("x86_64")
_HYPERV = "arch/x86/kvm/hyperv.c, {}"
_X86 = "arch/x86/kvm/x86.c, {}"
_LAPIC = "arch/x86/kvm/lapic.c, kvm_apic_accept_events; "

# fmt: off
RESET = RULES.add("hyperv.reset",
    "A guest's write of 1 to HV_X64_MSR_RESET exits as RESET without data, behind the WRMSR: type and ndata are "
    "written, and no other byte of the union. No vCPU is stopped.",
    _HYPERV.format("kvm_hv_set_msr_pw; arch/x86/kvm/x86.c, vcpu_enter_guest, KVM_REQ_HV_RESET"))
RESET_IGNORED = RULES.add("hyperv.reset.ignored",
    "A guest's write of another value to HV_X64_MSR_RESET does nothing.", _HYPERV.format("kvm_hv_set_msr_pw"))
CRASH = RULES.add("hyperv.crash",
    "A guest's write to HV_X64_MSR_CRASH_CTL with bit 63 exits as CRASH without data, and is else as a reset.",
    _HYPERV.format("kvm_hv_set_msr_pw; arch/x86/kvm/x86.c, vcpu_enter_guest, KVM_REQ_HV_CRASH"))
CRASH_IGNORED = RULES.add("hyperv.crash.ignored",
    "A guest's write to HV_X64_MSR_CRASH_CTL without bit 63 does nothing.", _HYPERV.format("kvm_hv_set_msr_pw"))
PARAMETER = RULES.add("hyperv.crash.parameter",
    "A guest's write to HV_X64_MSR_CRASH_P0 to P4 is kept for the whole VM.",
    _HYPERV.format("kvm_hv_msr_set_crash_data"))
ABSENT = RULES.add("hyperv.absent",
    "Without Hyper-V's CPUID a guest's write to its MSRs is #GP, which without an IDT exits as SHUTDOWN, with no byte "
    "of the union written. The reset by SVM leaves other registers than the fault.",
    _HYPERV.format("kvm_hv_set_msr_common; arch/x86/kvm/svm/svm.c, shutdown_interception; arch/x86/kvm/vmx/vmx.c, "
                   "handle_triple_fault"))
ENFORCED = RULES.add("hyperv.enforced",
    "Once CPUID is enforced, a guest's write to an MSR whose feature bit is clear is #GP, too.",
    _HYPERV.format("hv_check_msr_access"))
UNKNOWN_MSR = RULES.add("msr.unknown",
    "A guest's write to an MSR that no CPU has is #GP, too.", _X86.format("kvm_set_msr_common"))
HOST_RESET = RULES.add("host.reset",
    "Userspace that sets HV_X64_MSR_RESET to 1 requests the same event, whatever the guest's CPUID says; it comes at "
    "the next KVM_RUN, before the guest.",
    _HYPERV.format("kvm_hv_set_msr_pw"))
HOST_SET = RULES.add("host.set",
    "Userspace's other writes to HV_X64_MSR_RESET and those to HV_X64_MSR_CRASH_CTL and HV_X64_MSR_CRASH_P0 to P4 "
    "request nothing.",
    _HYPERV.format("kvm_hv_set_msr_pw: host"))
HOST_GET = RULES.add("host.get",
    "Userspace reads 0 from HV_X64_MSR_RESET, bit 63 as it has set it from HV_X64_MSR_CRASH_CTL, and the last value "
    "that guest or userspace wrote from HV_X64_MSR_CRASH_P0 to P4.",
    _HYPERV.format("kvm_hv_get_msr_pw"))
ORDER = RULES.add("run.order",
    "Events that are requested come one at each KVM_RUN: triple fault, then CRASH, then RESET; a signal that is "
    "pending waits for each of them.",
    _X86.format("vcpu_enter_guest"))
TRIPLE_FAULT = RULES.add("events.triple_fault",
    "KVM_SET_VCPU_EVENTS with triple_fault.pending, once enabled, makes the next KVM_RUN exit as SHUTDOWN, with no "
    "byte of the union written and no register changed; the guest goes on after that.",
    _X86.format("kvm_vcpu_ioctl_x86_set_vcpu_events, vcpu_enter_guest; ed2351174e38, v6.0"))
TRIPLE_FAULT_REFUSED = RULES.add("events.triple_fault.disabled",
    "Unless it is enabled, KVM_SET_VCPU_EVENTS refuses it with EINVAL.",
    _X86.format("kvm_vcpu_ioctl_x86_set_vcpu_events; ed2351174e38, v6.0"))
MCE = RULES.add("mce",
    "KVM_X86_SET_MCE of an error that is not corrected requests a triple fault of a guest with CR4.MCE clear, also if "
    "KVM_CAP_X86_TRIPLE_FAULT_EVENT is off.",
    _X86.format("kvm_vcpu_ioctl_x86_set_mce; Documentation/virt/kvm/api.rst, KVM_X86_SET_MCE"))
MCE_IGNORED = RULES.add("mce.ignored",
    "KVM_X86_SET_MCE of an error that is corrected requests nothing, and neither does one before KVM_X86_SETUP_MCE.",
    _X86.format("kvm_vcpu_ioctl_x86_set_mce"))
MCE_REFUSED = RULES.add("mce.refused",
    "KVM_X86_SET_MCE without the bit VAL returns EINVAL.", _X86.format("kvm_vcpu_ioctl_x86_set_mce"))
SET_UP_MCE = RULES.add("mce.set_up",
    "KVM_X86_SETUP_MCE of one bank succeeds at any time.", _X86.format("kvm_vcpu_ioctl_x86_setup_mce"))
SEND_NMI = RULES.add("nmi.send",
    "KVM_NMI makes an NMI pending, in each state of the vCPU.", _X86.format("kvm_vcpu_ioctl_nmi, kvm_inject_nmi"))
NMI = RULES.add("nmi",
    "An NMI that is pending comes before the guest's next instruction, behind all events that are requested: without "
    "an IDT it exits as SHUTDOWN, with no byte of the union written. The reset by SVM ends all NMIs and "
    "leaves them masked until KVM_SET_VCPU_EVENTS. One whose delivery a signal ends comes at the next KVM_RUN, unless "
    "KVM_SET_VCPU_EVENTS has cleared it.",
    _X86.format("process_nmi, kvm_check_and_inject_events; arch/x86/kvm/svm/svm.c, shutdown_interception"))
NMI_WAKES = RULES.add("nmi.wakes",
    "An NMI wakes a vCPU as a triple fault does, but a second one does not while they are masked.",
    _X86.format("kvm_vcpu_has_events, vcpu_block"))
EVENTS = RULES.add("events.get",
    "KVM_GET_VCPU_EVENTS says whether a triple fault is pending, once that is enabled, and 0 before.",
    _X86.format("kvm_vcpu_ioctl_x86_get_vcpu_events"))
OUT = RULES.add("io.out",
    "An OUT exits as IO: direction, size, port, count and offset of the data are written, and no other byte of the "
    "union.",
    _X86.format("emulator_pio_in_out"))
COMPLETED = RULES.add("io.completed",
    "KVM_RUN after such an exit moves the program counter past the OUT, unless userspace has moved it, before it looks "
    "at immediate_exit or signals.",
    _X86.format("complete_fast_pio_out, kvm_arch_vcpu_ioctl_run"))
IMMEDIATE = RULES.add("run.immediate_exit",
    "KVM_RUN with immediate_exit returns EINTR, writes nothing to kvm_run but its flags, and delivers no event.",
    "Documentation/virt/kvm/api.rst, immediate_exit; arch/x86/kvm/x86.c, kvm_arch_vcpu_ioctl_run")
SIGNALLED = RULES.add("run.signal",
    "KVM_RUN with a signal pending and no event returns EINTR with the exit reason INTR, and runs nothing.",
    _X86.format("vcpu_run, xfer_to_guest_mode_handle_work"))
BLOCKS = RULES.add("run.blocks",
    "KVM_RUN of a vCPU that is HALTED, in AP_RESET_HOLD or UNINITIALIZED blocks until a signal, also if userspace has "
    "requested a reset, which stays requested.",
    _X86.format("vcpu_block, kvm_arch_vcpu_ioctl_run"))
WAKES = RULES.add("run.wakes",
    "A triple fault that userspace has requested wakes a vCPU that is HALTED or in AP_RESET_HOLD, which becomes "
    "RUNNABLE and exits as SHUTDOWN, or is interrupted before that if a signal is pending. KVM_RUN of one that is "
    "UNINITIALIZED returns EAGAIN then, and writes nothing to kvm_run but its flags.",
    _X86.format("kvm_vcpu_has_events, kvm_is_exception_pending, vcpu_block, kvm_arch_vcpu_ioctl_run"))
KICK = RULES.add("hypercall.kick",
    "KVM_HC_KICK_CPU returns 0, also for a vCPU that does not exist or does not sleep; a number that no hypercall has "
    "returns -1000. The result may be in hypercall.ret of kvm_run, too.",
    _X86.format("kvm_emulate_hypercall, complete_hypercall_exit; Documentation/virt/kvm/x86/hypercalls.rst"))
KICKED = RULES.add("run.kicked",
    "A vCPU that another one has kicked, before it slept or since, is woken as by a triple fault, once; "
    "KVM_GET_MP_STATE gives RUNNABLE for one that is HALTED or in AP_RESET_HOLD. The vCPU that was created last may "
    "not be found.",
    _X86.format("kvm_pv_kick_cpu_op, kvm_arch_vcpu_ioctl_get_mpstate, vcpu_block; 6aef266c6e17, v3.12; "
                "arch/x86/kvm/lapic.c, kvm_recalculate_apic_map"))
MSI = RULES.add("apic.msi",
    "KVM_SIGNAL_MSI of an INIT or a SIPI returns 1 and makes it pending for the vCPU of that APIC ID; an INIT takes a "
    "SIPI back. The vCPU that was created last may not be found: then it returns 0.",
    "arch/x86/kvm/irq_comm.c, kvm_set_msi; arch/x86/kvm/lapic.c, __apic_accept_irq, kvm_recalculate_apic_map")
MSI_REFUSED = RULES.add("apic.msi.refused",
    "KVM_SIGNAL_MSI is EINVAL without local APICs in the kernel.", "virt/kvm/irqchip.c, kvm_send_userspace_msi")
INIT = RULES.add("apic.init",
    "An INIT resets a vCPU other than the first, which is then INIT_RECEIVED and blocks in KVM_RUN until a SIPI. That "
    "comes before the guest's next instruction, behind all events that are requested, and at KVM_GET_MP_STATE; KVM_RUN "
    "of one that is UNINITIALIZED returns EAGAIN then.",
    _LAPIC + _X86.format("vcpu_enter_guest, vcpu_block, kvm_arch_vcpu_ioctl_run"))
SIPI = RULES.add("apic.sipi",
    "A SIPI makes a vCPU that is INIT_RECEIVED RUNNABLE, at the page of its vector.",
    _LAPIC + _X86.format("kvm_vcpu_deliver_sipi_vector"))
SIPI_DROPPED = RULES.add("apic.sipi.dropped",
    "A SIPI to a vCPU in another state is dropped, but wakes one that is HALTED or in AP_RESET_HOLD, unless "
    "KVM_GET_MP_STATE comes before KVM_RUN; KVM_RUN of one that is UNINITIALIZED returns EAGAIN.",
    _LAPIC + _X86.format("kvm_vcpu_has_events, vcpu_block"))
GET_STATE = RULES.add("mp_state.get",
    "KVM_GET_MP_STATE gives the state that KVM_SET_MP_STATE left; no event but a triple fault that wakes changes it. "
    "With local APICs in the kernel all vCPUs but the first begin as UNINITIALIZED.",
    _X86.format("kvm_arch_vcpu_ioctl_get_mpstate, kvm_arch_vcpu_create"))
SET_STATE = RULES.add("mp_state.set",
    "KVM_SET_MP_STATE takes RUNNABLE, and with local APICs in the kernel UNINITIALIZED, INIT_RECEIVED, HALTED and "
    "AP_RESET_HOLD.",
    _X86.format("kvm_arch_vcpu_ioctl_set_mpstate"))
SET_STATE_REFUSED = RULES.add("mp_state.refused",
    "KVM_SET_MP_STATE refuses those four without local APICs in the kernel, and all states of other architectures, "
    "with EINVAL, and changes nothing.",
    _X86.format("kvm_arch_vcpu_ioctl_set_mpstate"))
ENABLE = RULES.add("cap.triple_fault_event",
    "KVM_ENABLE_CAP of KVM_CAP_X86_TRIPLE_FAULT_EVENT turns it on (1) and off (0) at any time; with flags it "
    "is EINVAL.",
    _X86.format("kvm_vm_ioctl_enable_cap"))
ENFORCE = RULES.add("cap.enforce_cpuid",
    "KVM_ENABLE_CAP of KVM_CAP_HYPERV_ENFORCE_CPUID turns it on (1) and off (0) for one vCPU, at any time; with flags "
    "it is EINVAL.",
    _HYPERV.format("kvm_hv_set_enforce_cpuid; 644f706719f0, v5.14"))
# fmt: on
