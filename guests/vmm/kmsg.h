/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this kernel logs around a scenario, and whether it becomes tainted: for the supervisor. */
#ifndef KMSG_H
#define KMSG_H

#include "frame.h"

/* Opens the log at its end, and the taint. Errors are in each reply. */
void kmsg_open(void);
/* Before a scenario: what was logged since the last one. */
void kmsg_begin(void);
/* After it: adds the kernel's part and the log to its reply, whose body must hold LOG_MAX further bytes. */
void kmsg_end(struct frame *reply);

#endif
