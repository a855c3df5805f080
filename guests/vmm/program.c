/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One program at a time, in a process group of its own. Its streams are pipes, so that it needs no device of the guest,
 * and what it prints arrives in the frame that also says how it ended. Everything it does has a deadline by the clock.
 */
#include "sys.h"
#include "program.h"

#define KILL_TIMEOUT 5000 /* ms for a killed program to be gone; inside KVM_RUN it may not be */
#define DRAIN_TIMEOUT 500 /* ms for its last output, which a process that left its group may hold back */
/* Beyond all other file descriptors of the supervisor. */
#define REPORT_FD 100
#define SIDE_FD 101

static struct {
	int pid; /* 0: none runs */
	int pidfd;
	int input;		   /* -1: closed */
	int from[PROGRAM_STREAMS]; /* -1: closed */
	u32 written;		   /* bytes of input so far */
	u64 since;		   /* sys_milliseconds() */
} child = {0, -1, -1, {-1, -1, -1}, 0, 0};

struct program_stream program_streams[PROGRAM_STREAMS];

static void close_one(int *fd)
{
	if (*fd >= 0)
		sys_close(*fd);
	*fd = -1;
}

static void close_all(void)
{
	close_one(&child.pidfd);
	close_one(&child.input);
	for (u32 i = 0; i < PROGRAM_STREAMS; i++)
		close_one(&child.from[i]);
}

static void kill_group(void)
{
	/* The group exists once the child has run. */
	SYS(kill, -child.pid, SIG_KILL, 0, 0, 0, 0);
	SYS(kill, child.pid, SIG_KILL, 0, 0, 0, 0);
}

static u32 to_milliseconds(const long *time)
{
	return (u32)time[0] * 1000 + (u32)time[1] / 1000;
}

/* Reaps the program, which has ended or was killed. */
static void reap(struct program_result *result)
{
	u64 end = sys_milliseconds() + KILL_TIMEOUT;
	long usage[18]; /* struct rusage: user and system time, then the most memory */
	int status = 0;
	long got;

	memset(usage, 0, sizeof(usage));
	while ((got = SYS(wait4, child.pid, &status, WNOHANG, usage, 0, 0)) == 0 && sys_milliseconds() < end)
		sys_sleep(1);
	if (got > 0)
		result->flags |= PROGRAM_ENDED;
	else
		result->flags |= PROGRAM_STUCK;
	result->status = (u32)status;
	result->cpu_milliseconds = to_milliseconds(usage) + to_milliseconds(usage + 2);
	result->memory = (u32)usage[4];
}

void program_end(void)
{
	struct program_result ignored = {0, 0, 0, 0, 0};

	if (!child.pid)
		return;
	kill_group();
	reap(&ignored);
	close_all();
	child.pid = 0;
}

/* In the child: ends by execve, or by reporting its errno. */
static void __attribute__((noreturn)) run(const struct program_step *step, int input, const int *to)
{
	u64 none = 0;
	int error;

	/* dup3() below may close what has one of the numbers 0 to 3 now. */
	SYS(dup3, to[PROGRAM_STREAMS], REPORT_FD, O_CLOEXEC, 0, 0, 0);
	SYS(dup3, to[2], SIDE_FD, O_CLOEXEC, 0, 0, 0);
	SYS(setsid, 0, 0, 0, 0, 0, 0);
	SYS(prctl, PR_SET_PDEATHSIG, SIG_KILL, 0, 0, 0, 0);
	SYS(rt_sigprocmask, SIG_SETMASK, &none, 0, 8, 0, 0);
	SYS(dup3, input, 0, 0, 0, 0, 0);
	SYS(dup3, to[1], 2, 0, 0, 0, 0);
	SYS(dup3, to[0], 1, 0, 0, 0, 0);
	if (step->flags & PROGRAM_MERGED)
		SYS(dup3, 1, 2, 0, 0, 0, 0);
	SYS(dup3, SIDE_FD, 3, 0, 0, 0, 0);
	error = (int)-SYS(execve, step->argv[0], step->argv, step->envp, 0, 0, 0);
	sys_write(REPORT_FD, &error, sizeof(error));
	sys_exit(127);
}

/* 0, or -errno of what failed, execve() included. */
static int start(const struct program_step *step)
{
	/* The program's input, its streams, and the errno of execve. */
	int pipes[PROGRAM_STREAMS + 2][2], to[PROGRAM_STREAMS + 1], made = 0, error = 0;

	for (; made < (int)LENGTH(pipes) && !error; made++)
		error = (int)SYS(pipe2, pipes[made], O_CLOEXEC, 0, 0, 0, 0);
	if (error) {
		for (made--; made-- > 0;) {
			sys_close(pipes[made][0]);
			sys_close(pipes[made][1]);
		}
		return error;
	}
	for (u32 i = 0; i <= PROGRAM_STREAMS; i++)
		to[i] = pipes[i + 1][1];
	child.pid = sys_fork();
	if (child.pid == 0)
		run(step, pipes[0][0], to);
	child.since = sys_milliseconds();
	child.written = 0;
	child.input = pipes[0][1];
	sys_close(pipes[0][0]);
	for (u32 i = 0; i <= PROGRAM_STREAMS; i++)
		sys_close(to[i]);
	for (u32 i = 0; i < PROGRAM_STREAMS; i++)
		child.from[i] = pipes[i + 1][0];
	if (child.pid < 0)
		error = -child.pid;
	else
		sys_read(pipes[PROGRAM_STREAMS + 1][0], &error, sizeof(error));
	sys_close(pipes[PROGRAM_STREAMS + 1][0]);
	if (!error) {
		child.pidfd = (int)SYS(pidfd_open, child.pid, 0, 0, 0, 0, 0);
		error = child.pidfd < 0 ? -child.pidfd : 0;
	}
	if (error) {
		if (child.pid > 0)
			program_end();
		close_all();
		child.pid = 0;
	}
	return -error;
}

