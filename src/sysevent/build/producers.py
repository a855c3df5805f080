"""The producers: the files and functions of a kernel that make events, decide about them, or set their state.

A kernel for `sysevent explore --coverage` is instrumented in these files alone, and has line numbers of these alone.
scripts/Makefile.lib lets variables of make decide that for one object, `KCOV_INSTRUMENT_psci.o=y` and
`CFLAGS_psci.o=-g1`, so no Makefile of the user's tree is edited, and the kernel is built and runs almost as fast as
another one. Code of nVHE (arch/arm64/kvm/hyp) cannot be instrumented: it has no `current`.
"""

from __future__ import annotations

import fnmatch
from pathlib import PurePosixPath

import msgspec

from sysevent.arches import ArchName


class Producer(msgspec.Struct, frozen=True):
    """A source file of a kernel, or some functions of it."""

    # In the kernel tree.
    path: str
    # What it does for an event.
    why: str
    # Names of functions, or globs; empty: all of the file.
    functions: tuple[str, ...] = ()

    def has(self, function: str) -> bool:
        """Return whether a function of the file is one of the producer's."""
        return not self.functions or any(fnmatch.fnmatchcase(function, name) for name in self.functions)


def _some(path: str, why: str, functions: str) -> Producer:
    return Producer(path, why, tuple(functions.split()))


