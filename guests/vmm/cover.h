/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which code of the kernel the threads of a worker execute, by KCOV (Documentation/dev-tools/kcov.rst). */
#ifndef COVER_H
#define COVER_H

#include "body.h"
#include "vcpu.h"

/* The number of the worker's own thread. Those of vCPUs have the number of their vCPU. */
#define COVER_WORKER VCPUS_MAX

/* Words of each thread's area; 0: nothing is recorded, and no thread has an area. */
extern u32 cover_words;

/* OP_COVER: begins to record, or appends the addresses that were recorded since then to out. 0 or -errno. */
int cover(struct input *in, struct output *out);
/* Gives the calling thread an area, unless it has one. An error is that of the next OP_COVER. */
void cover_open(u32 thread);

/* For each thread, before it calls KVM. */
static inline void cover_thread(u32 thread)
{
	if (cover_words)
		cover_open(thread);
}

#endif
