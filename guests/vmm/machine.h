/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one virtual machine that a worker has at a time. */
#ifndef MACHINE_H
#define MACHINE_H

#include "types.h"
#include "vcpu.h"

#define REGIONS_MAX 8

struct machine {
	int system_fd, vm_fd;
	u32 run_size;
	struct vcpu vcpus[VCPUS_MAX];
	struct region {
		u64 gpa, size;
		u8 *at;
	} regions[REGIONS_MAX];
	u32 region_count;
};

extern struct machine vm;

/* Ready for a scenario; -errno when there is no usable /dev/kvm: then every step but OP_OPEN fails with it. */
int machine_open(void);
/* Zeroed memory for the guest, in a slot. 0 or -errno. */
int machine_map(u64 gpa, u64 size, u32 slot);
/* Where the guest's memory is in ours; NULL unless all of it is there. */
u8 *machine_memory(u64 gpa, u64 length);
/* Nothing is left of it. Peers that still run are brought back first; nonzero when one does not come. */
int machine_close(void);

#endif
