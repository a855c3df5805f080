"""Structures that 32-bit programs lay out differently from the kernel, and what happens to each.

The kernel translates it, refuses it, never gets it, or reads other bytes than the program meant. A structure without
a row counts as misread. The rows are about kernels as distributions ship them: a fix that was backported to stable
kernels counts for all.
"""

from __future__ import annotations

import enum
import fnmatch

import msgspec

from sysevent.arches import ARCHITECTURES


class Fate(enum.StrEnum):
    """What happens to a structure that two ABIs lay out differently."""

    # Kernel and program use different bytes, and no error is reported.
    WRONG = "wrong"
    # The ioctl's number contains the size, so the kernel returns ENOTTY.
    REFUSED = "refused"
    # A compat handler of the kernel knows both layouts.
    TRANSLATED = "translated"
    # No kernel of this architecture reads or writes it.
    ABSENT = "absent"
    # No program of that ABI can open /dev/kvm.
    UNREACHABLE = "unreachable"


class KnownDifference(msgspec.Struct, frozen=True):
    """Structures, or members, that are known to differ between ABIs."""

    # Glob of names.
    structs: str
    fate: Fate
    source: str
    # Glob of members' paths.
    members: str = "*"
    # Architectures of the kernels that this is about.
    archs: tuple[str, ...] = tuple(ARCHITECTURES)
    # Name of the ioctl that passes it: it is REFUSED only if the numbers of the two ABIs differ.
    ioctl: str = ""


def _all_but(arch: str) -> tuple[str, ...]:
    """Return every architecture but one."""
    return tuple(name for name in ARCHITECTURES if name != arch)


_MAIN = "virt/kvm/kvm_main.c, kvm_vm_compat_ioctl"

KNOWN_DIFFERENCES = (
    KnownDifference(
        "kvm_dirty_log", Fate.TRANSLATED, f"{_MAIN}, KVM_GET_DIRTY_LOG: struct compat_kvm_dirty_log"
    ),
    KnownDifference(
        "kvm_clear_dirty_log",
        Fate.TRANSLATED,
        f"{_MAIN}: struct compat_kvm_clear_dirty_log (8750f9bbda11, v5.14 and 5.10.56)",
    ),
    KnownDifference(
        "kvm_signal_mask", Fate.TRANSLATED, "virt/kvm/kvm_main.c, kvm_vcpu_compat_ioctl: get_compat_sigset"
    ),
    KnownDifference(
        "kvm_msr_filter*",
        Fate.TRANSLATED,
        "arch/x86/kvm/x86.c, kvm_arch_vm_compat_ioctl (1739c7017fb1, v6.1; before, the number differs: refused)",
        archs=("x86_64",),
    ),
    # _IOWR(KVMIO, 0xba, unsigned long): the number has a size of 4 for a 32-bit program, of 8 for the kernel, and
    # there is no compat handler. Since v6.12 the padding is explicit, and the layouts do not differ.
    KnownDifference(
        "kvm_sev_*",
        Fate.REFUSED,
        "arch/x86/kvm/x86.c, kvm_arch_vm_ioctl: KVM_MEMORY_ENCRYPT_OP by its 64-bit number alone",
        archs=("x86_64",),
        ioctl="KVM_MEMORY_ENCRYPT_OP",
    ),
    KnownDifference("kvm_dirty_tlb", Fate.ABSENT, "arch/powerpc/kvm alone has KVM_DIRTY_TLB"),
    KnownDifference(
        "kvm_debug_guest", Fate.ABSENT, "__KVM_DEPRECATED_VCPU_W_0x87: no kernel since v2.6.29 handles it"
    ),
    KnownDifference("kvm_arm_copy_mte_tags", Fate.ABSENT, "arch/arm64/kvm alone", archs=_all_but("arm64")),
    KnownDifference(
        "kvm_run",
        Fate.ABSENT,
        "arch/riscv/kvm alone exits with KVM_EXIT_RISCV_SBI and KVM_EXIT_RISCV_CSR",
        members="riscv_*",
        archs=_all_but("riscv64"),
    ),
    KnownDifference(
        "kvm_xen_exit",
        Fate.WRONG,
        "arch/x86/kvm/xen.c, kvm_xen_hypercall writes it as the 64-bit kernel lays it out (v5.12 and later)",
        archs=("x86_64",),
    ),
    KnownDifference(
        "kvm_run",
        Fate.WRONG,
        "d495f942f40a, KVM: fix bad user ABI for KVM_EXIT_SYSTEM_EVENT (v5.18-rc5): before, flags was at 40 "
        "for the kernel and at 36 for i386",
        members="system_event.flags",
        archs=("x86_64",),
    ),
)


def known_difference(struct: str, path: str, arch: str) -> KnownDifference | None:
    """Return the first row for a member; path "" is the structure's size. None if there is no row."""
    for candidate in KNOWN_DIFFERENCES:
        if (
            arch in candidate.archs
            and fnmatch.fnmatchcase(struct, candidate.structs)
            and fnmatch.fnmatchcase(path, candidate.members)
        ):
            return candidate
    return None
