/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vCPUs. Each runs in a thread of its own, so that another thread can end its KVM_RUN. */
#ifndef VCPU_H
#define VCPU_H

#include "types.h"

#define VCPUS_MAX 8
#define PATCH_MAX 64
#define SHORT_WAIT 1 /* ms; of a vCPU that nothing but a signal is to end */

struct vcpu {
	int fd;		      /* -1: none */
	u8 *run;	      /* the kvm_run page, shared with the kernel */
	usize run_size;	      /* bytes mapped */
	u32 running;	      /* 1 from the start until KVM_RUN has returned; a futex */
	s32 ret;	      /* of KVM_RUN: 0 or -errno */
	u32 microseconds;     /* that KVM_RUN took */
	u32 cpu_microseconds; /* of CPU time */
	u32 poison;	      /* OP_START's, of the current or last run */
	u32 kicked;	      /* 1 when a signal was sent to end the run */
	u32 patch_at;	      /* OP_HEAD's offset and bytes, for the next start */
	u32 patch_length;
	u8 patch[PATCH_MAX];
};

/* Starts KVM_RUN in the vCPU's thread. 0 or -errno; -E_INVAL when it is already running. */
int vcpu_start(struct vcpu *vcpu, u32 index, u32 poison);
/*
 * Waits until KVM_RUN returns; a signal ends it after so many milliseconds. 0, or -E_TIMEDOUT when KVM_RUN did not
 * return within GRACE milliseconds of the signal: the vCPU's thread is lost then.
 */
int vcpu_wait(struct vcpu *vcpu, u32 index, u32 milliseconds);
/* Sends the signal that ends KVM_RUN to each of these vCPUs, as bits, that is running. */
void vcpus_kick(u32 vcpus);
/*
 * The number of bytes beyond RUN_HEAD in the first page of kvm_run that no longer hold the poison; *first and *last are
 * the offsets of the first and the last of them, or 0.
 */
u32 vcpu_tail_changed(const struct vcpu *vcpu, u32 *first, u32 *last);

#endif
