/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What differs between architectures: the same four functions in every arch/<arch>.c. */
#ifndef ARCH_H
#define ARCH_H

#include "types.h"

#define ARCH_REGISTERS_MAX 64

/* The machine type for KVM_CREATE_VM when the scenario names none. */
u64 arch_machine_type(int system_fd);
/* Makes a created vCPU ready for registers; the feature words mean what the architecture says. 0 or -errno. */
int arch_vcpu_init(int vm_fd, int vcpu_fd, const u32 *features, u32 count);
/* Where the vCPU starts, and its argument registers in the order of the calling convention. 0 or -errno. */
int arch_set_entry(int vcpu_fd, u64 pc, const u64 *arguments, u32 count);
/* Every register an expectation may name, in the order of src/sysevent/abi/registers.py. Count or -errno. */
int arch_read_registers(int vcpu_fd, u64 *registers);

#endif
