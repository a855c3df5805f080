/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps that open files of L1, and need no VM. */
#include "sys.h"
#include "wire.h"
#include "files.h"

#define LINE_LONGEST 8192   /* a record of /dev/kmsg has no more */
#define READS_MAX (1 << 16) /* of one file: a log may grow as fast as it is read */

int file_open(struct input *in)
{
	char path[128];
	u32 flags = take_u32(in), length = in->left;
	int fd;

	if (in->bad || length >= sizeof(path))
		return -E_INVAL;
	take(in, path, length);
	path[length] = 0;
	fd = sys_open(path, (int)flags | O_CLOEXEC);
	if (fd >= 0)
		sys_close(fd);
	return fd < 0 ? fd : 0;
}

/* Appends a line to out if it contains a text, and fits before `end`. */
static void keep_line(const u8 *line, u32 size, const char *text, u32 end, struct output *out)
{
	if (size > end - out->used || !contains(line, size, text))
		return;
	memcpy(out->at + out->used, line, size);
	out->used += size;
}

/* Appends the lines that contain a text to out, until it has `want` bytes more. 0, or -errno. */
static int lines_read(int fd, const char *text, u32 want, struct output *out)
{
	static u8 buffer[2 * LINE_LONGEST];
	u32 held = 0, end = out->used + want;

	for (u32 reads = 0; reads < READS_MAX; reads++) {
		/* Of /dev/kmsg one record at a time, which fits into the buffer as a whole. */
		long got = sys_read(fd, buffer + held, sizeof(buffer) - held);
		u32 begin = 0;

		/* The kernel has overwritten what was next: the next read continues with the oldest record. */
		if (got == -E_PIPE)
			continue;
		if (got < 0 && got != -E_AGAIN)
			return (int)got;
		if (got <= 0) {
			keep_line(buffer, held, text, end, out);
			return 0;
		}
		for (u32 at = held; at < held + (u32)got; at++)
			if (buffer[at] == '\n') {
				keep_line(buffer + begin, at + 1 - begin, text, end, out);
				begin = at + 1;
			}
		held += (u32)got - begin;
		memmove(buffer, buffer + begin, held);
		/* The beginning of a line that is longer than any that matters. */
		if (held > LINE_LONGEST)
			held = 0;
	}
	return 0;
}

/* The body ends with the path; with a zero byte and a text behind it, only lines that contain the text are read. */
int file_read(struct input *in, struct output *out)
{
	char path[128];
	u32 skip = take_u32(in), want = take_u32(in), length = in->left, got = 0;
	u8 *to = out->at + out->used;
	int fd, by_lines;
	long ret = 1;

	if (in->bad || length >= sizeof(path) || !want || want > out->capacity - out->used)
		return -E_INVAL;
	take(in, path, length);
	path[length] = 0;
	by_lines = text_length(path) < length;
	fd = sys_open(path, O_RDONLY | O_CLOEXEC | (by_lines ? O_NONBLOCK : 0));
	if (fd < 0)
		return fd;
	if (skip)
		ret = sys_seek(fd, skip);
	if (by_lines && ret >= 0)
		ret = lines_read(fd, path + text_length(path) + 1, want, out);
	else
		while (ret > 0 && got < want && (ret = sys_read(fd, to + got, want - got)) > 0)
			got += (u32)ret;
	sys_close(fd);
	out->used += got;
	return ret < 0 ? (int)ret : 0;
}
