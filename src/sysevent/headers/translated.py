"""Structures that 32-bit programs lay out otherwise, and what becomes of each.

The kernel translates it, refuses it, never gets it, or reads other bytes than were meant. What no row speaks
of is held to be wrong. Rows speak of kernels as distributions ship them: a repair that stable kernels got counts
for all.
"""

from __future__ import annotations

import enum
import fnmatch

import msgspec

from sysevent.arches import ARCHITECTURES


class Fate(enum.StrEnum):
    """What happens to a structure that two ABIs lay out differently."""

    WRONG = "wrong"  # kernel and program mean different bytes, and nobody notices
    REFUSED = "refused"  # the ioctl's number holds the size, so the kernel answers ENOTTY
    TRANSLATED = "translated"  # a compat handler knows both layouts
    ABSENT = "absent"  # no kernel of this architecture reads or writes it
    UNREACHABLE = "unreachable"  # no program of that ABI gets to KVM


class Row(msgspec.Struct, frozen=True):
    """What is known of a structure."""

    structs: str  # a glob of names
    fate: Fate
    source: str
    members: str = "*"  # a glob of paths, when only these are meant
    archs: tuple[str, ...] = tuple(ARCHITECTURES)  # whose kernels it is said of
    ioctl: str = ""  # by which it travels: REFUSED holds only as long as its numbers differ


def _all_but(arch: str) -> tuple[str, ...]:
    """The architectures whose kernels have nothing to do with what only one has."""
    return tuple(name for name in ARCHITECTURES if name != arch)


_MAIN = "virt/kvm/kvm_main.c, kvm_vm_compat_ioctl"

ROWS = (
    Row("kvm_dirty_log", Fate.TRANSLATED, f"{_MAIN}, KVM_GET_DIRTY_LOG: struct compat_kvm_dirty_log"),
    Row(
        "kvm_clear_dirty_log",
        Fate.TRANSLATED,
        f"{_MAIN}: struct compat_kvm_clear_dirty_log (8750f9bbda11, v5.14 and 5.10.56)",
    ),
    Row("kvm_signal_mask", Fate.TRANSLATED, "virt/kvm/kvm_main.c, kvm_vcpu_compat_ioctl: get_compat_sigset"),
    Row(
        "kvm_msr_filter*",
        Fate.TRANSLATED,
        "arch/x86/kvm/x86.c, kvm_arch_vm_compat_ioctl (1739c7017fb1, v6.1; before, the number differs: refused)",
        archs=("x86_64",),
    ),
    # _IOWR(KVMIO, 0xba, unsigned long): four bytes in the number of a 32-bit program, eight in the kernel's,
    # and no compat handler. v6.12 has explicit padding: the layouts no longer differ.
    Row(
        "kvm_sev_*",
        Fate.REFUSED,
        "arch/x86/kvm/x86.c, kvm_arch_vm_ioctl: KVM_MEMORY_ENCRYPT_OP by its 64-bit number alone",
        archs=("x86_64",),
        ioctl="KVM_MEMORY_ENCRYPT_OP",
    ),
    Row("kvm_dirty_tlb", Fate.ABSENT, "arch/powerpc/kvm alone has KVM_DIRTY_TLB"),
    Row("kvm_debug_guest", Fate.ABSENT, "__KVM_DEPRECATED_VCPU_W_0x87: no kernel since v2.6.29 handles it"),
    Row("kvm_arm_copy_mte_tags", Fate.ABSENT, "arch/arm64/kvm alone", archs=_all_but("arm64")),
    Row(
        "kvm_run",
        Fate.ABSENT,
        "arch/riscv/kvm alone exits with KVM_EXIT_RISCV_SBI and KVM_EXIT_RISCV_CSR",
        members="riscv_*",
        archs=_all_but("riscv64"),
    ),
    Row(
        "kvm_xen_exit",
        Fate.WRONG,
        "arch/x86/kvm/xen.c, kvm_xen_hypercall writes it as the 64-bit kernel lays it out (v5.12 and later)",
        archs=("x86_64",),
    ),
    Row(
        "kvm_run",
        Fate.WRONG,
        "d495f942f40a, KVM: fix bad user ABI for KVM_EXIT_SYSTEM_EVENT (v5.18-rc5): before, flags was at 40 "
        "for the kernel and at 36 for i386",
        members="system_event.flags",
        archs=("x86_64",),
    ),
)


def row(struct: str, path: str, arch: str) -> Row | None:
    """What is known of a member; "" stands for the structure's size alone. None when nothing is."""
    for candidate in ROWS:
        if (
            arch in candidate.archs
            and fnmatch.fnmatchcase(struct, candidate.structs)
            and fnmatch.fnmatchcase(path, candidate.members)
        ):
            return candidate
    return None
