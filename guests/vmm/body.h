/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Readers of a step's body in a request, and writers of its result in a reply. */
#ifndef BODY_H
#define BODY_H

#include "types.h"

/* The rest of a step's body. */
struct input {
	const u8 *at;
	u32 left;
	int bad; /* more was taken than the body has */
};

/* The reply so far. */
struct output {
	u8 *at;
	u32 used, capacity;
};

/* The next bytes of the body; zeros, and in->bad, when it has fewer. */
void take(struct input *in, void *to, u32 length);
u32 take_u32(struct input *in);
u64 take_u64(struct input *in);
/* Appends length bytes for the caller to fill: their address, or NULL when the reply cannot hold them. */
void *give(struct output *out, u32 length);
/* Appends a copy. 0, or -ENOMEM when the reply cannot hold it. */
int give_bytes(struct output *out, const void *from, u32 length);

#endif
