/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vCPUs, each run by a thread of its own, so that any KVM_RUN can be ended from outside. */
#ifndef VCPU_H
#define VCPU_H

#include "types.h"

#define VCPUS_MAX 8
#define PATCH_MAX 64

struct vcpu {
	int fd;		/* -1: none */
	u8 *run;	/* the kvm_run page, shared with the kernel */
	usize run_size; /* bytes mapped */
	u32 running;	/* 1 from start until KVM_RUN has come back; a futex */
	s32 ret;	/* what KVM_RUN gave: 0 or -errno */
	u32 microseconds;
	u32 poison; /* as in OP_START, of the run that is going on or has ended */
	u32 kicked;
	u32 patch_at; /* OP_HEAD's bytes, until the next start */
	u32 patch_length;
	u8 patch[PATCH_MAX];
};

/* 0 or -errno; a vCPU that is running cannot be started: -E_INVAL. */
int vcpu_start(struct vcpu *vcpu, u32 index, u32 poison);
/*
 * Until KVM_RUN comes back; after so many milliseconds a signal ends it. 0; -E_TIMEDOUT when not even the
 * signal brought it back within GRACE milliseconds, and then the vCPU's thread is lost.
 */
int vcpu_wait(struct vcpu *vcpu, u32 index, u32 milliseconds);
/* Bytes of kvm_run beyond RUN_HEAD, in its first page, that no longer hold the poison; the first of them. */
u32 vcpu_tail_changed(const struct vcpu *vcpu, u32 *first);

#endif
