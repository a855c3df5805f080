"""State of x86-64 vCPUs that userspace sets: modes, the reset state, pending exceptions, machine checks.

The registers of every mode are complete: nothing is left as an earlier step, or KVM, set it.
"""

from __future__ import annotations

import struct

import msgspec

from sysevent.abi.ioctls import Request
from sysevent.abi.mp_state import MpState
from sysevent.abi.x86_64 import (
    CR0_PE,
    CR0_PG,
    CR0_RESET,
    CR4_MCE,
    CR4_PAE,
    CR4_PSE,
    EFER_LMA,
    EFER_LME,
    MCG_CTL_P,
    MCG_STATUS_MCIP,
    MCG_STATUS_RIPV,
    MCI_STATUS_EN,
    MCI_STATUS_PCC,
    MCI_STATUS_UC,
    MCI_STATUS_VAL,
    RFLAGS_RESET,
    VCPUEVENT_VALID_NMI_PENDING,
    VCPUEVENT_VALID_SHADOW,
    VCPUEVENT_VALID_SIPI_VECTOR,
    VCPUEVENT_VALID_SMM,
    VCPUEVENT_VALID_TRIPLE_FAULT,
)
from sysevent.scenario import ioctls
from sysevent.scenario.steps import RAM_SIZE, Ioctl, Memory, Step, Write
from sysevent.scenario.x86_64 import HYPERV_CPUID, RAM, RETURNED_PORT, Leaves

# Page tables, in guest memory behind the payload.
_TABLES = RAM + 0x4000
_PAGE = 0x1000
# Bits of an entry of a page table: present, writable, accessed; a large page.
_TABLE, _LARGE = 0x23, 0xE3
# The initial value of IA32_APIC_BASE: address, enabled; the processor that boots.
_APIC_BASE, _BOOTS = 0xFEE0_0800, 0x100

# Types of segments: code and data that were accessed, a local descriptor table, a task state segment that is in use.
_CODE, _DATA, _LDT, _TSS = 11, 3, 2, 11
# Where a CPU begins after its reset: RIP, and the base of the code segment.
RESET_RIP, RESET_BASE = 0xFFF0, 0xFFFF_0000
_ROM_SIZE = 0x1_0000
# outb %al, $RETURNED_PORT; jmp to it.
OUT = bytes((0xE6, RETURNED_PORT, 0xEB, 0xFC))
# Descriptor tables, and code for all exceptions, in guest memory behind the page tables.
_GDT, _IDT, HANDLER, STACK = RAM + 0x7000, RAM + 0x7100, RAM + 0x7200, RAM + 0x7800
# Vectors of exceptions.
_EXCEPTIONS = 32


def _segment(
    base: int, limit: int, selector: int, kind: int, *, system: bool = False, bits: int = 16
) -> bytes:
    """Return struct kvm_segment. bits: the default size of operands, with which limits count in pages if not 16."""
    big = bits != 16
    # base, limit, selector; type, present, dpl, db, s, l, g, avl, unusable, padding.
    flags = (kind, 1, 0, bits == 32, not system, bits == 64, big, 0, 0, 0)
    return struct.pack("<QIH10B", base, limit, selector, *flags)


# The leaves of a CPU that has long mode: of the extended features bit 29, LM.
LONG_CPUID: Leaves = (
    *HYPERV_CPUID,
    (0x8000_0000, 0x8000_0001, 0, 0, 0),
    (0x8000_0001, 0, 0, 0, 1 << 29),
)

# The leaves of a CPU that has SVM, for a guest that is a hypervisor: of the extended features SVM (bit 2 of ECX)
# and long mode, and revision 1 with 8 address spaces.
NESTED_CPUID: Leaves = (
    *HYPERV_CPUID,
    (0x8000_0000, 0x8000_000A, 0, 0, 0),
    (0x8000_0001, 0, 0, 1 << 2, 1 << 29),
    (0x8000_000A, 1, 8, 0, 0),
)


class Mode(msgspec.Struct, frozen=True):
    """A mode in which a guest's CPU executes a payload."""

    cr0: int
    cr4: int = 0
    efer: int = 0
    # The default size of operands, and of addresses.
    bits: int = 32
    # Base of the code segment.
    base: int = 0
    # Addresses of the descriptor tables, of segments and of interrupts; 0: the table has no entry.
    gdt: int = 0
    idt: int = 0


