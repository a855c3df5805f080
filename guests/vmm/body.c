/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys.h"
#include "body.h"

void take(struct input *in, void *to, u32 length)
{
	if (length > in->left) {
		in->bad = 1;
		memset(to, 0, length);
		return;
	}
	memcpy(to, in->at, length);
	in->at += length;
	in->left -= length;
}

u32 take_u32(struct input *in)
{
	u32 value;

	take(in, &value, 4);
	return value;
}

u64 take_u64(struct input *in)
{
	u64 value;

	take(in, &value, 8);
	return value;
}

void *give(struct output *out, u32 length)
{
	u8 *at = out->at + out->used;

	if (length > out->capacity - out->used)
		return NULL;
	out->used += length;
	return at;
}

int give_bytes(struct output *out, const void *from, u32 length)
{
	void *to = give(out, length);

	if (!to)
		return -E_NOMEM;
	memcpy(to, from, length);
	return 0;
}
