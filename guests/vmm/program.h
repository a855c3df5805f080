/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs that run beside the VMM, such as other VMMs: for the supervisor. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "wire.h"

#define STRINGS_MAX 126

/* An OP_PROGRAM: see wire.h. The first six are as they are there. */
struct program_step {
	u32 milliseconds, flags, text_length, input_length, arguments, variables;
	const u8 *text, *input;
	char *argv[STRINGS_MAX + 1], *envp[STRINGS_MAX + 1];
};

/* The beginning of its result, as it is there, and the flags. */
struct program_result {
	u32 status, milliseconds, cpu_milliseconds, memory;
	u16 flags;
};

/* What the program has printed in the last step. */
extern struct program_stream {
	u8 text[PROGRAM_OUTPUT_MAX];
	u32 used;
} program_streams[PROGRAM_STREAMS];

/* Carries out a step. 0, or -errno when the program cannot be started; -ECHILD when there is none to continue. */
int program_do(const struct program_step *step, struct program_result *result);
/* Kills the program that runs, with its process group. */
void program_end(void);

#endif
