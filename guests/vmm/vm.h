/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtual machine of the scenario that runs. A worker has one at a time. */
#ifndef VM_H
#define VM_H

#include "types.h"
#include "vcpu.h"

#define REGIONS_MAX 8

struct vm {
	int system_fd, vm_fd;
	int device_fd; /* an in-kernel interrupt controller; -1: none */
	u32 run_size;
	struct vcpu vcpus[VCPUS_MAX];
	struct region {
		u64 gpa, size;
		u8 *at;
	} regions[REGIONS_MAX];
	u32 region_count;
	u32 end_together; /* vCPUs, as bits, that a signal ends with the one that the step waits for */
};

extern struct vm vm;

/*
 * Resets vm for a new scenario and opens /dev/kvm. 0 or -errno; then every step but OP_OPEN and OP_FILE fails with it.
 */
int vm_open(void);
/* Gives the VM zeroed memory in a memory slot with these flags. 0 or -errno. */
int vm_map(u64 gpa, u64 size, u32 slot, u32 flags);
/* Creates a device in the kernel, at most one for each VM. 0 or -errno. */
int vm_add_device(u32 type);
/* Our address of a range of the VM's memory; NULL unless one region holds all of it. */
u8 *vm_memory(u64 gpa, u64 length);
/*
 * Ends KVM_RUN of all vCPUs and releases the VM. Nonzero when a vCPU's thread is lost inside KVM_RUN; the VM and its
 * memory stay then.
 */
int vm_close(void);

#endif
