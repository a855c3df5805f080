/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "frame.h"

/*
 * Runs one request's steps on a virtual machine of its own and fills the reply, whose body has room for
 * WIRE_BODY_MAX bytes. Nonzero when a thread is lost inside KVM_RUN and this process is of no further use.
 */
int scenario_run(const struct frame *request, struct frame *reply);

#endif