# Read in 6.12 and 7.2; a function or a file that a kernel does not have is left out.
PRODUCERS: dict[ArchName, tuple[Producer, ...]] = {
    "arm64": (
        Producer(
            "arch/arm64/kvm/psci.c", "PSCI calls: which of them exit as events, and which start or stop vCPUs"
        ),
        _some(
            "arch/arm64/kvm/hypercalls.c",
            "which calls of a guest reach PSCI, and the registers of the firmware interface",
            "kvm_smccc_call_handler kvm_smccc_get_action kvm_smccc_test_fw_bmap kvm_smccc_default_allowed "
            "kvm_arm_get_fw_reg kvm_arm_set_fw_reg kvm_arm_set_fw_reg_bmap kvm_arm_get_fw_num_regs "
            "kvm_arm_copy_fw_reg_indices kvm_arm_init_hypercalls",
        ),
        _some(
            "arch/arm64/kvm/arm.c",
            "MP states, KVM_RUN around an event, what wakes a vCPU, and the capabilities of events",
            "kvm_arch_vcpu_ioctl_run check_vcpu_requests kvm_vcpu_exit_request kvm_vcpu_suspend kvm_vcpu_sleep "
            "kvm_vcpu_wfi *kvm_arm_vcpu_power_off kvm_arm_vcpu_stopped kvm_arm_vcpu_suspend kvm_arm_vcpu_suspended "
            "vcpu_can_run vcpu_power_off vcpu_req_sleep kvm_arch_vcpu_ioctl_?et_mpstate kvm_arch_vcpu_runnable "
            "kvm_vm_ioctl_enable_cap vcpu_interrupt_line kvm_vm_ioctl_irq_line kvm_arch_vcpu_ioctl_vcpu_init "
            "*kvm_vcpu_set_target kvm_vcpu_init_changed kvm_arch_vcpu_run_pid_change",
        ),
        _some(
            "arch/arm64/kvm/reset.c",
            "the registers of a vCPU that CPU_ON or a reset starts",
            "kvm_reset_vcpu",
        ),
        _some(
            "arch/arm64/kvm/handle_exit.c",
            "how the instruction of a call gets to its handler",
            "handle_hvc handle_smc kvm_handle_wfx handle_exit handle_trap_exceptions",
        ),
    ),
    "riscv64": (
        Producer("arch/riscv/kvm/vcpu_sbi.c", "SBI calls: which extension answers, and how an event exits"),
        Producer("arch/riscv/kvm/vcpu_sbi_hsm.c", "calls that start, stop and suspend harts"),
        _some(
            "arch/riscv/kvm/vcpu_sbi_replace.c",
            "the call of a system reset; v6.14 moved others to vcpu_sbi_system.c",
            "kvm_sbi_ext_srst_handler kvm_sbi_ext_ipi_handler kvm_sbi_ext_time_handler",
        ),
        Producer("arch/riscv/kvm/vcpu_sbi_system.c", "the call of a suspend of the system; v6.14"),
        Producer("arch/riscv/kvm/vcpu_sbi_v01.c", "the shutdown of SBI 0.1"),
        Producer("arch/riscv/kvm/vcpu_sbi_base.c", "which extensions a guest finds"),
        _some(
            "arch/riscv/kvm/vcpu.c",
            "MP states, KVM_RUN around an event, and what wakes a hart",
            "kvm_riscv_reset_vcpu kvm_arch_vcpu_ioctl_run kvm_riscv_check_vcpu_requests *kvm_riscv_vcpu_power_o* "
            "kvm_riscv_vcpu_stopped kvm_arch_vcpu_ioctl_?et_mpstate kvm_arch_vcpu_runnable "
            "kvm_riscv_vcpu_set_interrupt kvm_riscv_vcpu_unset_interrupt kvm_riscv_vcpu_has_interrupts "
            "kvm_riscv_vcpu_flush_interrupts kvm_riscv_vcpu_sync_interrupts kvm_arch_vcpu_async_ioctl",
        ),
        _some(
            "arch/riscv/kvm/vcpu_exit.c",
            "how the instruction of a call gets to its handler",
            "kvm_riscv_vcpu_exit",
        ),
    ),
    "x86_64": (
        _some(
            "arch/x86/kvm/hyperv.c",
            "the MSRs that report a crash, and that reset the machine",
            "kvm_hv_msr_?et_crash_* kvm_hv_?et_msr_pw kvm_hv_?et_msr_common kvm_hv_msr_partition_wide "
            "hv_check_msr_access",
        ),
        _some(
            "arch/x86/kvm/x86.c",
            "requests that exit as events, triple faults, vCPU events, MP states, and the capabilities of events",
            "vcpu_enter_guest vcpu_run vcpu_block kvm_arch_vcpu_ioctl_run kvm_vcpu_ioctl_x86_?et_vcpu_events "
            "kvm_arch_vcpu_ioctl_?et_mpstate kvm_multiple_exception kvm_vm_ioctl_enable_cap kvm_check_nested_events "
            "kvm_vcpu_running kvm_vcpu_has_events kvm_apic_accept_events kvm_emulate_halt* __kvm_emulate_halt "
            "kvm_inject_exception kvm_check_and_inject_events",
        ),
        _some(
            "arch/x86/kvm/svm/svm.c",
            "the triple fault of a guest, and its INIT",
            "shutdown_interception init_vmcb",
        ),
        _some("arch/x86/kvm/lapic.c", "INIT and SIPI of other vCPUs", "kvm_apic_accept_events"),
    ),
}


def paths(arch: ArchName) -> tuple[str, ...]:
    """Return the files of an architecture's producers."""
    return tuple(producer.path for producer in PRODUCERS[arch])


def instrument(arch: ArchName) -> tuple[str, ...]:
    """Return the variables of make that instrument the producers of an architecture, and nothing else.

    The name of an object in its variable has the path from the directory of its Makefile; before v5.13 it had none.
    """
    found: dict[str, None] = {}
    for path in map(PurePosixPath, paths(arch)):
        for name in (_below_kvm(path), PurePosixPath(path.name)):
            objects = name.with_suffix(".o")
            found[f"KCOV_INSTRUMENT_{objects}=y"] = None
            # Functions, inlined ones, and line numbers.
            found[f"CFLAGS_{objects}=-g1"] = None
    return tuple(found)


def _below_kvm(path: PurePosixPath) -> PurePosixPath:
    """Return a path as the Makefile of arch/*/kvm has it."""
    return PurePosixPath(*path.parts[path.parts.index("kvm") + 1 :])
