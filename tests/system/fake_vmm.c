/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands for crosvm: takes its arguments, and prints and ends as it does after
 * one PSCI call of its guest, which it does not run. With VERSION it says that
 * it is something else.
 */
#include "sys.h"

#ifndef VERSION
#define VERSION "crosvm 0.1.0\n"
#endif

static void say(int fd, const char *text)
{
	sys_write(fd, text, text_length(text));
}

/* Whether a text has another in it. */
static int has(const char *text, const char *other)
{
	for (; text_length(text) >= text_length(other); text++)
		if (memcmp(text, other, text_length(other)) == 0)
			return 1;
	return 0;
}

int program(int argc, char **argv, char **envp)
{
	int extended = 0;

	(void)envp;
	for (int i = 1; i < argc; i++) {
		if (text_equal(argv[i], "version")) {
			say(1, VERSION);
			return 0;
		}
		extended |= text_equal(argv[i], "--extended-status");
		if (!has(argv[i], "sysevent=00000000000003f8,"))
			continue;
		say(1, "m0000000000000001\n");
		if (has(argv[i], ",0000000084000008")) {
			say(2, "[INFO  crosvm::crosvm::sys::linux] vcpu requested shutdown\n");
			return 0;
		}
		if (has(argv[i], ",0000000084000009")) {
			say(2, "[INFO  crosvm::crosvm::sys::linux] vcpu requested reset\n");
			return extended ? 32 : 0;
		}
		say(1, "rffffffffffffffff\ne0000000000000001\n");
		sys_sleep(600000);
	}
	return 35;
}
