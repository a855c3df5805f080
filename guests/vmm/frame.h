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

/*
 * Both work on a buffer of WIRE_HEADER + WIRE_BODY_MAX + WIRE_CRC bytes, with the body at WIRE_HEADER.
 * 0, or -errno; frame_read skips bytes that start no well-formed frame, and gives -E_IO at the end of input.
 */
int frame_read(int fd, u8 *buffer, struct frame *frame);
int frame_write(int fd, u8 *buffer, const struct frame *frame);

#define FRAME_BUFFER (WIRE_HEADER + WIRE_BODY_MAX + WIRE_CRC)

/* A channel's other end may connect only later; reads of nothing are tried again this many milliseconds. */
extern u32 frame_patience;

#endif
