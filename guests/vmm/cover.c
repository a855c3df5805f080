/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread's area is shared with the kernel: the number of addresses in its first word, then the addresses. The kernel
 * records what one thread executes, and only that thread can switch it on. It stays on as long as the worker lives, so
 * that a scenario costs no system call for it; its beginning sets the numbers to 0.
 */
#include "sys.h"
#include "wire.h"
#include "cover.h"

#define COVER_FILE "/sys/kernel/debug/kcov"
/* include/uapi/linux/kcov.h. The size of unsigned long in the first one is the kernel's, in every ABI of ours. */
#define KCOV_INIT_TRACE 0x80086301
#define KCOV_ENABLE 0x6364
#define KCOV_TRACE_PC 0

#define WORDS_MAX (1u << 20)
#define WORDS_STEP 8192 /* the largest page; what is mapped must be all of an area */
#define SLOTS_LOG 14
#define SLOTS (1u << SLOTS_LOG)

u32 cover_words;
static u64 *areas[COVER_WORKER + 1];
static int error;

/* A set of addresses: an open hash table, and which of its slots are used. */
static u64 slots[SLOTS];
static u16 used[COVER_MAX];

static int open_file(void)
{
	int fd = sys_open(COVER_FILE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	/* An error of this one is that of the next open. */
	SYS(mount, "debugfs", "/sys/kernel/debug", "debugfs", 0, 0, 0);
	return sys_open(COVER_FILE, O_RDWR | O_CLOEXEC);
}

/* The address of an area of this thread, which is recorded from now on; NULL, and error, if that failed. */
static u64 *begin_thread(void)
{
	int fd = open_file();
	u64 *area = NULL;
	int ret = fd;

	if (ret >= 0)
		ret = sys_ioctl(fd, KCOV_INIT_TRACE, cover_words);
	if (ret >= 0) {
		area = sys_map((usize)cover_words * sizeof(u64), MAP_SHARED, fd);
		ret = area ? sys_ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC) : -E_NOMEM;
	}
	/* The file must stay open: its end ends the recording. */
	if (ret >= 0)
		return area;
	error = ret;
	if (area)
		sys_unmap(area, (usize)cover_words * sizeof(u64));
	if (fd >= 0)
		sys_close(fd);
	return NULL;
}

void cover_open(u32 thread)
{
	if (!areas[thread])
		areas[thread] = begin_thread();
}

static int begin(u32 words)
{
	if (!cover_words)
		cover_words = words < WORDS_MAX ? (words + WORDS_STEP - 1) / WORDS_STEP * WORDS_STEP : WORDS_MAX;
	error = 0;
	cover_thread(COVER_WORKER);
	for (u32 i = 0; i < LENGTH(areas); i++)
		if (areas[i])
			*(volatile u64 *)areas[i] = 0;
	return error;
}

/* Adds an address to the set, which has `count`. The new count; COVER_MAX + 1 if the set is full. */
static u32 add(u64 address, u32 count)
{
	/* Instructions are at even addresses. */
	u32 at = ((u32)(address >> 1) * 2654435761u) >> (32 - SLOTS_LOG);

	while (slots[at] && slots[at] != address)
		at = (at + 1) % SLOTS;
	if (slots[at] || !address)
		return count;
	if (count == COVER_MAX)
		return COVER_MAX + 1;
	slots[at] = address;
	used[count] = (u16)at;
	return count + 1;
}

/* Fills the set from all areas, and says in *lost whether there were more addresses. Their number. */
static u32 gather(u32 *lost)
{
	u32 count = 0;

	for (u32 i = 0; i < LENGTH(areas); i++) {
		u64 recorded = areas[i] ? *(volatile u64 *)areas[i] : 0;

		/* The kernel stops where the area ends. */
		if (recorded >= cover_words - 1) {
			recorded = cover_words - 1;
			*lost = areas[i] ? 1 : *lost;
		}
		for (u64 n = 1; n <= recorded; n++) {
			u32 more = add(areas[i][n], count);

			if (more > COVER_MAX)
				*lost = 1;
			else
				count = more;
		}
	}
	return count;
}

/* Appends the set, and empties it. */
static int give_set(u32 count, u32 lost, struct output *out)
{
	u32 *offsets, left_out = 0;
	u64 lowest = ~0ull;
	u8 *head = give(out, COVER_FIXED);

	for (u32 i = 0; i < count; i++)
		if (slots[used[i]] < lowest)
			lowest = slots[used[i]];
	if (!count)
		lowest = 0;
	offsets = give(out, 4 * count);
	for (u32 i = 0; i < count; i++) {
		u64 offset = slots[used[i]] - lowest;
		u32 offset32 = (u32)offset;

		/* Two parts of one kernel are never so far from each other. */
		if (offset != offset32)
			left_out = 1;
		if (offsets)
			memcpy(offsets + i, &offset32, 4);
		slots[used[i]] = 0;
	}
	if (!head || !offsets)
		return -E_NOMEM;
	lost |= left_out;
	memcpy(head, &lost, 4);
	memset(head + 4, 0, 4);
	memcpy(head + 8, &lowest, 8);
	return 0;
}

int cover(struct input *in, struct output *out)
{
	u32 words = take_u32(in), count, lost = 0;

	if (in->bad || words == 1 || (!words && !cover_words))
		return -E_INVAL;
	if (words)
		return begin(words);
	if (error)
		return error;
	count = gather(&lost);
	return give_set(count, lost, out);
}
