/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "frame.h"

/*
 * Runs the steps of one request on a new virtual machine and fills the reply, whose body must hold WIRE_BODY_MAX
 * bytes. Nonzero when a vCPU's thread is lost inside KVM_RUN: this process can run no further scenario.
 */
int scenario_run(const struct frame *request, struct frame *reply);

#endif
