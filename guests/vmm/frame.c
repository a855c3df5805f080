/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames with a key, a length and CRCs, over a pipe, a virtio port, or a serial line that also carries other bytes. */
#include "sys.h"
#include "frame.h"

u32 frame_eof_timeout;
const u8 no_key[WIRE_KEY] = WIRE_NO_KEY;

typedef u32 __attribute__((may_alias)) crc_word;

/* crc_tables[n][b]: what the byte b adds when n more bytes follow it. */
static u32 crc_tables[4][256];

static void crc_init(void)
{
	for (u32 byte = 0; byte < 256; byte++) {
		u32 value = byte;

		for (int bit = 0; bit < 8; bit++)
			value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
		crc_tables[0][byte] = value;
	}
	for (u32 more = 1; more < 4; more++) {
		for (u32 byte = 0; byte < 256; byte++) {
			u32 value = crc_tables[more - 1][byte];

			crc_tables[more][byte] = crc_tables[0][value & 0xff] ^ value >> 8;
		}
	}
}

/*
 * CRC-32 of IEEE 802.3, reflected, as in zlib. Four bytes at a time ("slicing by 4"): byte by byte, the six CRCs of a
 * scenario took a tenth of its instructions. The bytes begin at a multiple of 4.
 */
static u32 crc32(const u8 *bytes, usize length)
{
	u32 crc = ~0u;
	usize at = 0;

	if (!crc_tables[0][1])
		crc_init();
	for (; at + 4 <= length; at += 4) {
		crc ^= *(const crc_word *)(bytes + at);
		crc = crc_tables[3][crc & 0xff] ^ crc_tables[2][crc >> 8 & 0xff] ^ crc_tables[1][crc >> 16 & 0xff] ^
		      crc_tables[0][crc >> 24];
	}
	for (; at < length; at++)
		crc = crc_tables[0][(crc ^ bytes[at]) & 0xff] ^ crc >> 8;
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

/* Nonzero when 4 bytes hold the CRC of those before them. */
static int crc_fits(const u8 *bytes, usize length)
{
	u32 crc;

	memcpy(&crc, bytes + length, 4);
	return crc == crc32(bytes, length);
}

/* The length in a header; negative when it is not a valid one. */
static s64 body_length(const u8 *header, const u8 *key, int *keyed)
{
	u32 length;

	*keyed = memcmp(header, key, WIRE_KEY) == 0;
	if (!*keyed && memcmp(header, no_key, WIRE_KEY))
		return -1;
	memcpy(&length, header + WIRE_KEY + 8, 4);
	return crc_fits(header, WIRE_HEADER - WIRE_CRC) && length <= WIRE_BODY_MAX ? (s64)length : -1;
}

int frame_read_any(int fd, const u8 *key, u8 *buffer, struct frame *frame, int *keyed)
{
	usize have = 0;

	for (;;) {
		int ret = read_all(fd, buffer + have, WIRE_HEADER - have);
		s64 length;

		if (ret)
			return ret;
		length = body_length(buffer, key, keyed);
		if (length < 0) {
			/* Not a header: drop one byte and try again. */
			memmove(buffer, buffer + 1, WIRE_HEADER - 1);
			have = WIRE_HEADER - 1;
			continue;
		}
		have = 0;
		ret = read_all(fd, buffer + WIRE_HEADER, (usize)length + WIRE_CRC);
		if (ret)
			return ret;
		if (crc_fits(buffer, WIRE_HEADER + (usize)length)) {
			memcpy(&frame->kind, buffer + WIRE_KEY, 2);
			memcpy(&frame->abi, buffer + WIRE_KEY + 2, 2);
			memcpy(&frame->sequence, buffer + WIRE_KEY + 4, 4);
			frame->length = (u32)length;
			frame->body = buffer + WIRE_HEADER;
			return 0;
		}
		complain("a frame with a wrong checksum was dropped", 0);
	}
}

int frame_read(int fd, const u8 *key, u8 *buffer, struct frame *frame)
{
	int keyed = 0, ret = 0;

	while (ret == 0 && !keyed)
		ret = frame_read_any(fd, key, buffer, frame, &keyed);
	return ret;
}

int frame_write(int fd, const u8 *key, u8 *buffer, const struct frame *frame)
{
	usize end = WIRE_HEADER + frame->length, total = end + WIRE_CRC, done = 0;
	u32 crc;

	memcpy(buffer, key, WIRE_KEY);
	memcpy(buffer + WIRE_KEY, &frame->kind, 2);
	memcpy(buffer + WIRE_KEY + 2, &frame->abi, 2);
	memcpy(buffer + WIRE_KEY + 4, &frame->sequence, 4);
	memcpy(buffer + WIRE_KEY + 8, &frame->length, 4);
	crc = crc32(buffer, WIRE_HEADER - WIRE_CRC);
	memcpy(buffer + WIRE_HEADER - WIRE_CRC, &crc, 4);
	crc = crc32(buffer, end);
	memcpy(buffer + end, &crc, 4);
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