MODES = {
    # Segments are limited to 64 KiB, so the code segment begins where the payload lies.
    "real": Mode(CR0_RESET, bits=16, base=RAM),
    # Protected mode with the page tables of a 32-bit guest: one page of 4 MiB.
    "paged": Mode(CR0_RESET | CR0_PE | CR0_PG, CR4_PSE),
    # A machine check is an exception, not a shutdown; for every exception there is a handler (HANDLERS).
    "machine_check": Mode(CR0_RESET | CR0_PE, CR4_MCE, gdt=_GDT, idt=_IDT),
    # The descriptor of an exception lies on a page that is not present.
    "no_idt_page": Mode(CR0_RESET | CR0_PE | CR0_PG, CR4_PSE, idt=0x80_0000),
    "no_vector_table": Mode(CR0_RESET, bits=16, base=RAM, idt=0x80_0000),
    # Long mode that executes code of 32 bits.
    "compatibility": Mode(CR0_RESET | CR0_PE | CR0_PG, CR4_PAE, EFER_LME | EFER_LMA),
    "long": Mode(CR0_RESET | CR0_PE | CR0_PG, CR4_PAE, EFER_LME | EFER_LMA, bits=64),
}
_FLAT = 0xFFFF_FFFF
# Of a machine check: an error that the hardware has not corrected, and one that it has.
UNCORRECTED = MCI_STATUS_VAL | MCI_STATUS_UC | MCI_STATUS_EN | MCI_STATUS_PCC
CORRECTED = MCI_STATUS_VAL | MCI_STATUS_EN


def _sregs(code: bytes, data: bytes, mode: Mode, vcpu: int) -> bytes:
    """Return struct kvm_sregs. By default the IDT has no entry: every exception becomes a triple fault."""
    system = _segment(0, 0xFFFF, 0, _TSS, system=True) + _segment(0, 0xFFFF, 0, _LDT, system=True)
    limits = ((table, 0xFF if table else 0) for table in (mode.gdt, mode.idt))
    tables = b"".join(struct.pack("<QH6x", *table) for table in limits)
    cr3 = _TABLES if mode.cr0 & CR0_PG else 0
    control = struct.pack("<5Q", mode.cr0, 0, cr3, mode.cr4, 0)
    rest = struct.pack("<QQ32x", mode.efer, _APIC_BASE | (0 if vcpu else _BOOTS))
    return code + data * 5 + system + tables + control + rest


def _page_tables(mode: Mode) -> bytes:
    """Return the tables that map the first 4 MiB, or 2 MiB, of guest memory to itself."""
    if not mode.efer:
        return struct.pack("<I", _LARGE)
    levels = (_TABLES + _PAGE | _TABLE, _TABLES + 2 * _PAGE | _TABLE, _LARGE)
    return b"".join(struct.pack("<Q", entry).ljust(_PAGE, b"\0") for entry in levels)


# In System Management Mode KVM uses the slots of address space 1 (api.rst, KVM_SET_USER_MEMORY_REGION,
# KVM_CAP_MULTI_ADDRESS_SPACE).
SMM_SLOT = 1 << 16
# The guest's memory as it is there.
SMM_MEMORY = Memory(RAM, RAM_SIZE, SMM_SLOT)
# Where that mode saves the state of a CPU that was reset.
_SMRAM = 0x3_0000
# The steps that let RSM return to HANDLER, but with an invalid CR4: by their offsets in the state of a CPU without long
# mode (arch/x86/kvm/smm.h, struct kvm_smram_state_32) CR4, a flat code segment of 32 bits, and EIP.
BROKEN_SMRAM: tuple[Step, ...] = (
    Memory(_SMRAM, RAM_SIZE, SMM_SLOT | 1),
    Write(_SMRAM + 0xFF14, b"\xff" * 4),
    Write(_SMRAM + 0xFF90, struct.pack("<III", 0x00C0_9B00, _FLAT, 0)),
    Write(_SMRAM + 0xFFF0, struct.pack("<I", HANDLER)),
)


def set_mode(name: str, vcpu: int = 0) -> tuple[Step, ...]:
    """Return the steps that put a vCPU into a mode of MODES, or, as "smm", into System Management Mode.

    They come after the Entry, whose base must be that of the mode: base_of(). In SMM the CPU stays in flat protected
    mode, and sees the same memory. "" is no step: the mode that an Entry gives.
    """
    if not name:
        return ()
    if name == "smm":
        return (SMM_MEMORY, set_events(vcpu, smm=True))
    mode = MODES[name]
    limit = 0xFFFF if mode.bits == 16 else _FLAT
    code = _segment(mode.base, limit, 8, _CODE, bits=mode.bits)
    data = _segment(0, limit, 16, _DATA, bits=32 if mode.bits == 64 else mode.bits)
    sregs = Ioctl(vcpu, Request.SET_SREGS_X86, buffer=_sregs(code, data, mode, vcpu))
    return (Write(_TABLES, _page_tables(mode)), sregs) if mode.cr0 & CR0_PG else (sregs,)


