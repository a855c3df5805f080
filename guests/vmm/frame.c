/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames with a length and a CRC, over a pipe, a virtio port, or a serial line that also carries other bytes. */
#include "sys.h"
#include "frame.h"

u32 frame_eof_timeout;

static u32 crc_table[256];

/* CRC-32 of IEEE 802.3, reflected, as in zlib. */
static u32 crc32(const u8 *bytes, usize length)
{
	u32 crc = ~0u;

	if (!crc_table[1]) {
		for (u32 i = 0; i < 256; i++) {
			u32 value = i;

			for (int bit = 0; bit < 8; bit++)
				value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
			crc_table[i] = value;
		}
	}
	for (usize i = 0; i < length; i++)
		crc = crc_table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

static int read_all(int fd, u8 *to, usize length)
{
	u32 waited = 0;

	while (length) {
		long got = sys_read(fd, to, length);

		if (got == -E_INTR || got == -E_AGAIN)
			continue;
		if (got < 0)
			return (int)got;
		if (got == 0) {
			/* virtio_console returns 0 while the other end is not connected. */
			if (waited >= frame_eof_timeout)
				return -E_IO;
			sys_sleep(1);
			waited++;
			continue;
		}
		waited = 0;
		to += got;
		length -= (usize)got;
	}
	return 0;
}

int frame_read(int fd, u8 *buffer, struct frame *frame)
{
	usize have = 0;

	for (;;) {
		u32 magic, length, crc;
		int ret = read_all(fd, buffer + have, WIRE_HEADER - have);

		if (ret)
			return ret;
		memcpy(&magic, buffer, 4);
		memcpy(&length, buffer + 12, 4);
		if (magic == WIRE_MAGIC && length <= WIRE_BODY_MAX) {
			ret = read_all(fd, buffer + WIRE_HEADER, length + WIRE_CRC);
			if (ret)
				return ret;
			memcpy(&crc, buffer + WIRE_HEADER + length, 4);
			if (crc == crc32(buffer, WIRE_HEADER + length)) {
				memcpy(&frame->kind, buffer + 4, 2);
				memcpy(&frame->abi, buffer + 6, 2);
				memcpy(&frame->sequence, buffer + 8, 4);
				frame->length = length;
				frame->body = buffer + WIRE_HEADER;
				return 0;
			}
			complain("a frame with a wrong checksum was dropped", 0);
			have = 0;
			continue;
		}
		/* Invalid frame: drop one byte and try again. */
		memmove(buffer, buffer + 1, WIRE_HEADER - 1);
		have = WIRE_HEADER - 1;
	}
}

int frame_write(int fd, u8 *buffer, const struct frame *frame)
{
	u32 magic = WIRE_MAGIC, crc;
	usize total = WIRE_HEADER + frame->length + WIRE_CRC, done = 0;

	memcpy(buffer, &magic, 4);
	memcpy(buffer + 4, &frame->kind, 2);
	memcpy(buffer + 6, &frame->abi, 2);
	memcpy(buffer + 8, &frame->sequence, 4);
	memcpy(buffer + 12, &frame->length, 4);
	crc = crc32(buffer, WIRE_HEADER + frame->length);
	memcpy(buffer + WIRE_HEADER + frame->length, &crc, 4);
	while (done < total) {
		usize piece = total - done > 32768 ? 32768 : total - done;
		long put = sys_write(fd, buffer + done, piece);

		if (put == -E_INTR || put == -E_AGAIN)
			continue;
		if (put <= 0)
			return put ? (int)put : -E_IO;
		done += (usize)put;
	}
	return 0;
}