/* Takes in what a stream has; closes it at its end. */
static void take_output(u32 index, struct program_result *result)
{
	static u8 dropped[4096];
	u8 *to = program_streams[index].text + program_streams[index].used;
	usize space = PROGRAM_OUTPUT_MAX - program_streams[index].used;
	long got =
	    space ? sys_read(child.from[index], to, space) : sys_read(child.from[index], dropped, sizeof(dropped));

	if (got <= 0 && got != -E_INTR)
		close_one(&child.from[index]);
	else if (got > 0 && space)
		program_streams[index].used += (u32)got;
	else if (got > 0)
		result->flags |= PROGRAM_CUT;
}

/* Whether a stream has the text; before: how many bytes each had when they were searched last. */
static int found(const struct program_step *step, const u32 *before)
{
	for (u32 i = 0; step->text_length && i < PROGRAM_STREAMS; i++) {
		u32 at = before[i] > step->text_length ? before[i] - step->text_length : 0;

		for (; at + step->text_length <= program_streams[i].used; at++)
			if (memcmp(program_streams[i].text + at, step->text, step->text_length) == 0)
				return 1;
	}
	return 0;
}

/*
 * Waits up to so many milliseconds for one of: output, which is taken in; the end of the program; the end of the channel.
 * What is not to be watched is NULL. Nonzero when a stream is still open.
 */
static int wait_once(u64 milliseconds, int *ended, int *hung_up, struct program_result *result)
{
	struct pollfd fds[PROGRAM_STREAMS + 2];
	u32 open[PROGRAM_STREAMS], count = 0;

	fds[0] = (struct pollfd){hung_up ? 0 : -1, 0, 0};
	fds[1] = (struct pollfd){ended ? child.pidfd : -1, POLLIN, 0};
	for (u32 i = 0; i < PROGRAM_STREAMS; i++) {
		if (child.from[i] < 0)
			continue;
		fds[2 + count] = (struct pollfd){child.from[i], POLLIN, 0};
		open[count++] = i;
	}
	if (sys_poll(fds, 2 + count, (u32)milliseconds) <= 0)
		return count > 0;
	for (u32 i = 0; i < count; i++)
		if (fds[2 + i].revents)
			take_output(open[i], result);
	if (ended)
		*ended = fds[1].revents != 0;
	if (hung_up)
		*hung_up = (fds[0].revents & (POLLHUP | POLLERR)) != 0;
	return count > 0;
}

static void follow(const struct program_step *step, struct program_result *result)
{
	u64 begin = sys_milliseconds(), end = begin + step->milliseconds, now = begin;
	int ended = 0, hung_up = 0;

	while (!ended && !hung_up && now < end) {
		u32 before[PROGRAM_STREAMS];

		for (u32 i = 0; i < PROGRAM_STREAMS; i++)
			before[i] = program_streams[i].used;
		wait_once(end - now, &ended, &hung_up, result);
		now = sys_milliseconds();
		if (!ended && found(step, before)) {
			result->flags |= PROGRAM_FOUND;
			result->milliseconds = (u32)(now - child.since);
			return;
		}
	}
	if (!ended && !hung_up && step->flags & PROGRAM_LEAVE) {
		result->milliseconds = (u32)(now - child.since);
		return;
	}
	if (!ended)
		result->flags |= PROGRAM_KILLED;
	/* Also what an ended program has left in its group. */
	kill_group();
	reap(result);
	result->milliseconds = (u32)(now - child.since);
	end = sys_milliseconds() + DRAIN_TIMEOUT;
	while ((now = sys_milliseconds()) < end && wait_once(end - now, NULL, NULL, result))
		;
	close_all();
	child.pid = 0;
}

int program_do(const struct program_step *step, struct program_result *result)
{
	int error = 0;

	for (u32 i = 0; i < PROGRAM_STREAMS; i++)
		program_streams[i].used = 0;
	if (step->arguments) {
		program_end();
		error = start(step);
	}
	if (!error && !child.pid)
		error = -E_CHILD;
	if (!error && (step->input_length > PROGRAM_INPUT_MAX - child.written || child.input < 0) && step->input_length)
		error = -E_INVAL;
	if (error)
		return error;
	/* A program that has ended already gives -EPIPE here, and its status below. */
	sys_write(child.input, step->input, step->input_length);
	child.written += step->input_length;
	if (!(step->flags & PROGRAM_OPEN))
		close_one(&child.input);
	follow(step, result);
	return 0;
}