def base_of(name: str) -> int:
    """Return the base of the code segment in a mode of set_mode()."""
    return MODES[name].base if name in MODES else 0


def set_events(
    vcpu: int = 0,
    *,
    injected: int | None = None,
    error_code: bool = False,
    smm: bool = False,
    smi: bool = False,
    sipi_vector: int | None = None,
    label: str = "",
) -> Ioctl:
    """Return the step KVM_SET_VCPU_EVENTS: nothing is pending but what the arguments say.

    injected: the vector of an exception whose delivery has begun, with error_code as one that has an error code. smm:
    whether the CPU is in System Management Mode; smi: whether an SMI is pending. sipi_vector: the page on which a CPU
    begins that gets SIPI.
    """
    exception = struct.pack(
        "<BBBBI", injected is not None, injected or 0, injected is not None and error_code, 0, 0
    )
    flags = VCPUEVENT_VALID_NMI_PENDING | VCPUEVENT_VALID_SHADOW | VCPUEVENT_VALID_SMM
    if sipi_vector is not None:
        flags |= VCPUEVENT_VALID_SIPI_VECTOR
    buffer = exception + struct.pack("<8xIIBB38x", sipi_vector or 0, flags, smm, smi)
    return Ioctl(vcpu, Request.SET_VCPU_EVENTS_X86, buffer=buffer, label=label)


def get_events(label: str, vcpu: int = 0) -> Ioctl:
    """Return the step KVM_GET_VCPU_EVENTS."""
    return Ioctl(vcpu, Request.GET_VCPU_EVENTS_X86, buffer=bytes(64), label=label)


def inject_triple_fault(label: str, pending: int = 1, vcpu: int = 0) -> Ioctl:
    """Return the step KVM_SET_VCPU_EVENTS of triple_fault.pending. KVM_CAP_X86_TRIPLE_FAULT_EVENT must be enabled."""
    buffer = struct.pack("<20xI4xB35x", VCPUEVENT_VALID_TRIPLE_FAULT, pending)
    return Ioctl(vcpu, Request.SET_VCPU_EVENTS_X86, buffer=buffer, label=label)


def set_up_mce(vcpu: int = 0) -> Ioctl:
    """Return the step KVM_X86_SETUP_MCE: one bank, and IA32_MCG_CTL. Both report every error from then on."""
    return Ioctl(vcpu, Request.X86_SETUP_MCE, buffer=struct.pack("<Q", MCG_CTL_P | 1))


def machine_check(label: str, *, status: int = UNCORRECTED, bank: int = 0, vcpu: int = 0) -> Ioctl:
    """Return the step KVM_X86_SET_MCE: a machine check with this status, which a bank reports.

    By default the error is not corrected: the guest gets #MC, or its CPU shuts down.
    """
    mce = struct.pack("<QQQQB31x", status, 0, 0, MCG_STATUS_MCIP | MCG_STATUS_RIPV, bank)
    return Ioctl(vcpu, Request.X86_SET_MCE, buffer=mce, label=label)


# The tables of the mode "machine_check": flat segments of code and data at 8 and 16, and for each exception a gate to
# an OUT. The stack pointer must be STACK.
HANDLERS: tuple[Step, ...] = (
    Write(_GDT, struct.pack("<QQQ", 0, 0x00CF_9A00_0000_FFFF, 0x00CF_9200_0000_FFFF)),
    Write(_IDT, struct.pack("<HHHH", HANDLER & 0xFFFF, 8, 0x8E00, HANDLER >> 16) * _EXCEPTIONS),
    Write(HANDLER, OUT),
)

# Memory with the reset vector, and code there that writes to RETURNED_PORT.
ROM: tuple[Step, ...] = (
    Memory(RESET_BASE, _ROM_SIZE, 1),
    Write(RESET_BASE + RESET_RIP, OUT),
)


def reset(vcpu: int = 0) -> tuple[Step, ...]:
    """Return the steps by which a VMM resets a vCPU: it gets the state that the architecture defines for a reset.

    AMD64 Architecture Programmer's Manual, volume 2, table 14-1: Initial processor state.
    """
    code = _segment(RESET_BASE, 0xFFFF, 0xF000, _CODE)
    data = _segment(0, 0xFFFF, 0, _DATA)
    sregs = _sregs(code, data, Mode(CR0_RESET, bits=16), vcpu)
    regs = struct.pack("<16QQQ", *[0] * 16, RESET_RIP, RFLAGS_RESET)
    return (
        Ioctl(vcpu, Request.SET_SREGS_X86, buffer=sregs),
        Ioctl(vcpu, Request.SET_REGS_X86, buffer=regs),
        set_events(vcpu),
        ioctls.set_mp_state(vcpu, MpState.RUNNABLE),
    )
