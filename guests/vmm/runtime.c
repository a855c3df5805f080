/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program's entry and the memory and string functions of a libc. */
#include "sys.h"

ABI_ENTRY;

void __attribute__((noreturn, used)) start(long *stack)
{
	int argc = (int)stack[0];
	char **argv = (char **)(stack + 1);

	sys_exit(program(argc, argv, argv + argc + 1));
}

/*
 * Without -fno-builtin the compiler may replace such a loop with a call of the function that contains it. Aligned
 * memory is copied by words: copying bytes took a tenth of a scenario under TCG.
 */
typedef uptr __attribute__((may_alias)) word;

#define ALIGNED(a) (((a) & (sizeof(word) - 1)) == 0)

void *memcpy(void *to, const void *from, usize length)
{
	usize i = 0;

	if (ALIGNED((uptr)to | (uptr)from))
		for (; i + sizeof(word) <= length; i += sizeof(word))
			*(word *)((u8 *)to + i) = *(const word *)((const u8 *)from + i);
	for (; i < length; i++)
		((u8 *)to)[i] = ((const u8 *)from)[i];
	return to;
}

void *memmove(void *to, const void *from, usize length)
{
	if ((uptr)to <= (uptr)from)
		return memcpy(to, from, length);
	while (length--)
		((u8 *)to)[length] = ((const u8 *)from)[length];
	return to;
}

void *memset(void *at, int byte, usize length)
{
	word pattern = (word)-1 / 255 * (u8)byte;
	usize i = 0;

	if (ALIGNED((uptr)at)) {
		for (; i + 8 * sizeof(word) <= length; i += 8 * sizeof(word)) {
			word *words = (word *)((u8 *)at + i);

			words[0] = words[1] = words[2] = words[3] = pattern;
			words[4] = words[5] = words[6] = words[7] = pattern;
		}
		for (; i + sizeof(word) <= length; i += sizeof(word))
			*(word *)((u8 *)at + i) = pattern;
	}
	for (; i < length; i++)
		((u8 *)at)[i] = (u8)byte;
	return at;
}

int memcmp(const void *a, const void *b, usize length)
{
	for (usize i = 0; i < length; i++)
		if (((const u8 *)a)[i] != ((const u8 *)b)[i])
			return ((const u8 *)a)[i] - ((const u8 *)b)[i];
	return 0;
}

int contains(const u8 *at, usize length, const char *text)
{
	usize size = text_length(text);

	for (; length >= size; at++, length--)
		if (*at == (u8)*text && memcmp(at, text, size) == 0)
			return 1;
	return 0;
}

usize text_length(const char *text)
{
	usize length = 0;

	while (text[length])
		length++;
	return length;
}

int text_equal(const char *a, const char *b)
{
	usize length = text_length(a);

	return length == text_length(b) && memcmp(a, b, length) == 0;
}

usize describe(char *line, usize size, const char *what, int error)
{
	char digits[12];
	usize at = 0, count = 0;
	u32 number = error < 0 ? (u32)-error : (u32)error;

	for (; *what && at < size - 24; what++)
		line[at++] = *what;
	if (error) {
		for (const char *c = ": errno "; *c; c++)
			line[at++] = *c;
		do
			digits[count++] = (char)('0' + number % 10);
		while (number /= 10);
		while (count)
			line[at++] = digits[--count];
	}
	line[at++] = '\n';
	return at;
}

void complain(const char *what, int error)
{
	static const char name[] = "sysevent: ";
	char line[160];
	usize at = sizeof(name) - 1;

	memcpy(line, name, at);
	sys_write(2, line, at + describe(line + at, sizeof(line) - at, what, error));
}
