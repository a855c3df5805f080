/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STEPS_H
#define STEPS_H

#include "types.h"

/* A step's body, taken from the front. */
struct input {
	const u8 *at;
	u32 left;
	int bad; /* something was taken that was not there */
};

/* A step's result, given at the end. */
struct output {
	u8 *at;
	u32 used, room;
};

void take(struct input *in, void *to, u32 length);
u32 take_u32(struct input *in);
/* Room for so many bytes at the end, or NULL. */
void *give(struct output *out, u32 length);

/* Ready for a scenario; -errno when there is no usable /dev/kvm, and then every step but OP_OPEN fails with
 * it. */
int machine_open(void);
/* Nothing is left of the machine. Peers that still run are brought back first; nonzero when one does not
 * come. */
int machine_close(void);
/*
 * Carry out one step of wire.h. What it returned, or -errno; its result's body goes to out and its flags to
 * flags; stuck is set when a vCPU's thread is lost inside KVM_RUN, and in->bad when the step is malformed.
 */
int step_do(u16 op, struct input *in, struct output *out, u16 *flags, int *stuck);

#endif
