/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The numbers of the KVM ABI that the VMM itself needs, as literals: never from the headers of the kernel under test.
 * All other ioctls arrive from the harness as an OP_IOCTL.
 */
#ifndef KVM_H
#define KVM_H

#include "types.h"

#define KVM_CREATE_VM 0xae01u
#define KVM_CHECK_EXTENSION 0xae03u
#define KVM_GET_VCPU_MMAP_SIZE 0xae04u
#define KVM_CREATE_VCPU 0xae41u
#define KVM_SET_USER_MEMORY_REGION 0x4020ae46u
#define KVM_RUN 0xae80u
#define KVM_SET_SIGNAL_MASK 0x4004ae8bu
#define KVM_GET_ONE_REG 0x4010aeabu
#define KVM_SET_ONE_REG 0x4010aeacu
#define KVM_CREATE_DEVICE 0xc00caee0u

/* struct kvm_run */
#define RUN_IMMEDIATE_EXIT 1
#define RUN_EXIT_REASON 8
#define RUN_CR8 16
#define RUN_UNION 32
#define RUN_VALID_REGS 288
#define RUN_SYNC_REST 312 /* s.regs without its first 8 bytes */

#define EXIT_MMIO 6
#define EXIT_RISCV_SBI 35
#define EXIT_RISCV_CSR 36

struct kvm_one_reg {
	u64 id;
	u64 address;
};

struct kvm_memory_region {
	u32 slot;
	u32 flags;
	u64 gpa;
	u64 size;
	u64 address;
};

struct kvm_create_device {
	u32 type;
	u32 fd; /* from the kernel */
	u32 flags;
};

#endif
