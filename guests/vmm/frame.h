/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FRAME_H
#define FRAME_H

#include "wire.h"

struct frame {
	u16 kind;
	u16 abi;
	u32 sequence;
	u32 length;
	u8 *body;
};

/* What frames begin with before another key is known. */
extern const u8 no_key[WIRE_KEY];

/*
 * All use a buffer of FRAME_BUFFER bytes, with the frame's body at WIRE_HEADER. 0, or -errno. frame_read skips bytes
 * that are not part of a valid frame with the key; -E_IO at the end of the input. frame_read_any also returns frames
 * with no_key, and sets *keyed to 0 for them.
 */
int frame_read(int fd, const u8 *key, u8 *buffer, struct frame *frame);
int frame_read_any(int fd, const u8 *key, u8 *buffer, struct frame *frame, int *keyed);
int frame_write(int fd, const u8 *key, u8 *buffer, const struct frame *frame);

#define FRAME_BUFFER (WIRE_HEADER + WIRE_BODY_MAX + WIRE_CRC)

/*
 * Milliseconds for which a read at the end of the input is tried again: a virtio port reads so until the other end has
 * connected.
 */
extern u32 frame_eof_timeout;

#endif
