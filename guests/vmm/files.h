/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILES_H
#define FILES_H

#include "body.h"

/* OP_OPEN: 0 when the file could be opened, or -errno. It is closed again. */
int file_open(struct input *in);

/* OP_FILE: appends a part of a file, such as /sys/kernel/btf/vmlinux, or some of its lines, to out. 0 or -errno. */
int file_read(struct input *in, struct output *out);

#endif
