/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions that differ between architectures: every arch/<arch>.c defines these four. */
#ifndef ARCH_H
#define ARCH_H

#include "types.h"

#define ARCH_REGISTERS_MAX 64

/* The machine type for KVM_CREATE_VM when the scenario names none. */
u64 arch_machine_type(int system_fd);
/*
 * Initialises a created vCPU, so that its registers can be set. The feature words are struct kvm_vcpu_init's on arm64;
 * other architectures take none. 0 or -errno.
 */
int arch_vcpu_init(int vm_fd, int vcpu_fd, const u32 *features, u32 count);
/* Sets the vCPU's pc, and its argument registers in the order of the calling convention. 0 or -errno. */
int arch_set_entry(int vcpu_fd, u64 pc, const u64 *arguments, u32 count);
/*
 * Reads every register that an expectation may name into an array of ARCH_REGISTERS_MAX, in the order of
 * src/sysevent/abi/registers.py. Their number, or -errno.
 */
int arch_read_registers(int vcpu_fd, u64 *registers);

#endif
