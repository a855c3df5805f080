"""SBI, the firmware interface of riscv64 guests: the RISC-V SBI specification, and KVM's switches for it."""

from __future__ import annotations

from typing import Final

from sysevent.abi.number import as_register

# Extensions, as a7 holds them.
BASE: Final = 0x10
# Of SBI v0.1, where each is one function
LEGACY_SET_TIMER: Final = 0
LEGACY_CLEAR_IPI: Final = 3
LEGACY_SEND_IPI: Final = 4
LEGACY_SHUTDOWN: Final = 8
# "SRST", system reset
SRST: Final = int.from_bytes(b"SRST", "big")
# "HSM", hart state management
HSM: Final = int.from_bytes(b"HSM", "big")
# "SUSP", system suspend; in KVM since v6.13 (023c15151fbb)
SUSP: Final = int.from_bytes(b"SUSP", "big")
# Offset of riscv_sbi.ret in the union of struct kvm_run: behind the numbers of the call and its six arguments
FORWARDED_RESULTS: Final = 64
# "STA", steal-time accounting (arch/riscv/kvm/vcpu_sbi_sta.c). Function 0 takes the address of 64 bytes.
STA: Final = int.from_bytes(b"STA", "big")

# Functions of BASE, as a6 holds them.
PROBE_EXTENSION: Final = 3

# Functions of HSM, and what its HART_STATUS answers.
HART_START: Final = 0
HART_STOP: Final = 1
HART_STATUS: Final = 2
HART_SUSPEND: Final = 3
HART_STARTED: Final = 0
HART_STOPPED: Final = 1
# Types of HART_SUSPEND: a hart that keeps its state, and one that begins again.
RETENTIVE: Final = 0
NON_RETENTIVE: Final = 0x8000_0000

# Reset types and reasons of SRST. 0xe0000000 is the first reason that vendors may define, 0xf0000000 the first
# such type.
SHUTDOWN: Final = 0
COLD_REBOOT: Final = 1
WARM_REBOOT: Final = 2
NO_REASON: Final = 0
SYSTEM_FAILURE: Final = 1
VENDOR_REASON: Final = 0xE000_0000
VENDOR_TYPE: Final = 0xF000_0000


# SBI_ERR_*, as the guest's a0 holds them.
NOT_SUPPORTED: Final = as_register(-2)
INVALID_PARAM: Final = as_register(-3)
DENIED: Final = as_register(-4)
INVALID_ADDRESS: Final = as_register(-5)
ALREADY_AVAILABLE: Final = as_register(-6)

# enum KVM_RISCV_SBI_EXT_ID of arch/riscv/include/uapi/asm/kvm.h, v6.4: which extension a register turns on.
EXT_V01: Final = 0
EXT_SRST: Final = 4
EXT_SUSP: Final = 11
