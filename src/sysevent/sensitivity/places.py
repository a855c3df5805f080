"""Where kernels are mutated: the functions that produce, gate or surround events, and where their source is."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

import msgspec

from sysevent.arches import ArchName
from sysevent.errors import UsageError


class Place(msgspec.Struct, frozen=True):
    """A function, or a part of one, that is mutated."""

    # Path in the kernel tree. Several: the function has moved; all that exist are searched.
    paths: tuple[str, ...]
    # Name of the function, or a glob.
    function: str
    # Of a longer function only the `if` statements whose condition, and the cases whose label, has this identifier.
    # Empty: the whole function.
    part: str = ""

    @property
    def name(self) -> str:
        """The name in tables: the function, and the part in parentheses."""
        return f"{self.function} ({self.part})" if self.part else self.function


def _all(paths: str, *functions: str) -> tuple[Place, ...]:
    return tuple(Place(tuple(paths.split()), function) for function in functions)


def _parts(paths: str, function: str, *parts: str) -> tuple[Place, ...]:
    return tuple(Place(tuple(paths.split()), function, part) for part in parts)


_GENERIC = _parts("virt/kvm/kvm_main.c", "kvm_vm_ioctl_check_extension_generic", "KVM_CAP_SYSTEM_EVENT_DATA")

# Read in the sources of 5.10, 6.1, 6.12 and 7.2. A function that a kernel does not have is left out.
PLACES: dict[ArchName, tuple[Place, ...]] = {
    "arm64": (
        # virt/kvm/arm up to v5.7.
        *_all(
            "arch/arm64/kvm/psci.c virt/kvm/arm/psci.c",
            "psci_affinity_mask",
            "kvm_prepare_system_event",
            "kvm_psci_*",
        ),
        *_all(
            "arch/arm64/kvm/arm.c virt/kvm/arm/arm.c",
            # v5.19; mp_state was vcpu->arch.power_off before v6.0.
            "kvm_vcpu_suspend",
            "kvm_arm_vcpu_suspend",
            "kvm_arm_vcpu_suspended",
            "__kvm_arm_vcpu_power_off",
            "kvm_arm_vcpu_power_off",
            "kvm_arm_vcpu_stopped",
            "vcpu_can_run",
            # Up to v5.18: vcpu_power_off, vcpu_req_sleep.
            "vcpu_power_off",
            "kvm_vcpu_sleep",
            "vcpu_req_sleep",
            "kvm_arch_vcpu_ioctl_get_mpstate",
            "kvm_arch_vcpu_ioctl_set_mpstate",
        ),
        *_parts("arch/arm64/kvm/arm.c", "check_vcpu_requests", "KVM_REQ_SLEEP", "KVM_REQ_SUSPEND"),
        *_parts("arch/arm64/kvm/arm.c", "kvm_vm_ioctl_enable_cap", "KVM_CAP_ARM_SYSTEM_SUSPEND"),
        *_parts("arch/arm64/kvm/arm.c", "kvm_vm_ioctl_check_extension", "KVM_CAP_ARM_SYSTEM_SUSPEND"),
        *_GENERIC,
    ),
    "riscv64": (
        # v6.14 moved a part of vcpu_sbi_replace.c to vcpu_sbi_system.c.
        *_all(
            "arch/riscv/kvm/vcpu_sbi.c",
            "kvm_riscv_vcpu_sbi_system_reset",
            "kvm_riscv_vcpu_sbi_ecall",
        ),
        *_all(
            "arch/riscv/kvm/vcpu_sbi_replace.c arch/riscv/kvm/vcpu_sbi_system.c", "kvm_sbi_ext_srst_handler"
        ),
        *_parts("arch/riscv/kvm/vcpu_sbi_v01.c", "kvm_sbi_ext_v01_handler", "SBI_EXT_0_1_SHUTDOWN"),
        *_all(
            "arch/riscv/kvm/vcpu.c",
            "__kvm_riscv_vcpu_power_off",
            "kvm_riscv_vcpu_power_off",
            "__kvm_riscv_vcpu_power_on",
            "kvm_riscv_vcpu_power_on",
            "kvm_riscv_vcpu_stopped",
            "kvm_arch_vcpu_ioctl_get_mpstate",
            "kvm_arch_vcpu_ioctl_set_mpstate",
        ),
        *_parts("arch/riscv/kvm/vcpu.c", "kvm_riscv_check_vcpu_requests", "KVM_REQ_SLEEP"),
        *_GENERIC,
    ),
    "x86_64": (
        *_parts(
            "arch/x86/kvm/x86.c",
            "vcpu_enter_guest",
            "KVM_REQ_HV_CRASH",
            "KVM_REQ_HV_RESET",
            "KVM_REQ_TRIPLE_FAULT",
        ),
        *_all("arch/x86/kvm/hyperv.c", "kvm_hv_msr_set_crash_*", "kvm_hv_msr_get_crash_*"),
        *_parts(
            "arch/x86/kvm/hyperv.c",
            "kvm_hv_set_msr_pw",
            "HV_X64_MSR_CRASH_P0",
            "HV_X64_MSR_CRASH_CTL",
            "HV_X64_MSR_RESET",
        ),
        *_all("arch/x86/kvm/svm/svm.c", "shutdown_interception"),
        *_parts(
            "arch/x86/kvm/x86.c",
            "kvm_vcpu_ioctl_x86_set_vcpu_events",
            "KVM_VCPUEVENT_VALID_TRIPLE_FAULT",
        ),
        *_parts("arch/x86/kvm/x86.c", "kvm_vcpu_ioctl_x86_get_vcpu_events", "triple_fault_event"),
        *_parts("arch/x86/kvm/x86.c", "kvm_vm_ioctl_enable_cap", "KVM_CAP_X86_TRIPLE_FAULT_EVENT"),
        *_all("arch/x86/kvm/x86.c", "kvm_arch_vcpu_ioctl_get_mpstate", "kvm_arch_vcpu_ioctl_set_mpstate"),
        *_GENERIC,
    ),
}


def select(arch: ArchName, wanted: Sequence[str]) -> tuple[Place, ...]:
    """Return the places of an architecture that `--function` selects; all without one.

    A word is the name of a function of the table, a glob for such names, or PATH:FUNCTION for any other function of
    the tree. UsageError if a word selects nothing.
    """
    known = PLACES[arch]
    if not wanted:
        return known
    chosen: dict[Place, None] = {}
    for word in wanted:
        path, colon, function = word.rpartition(":")
        found = (
            [Place((path,), function)]
            if colon
            else [place for place in known if _matches(place.function, word)]
        )
        if not found:
            names = ", ".join(dict.fromkeys(place.function for place in known))
            raise UsageError(f"--function {word} is not one of {arch}: {names}; or write PATH:FUNCTION")
        # A name that a glob of the table has: that function only.
        narrow = [
            msgspec.structs.replace(place, function=word)
            if fnmatch.fnmatchcase(word, place.function)
            else place
            for place in found
        ]
        chosen |= dict.fromkeys(narrow)
    return tuple(chosen)


def _matches(function: str, word: str) -> bool:
    return fnmatch.fnmatchcase(function, word) or fnmatch.fnmatchcase(word, function)
