"""The files of a target that show in which mode its KVM runs: steps of the scenario BUILD (scenario/facts.py).

A booted guest, a restored one and a lab machine answer in the same way. Some files need root on a machine with
kernel.dmesg_restrict=1; engine/kvm_mode.py says what is known without them.
"""

from __future__ import annotations

from sysevent.scenario.steps import File

# In bytes: the messages of KVM about itself are fewer.
_LENGTH = 4096

# The page size of this process's memory, which is that of the kernel.
PAGE = File("/proc/self/smaps", "page", length=64, containing="KernelPageSize")
# What KVM logged about itself. arch/arm64/kvm/arm.c, kvm_arm_init: "kvm [1]: VHE mode initialized successfully";
# arch/riscv/kvm/main.c, riscv_kvm_init: "kvm [1]: AIA available with 7 guest external interrupts". The oldest messages
# are those of the boot.
LOG = File("/dev/kmsg", "kvm's log", length=_LENGTH, containing=";kvm")
# arch/arm64/kvm/arch_timer.c: KVM has the physical timer's interrupt if the host runs at EL2, and uses EL2's timer.
ARM64_TIMERS = File("/proc/interrupts", "kvm's timers", length=_LENGTH, containing="kvm guest ")
COMMAND_LINE = File("/proc/cmdline", "command line")
# The flags svm and vmx of the first CPU.
X86_FLAGS = File("/proc/cpuinfo", "cpu", length=_LENGTH, containing="flags\t")
# By vendor: the module, and those of its parameters that change how the exits under test come about.
X86_MODULES = {
    "amd": ("kvm_amd", ("npt", "nested")),
    "intel": ("kvm_intel", ("ept", "nested", "unrestricted_guest")),
}


def _parameters() -> tuple[File, ...]:
    return tuple(
        File(f"/sys/module/{module}/parameters/{name}", f"{module}.{name}", length=16)
        for module, names in X86_MODULES.values()
        for name in names
    )


# By architecture.
MODE: dict[str, tuple[File, ...]] = {
    "arm64": (PAGE, LOG, ARM64_TIMERS, COMMAND_LINE),
    "riscv64": (PAGE, LOG),
    "x86_64": (PAGE, LOG, X86_FLAGS, *_parameters()),
}
