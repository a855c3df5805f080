/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A step's body and its result, as bytes of a request and a reply. */
#ifndef BODY_H
#define BODY_H

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
u64 take_u64(struct input *in);
/* Room for so many bytes at the end, or NULL. */
void *give(struct output *out, u32 length);
/* 0, or -ENOMEM when the reply has no room for them. */
int give_bytes(struct output *out, const void *from, u32 length);

#endif
