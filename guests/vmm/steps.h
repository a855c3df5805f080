/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STEPS_H
#define STEPS_H

#include "body.h"

/*
 * Carry out one step of wire.h. What it returned, or -errno; its result's body goes to out and its flags to
 * flags; stuck is set when a vCPU's thread is lost inside KVM_RUN, and in->bad when the step is malformed.
 */
int step_do(u16 op, struct input *in, struct output *out, u16 *flags, int *stuck);

#endif
