/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STEPS_H
#define STEPS_H

#include "body.h"

/*
 * Carries out one step of wire.h. The step's return value, or -errno. The body of its result is appended to out, its
 * flags are stored in flags. stuck is set when a vCPU's thread is lost inside KVM_RUN, in->bad when the step is
 * malformed.
 */
int step_do(u16 op, struct input *in, struct output *out, u16 *flags, int *stuck);

#endif
