// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's log, read from /dev/kmsg (Documentation/ABI/testing/dev-kmsg), and /proc/sys/kernel/tainted. Messages of
 * level 4 (warning) and above are kept, and all between "cut here" and "end trace", whose level is a configuration's.
 * The position in the log is that of a file descriptor, so a guest that is restored from a snapshot reads on.
 */
#include "sys.h"
#include "kmsg.h"

#define RECORD_MAX 8192	  /* CONSOLE_EXT_LOG_MAX, the longest record until 6.3; later ones are shorter */
#define RECORDS_MAX 4096  /* read at a time: other programs may log without end */
#define BEFORE_MAX 4096	  /* bytes kept from before a scenario, so that those of the scenario fit */
#define BLOCK_RECORDS 200 /* records of one block, whose end may be missing */
#define LEVEL_WARNING 4
#define FACILITY_SHIFT 3

static int log_fd = -1, taint_fd = -1;
static u16 log_error, taint_error;
static u8 text[LOG_MAX];
static u32 used, before, flags, block;
static u64 taint;

static u64 number(const u8 *at, usize length)
{
	u64 value = 0;

	for (; length && *at >= '0' && *at <= '9'; at++, length--)
		value = value * 10 + (u64)(*at - '0');
	return value;
}

static u64 read_taint(void)
{
	u8 digits[24];
	long got = -E_IO;

	if (taint_fd < 0)
		return 0;
	if (sys_seek(taint_fd, 0) == 0)
		got = sys_read(taint_fd, digits, sizeof(digits));
	taint_error = got < 0 ? (u16)-got : 0;
	return got > 0 ? number(digits, (usize)got) : 0;
}

/* Whether a message is to be kept. */
static int matters(u64 priority, const u8 *message, usize length)
{
	int kept;

	/* Other facilities are those of programs that write to /dev/kmsg; none of them can use the kernel's. */
	if (priority >> FACILITY_SHIFT)
		return 0;
	if (contains(message, length, "[ cut here ]"))
		block = BLOCK_RECORDS;
	kept = block > 0 || priority <= LEVEL_WARNING;
	if (block)
		block--;
	if (contains(message, length, "---[ end trace"))
		block = 0;
	return kept;
}

/* A record: priority,sequence,microseconds,flags;message, then lines that begin with a space. */
static void keep(const u8 *record, usize length, u32 limit)
{
	const u8 *message = record, *end = record + length;
	usize size = 0;

	while (message < end && *message != ';')
		message++;
	if (message < end)
		message++;
	while (message + size < end && message[size] != '\n')
		size++;
	if (!matters(number(record, length), message, size))
		return;
	if (used + size + 1 > limit) {
		flags |= LOG_CUT;
		return;
	}
	memcpy(text + used, message, size);
	text[used + size] = '\n';
	used += (u32)size + 1;
}

static void read_log(u32 limit)
{
	static u8 record[RECORD_MAX];

	if (log_fd < 0)
		return;
	for (u32 count = 0; count < RECORDS_MAX; count++) {
		long got = sys_read(log_fd, record, sizeof(record));

		if (got == -E_AGAIN || got == 0)
			return;
		if (got == -E_PIPE) {
			/* The next read continues with the oldest record that there is. */
			flags |= LOG_LOST;
			continue;
		}
		if (got < 0) {
			log_error = (u16)-got;
			return;
		}
		keep(record, (usize)got, limit);
	}
	flags |= LOG_CUT;
	sys_seek_end(log_fd);
}

void kmsg_open(void)
{
	log_fd = sys_open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	log_error = log_fd < 0 ? (u16)-log_fd : 0;
	if (log_fd >= 0)
		sys_seek_end(log_fd);
	taint_fd = sys_open("/proc/sys/kernel/tainted", O_RDONLY | O_CLOEXEC);
	taint_error = taint_fd < 0 ? (u16)-taint_fd : 0;
}

void kmsg_begin(void)
{
	used = flags = 0;
	read_log(BEFORE_MAX);
	before = used;
	taint = read_taint();
}

void kmsg_end(struct frame *reply)
{
	u8 *at = reply->body + 8;
	u64 taint_after;

	read_log(LOG_MAX);
	taint_after = read_taint();
	memcpy(at, &taint, 8);
	memcpy(at + 8, &taint_after, 8);
	memcpy(at + 16, &log_error, 2);
	memcpy(at + 18, &taint_error, 2);
	memcpy(at + 20, &flags, 4);
	memcpy(at + 24, &before, 4);
	memcpy(at + 28, &used, 4);
	memcpy(reply->body + reply->length, text, used);
	reply->length += used;
}
