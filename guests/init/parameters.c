/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../vmm/sys.h"
#include "parameters.h"

/* Length of the word that begins here: up to a space that is not between quotation marks. */
static usize word_length(const char *at)
{
	usize length = 0;
	int quoted = 0;

	for (; at[length] && (quoted || (at[length] != ' ' && at[length] != '\n')); length++)
		if (at[length] == '"')
			quoted = !quoted;
	return length;
}

/* Whether a word begins with the name of a module and a point. */
static int is_of(const char *word, const char *module, usize length)
{
	for (usize i = 0; i < length; i++)
		if ((word[i] == '-' ? '_' : word[i]) != module[i])
			return 0;
	return word[length] == '.';
}

usize module_parameters(const char *module, usize length, const char *line, char *out, usize capacity)
{
	usize used = 0;

	while (*line) {
		usize word = word_length(line), size = word - length;

		/* The point is replaced by the space behind the parameter. */
		if (word > length + 1 && is_of(line, module, length) && size < capacity - used) {
			memcpy(out + used, line + length + 1, size - 1);
			out[used + size - 1] = ' ';
			used += size;
		}
		line += word;
		while (*line == ' ' || *line == '\n')
			line++;
	}
	out[used] = 0;
	return used;
}
