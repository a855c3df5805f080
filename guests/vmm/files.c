/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps that open files of L1, and need no VM. */
#include "sys.h"
#include "wire.h"
#include "files.h"

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

int file_read(struct input *in, struct output *out)
{
	char path[128];
	u32 skip = take_u32(in), want = take_u32(in), length = in->left, got = 0;
	u8 *to = out->at + out->used;
	long ret = 1;
	int fd;

	if (in->bad || length >= sizeof(path) || !want || want > out->capacity - out->used)
		return -E_INVAL;
	take(in, path, length);
	path[length] = 0;
	fd = sys_open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	if (skip)
		ret = sys_seek(fd, skip);
	while (ret > 0 && got < want && (ret = sys_read(fd, to + got, want - got)) > 0)
		got += (u32)ret;
	sys_close(fd);
	out->used += got;
	return ret < 0 ? (int)ret : 0;
}
