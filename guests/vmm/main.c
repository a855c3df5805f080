/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A minimal VMM: carries out the steps of requests and returns their results.
 *
 *   vmm serve ABI:PATH...   requests on standard input, replies on standard output; starts and supervises the workers
 *   vmm work                one worker: the same frames without a key, and no supervision
 */
#include "sys.h"
#include "scenario.h"
#include "serve.h"

static u8 request_buffer[FRAME_BUFFER] __attribute__((aligned(16)));
static u8 reply_buffer[FRAME_BUFFER] __attribute__((aligned(16)));

/*
 * Lets this thread run as soon as it can, before the vCPUs' threads, all of which stay equal. A guest under TCG has one
 * CPU: among vCPUs that count, every look at them would wait for the slices of all, 4 ms each. 6 % of the CPU time of
 * all scenarios on arm64 and riscv64. It takes CAP_SYS_NICE; without it the look comes later.
 */
static void go_first(void)
{
	/* struct sched_param: SCHED_OTHER has no priority. */
	int none = 0;

	SYS(sched_setscheduler, 0, SCHED_RESET_ON_FORK, &none, 0, 0, 0);
	SYS(setpriority, PRIO_PROCESS, 0, -20, 0, 0, 0);
}

static int work(void)
{
	struct frame request, reply;

	sys_block_signals(SIGMASK(SIG_USR1) | SIGMASK(SIG_PIPE));
	go_first();
	while (frame_read(0, no_key, request_buffer, &request) == 0) {
		int spent;

		reply.body = reply_buffer + WIRE_HEADER;
		spent = scenario_run(&request, &reply);
		if (frame_write(1, no_key, reply_buffer, &reply) < 0 || spent)
			return 1;
	}
	return 0;
}

int program(int argc, char **argv, char **envp)
{
	if (argc >= 3 && text_equal(argv[1], "serve"))
		return serve(argv + 2, argc - 2, envp);
	if (argc == 2 && text_equal(argv[1], "work"))
		return work();
	complain("usage: vmm serve ABI:PATH... | vmm work", 0);
	return 2;
}
