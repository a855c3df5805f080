/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAUNCH_H
#define LAUNCH_H

#include "frame.h"

/* Carries out the steps of a request to the supervisor, and fills the reply, whose body must hold WIRE_BODY_MAX bytes. */
void launch(const struct frame *request, struct frame *reply);

#endif
