/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor. It does not use KVM, so a hang in KVM cannot stop it from answering. When a worker dies or hangs, the
 * reply says so, and the next request starts a new worker.
 */
#include "sys.h"
#include "frame.h"
#include "kmsg.h"
#include "launch.h"
#include "program.h"
#include "serve.h"

#ifndef BUILD_ID
#define BUILD_ID "unknown"
#endif

#define WORKERS_MAX 4
#define GRACE 4000	     /* ms after a request's deadline, for the worker's own watchdogs to act */
#define CONNECT_TIMEOUT 5000 /* ms for the other end of a virtio port to connect */

static struct worker {
	u16 abi;
	const char *path;
	int pid; /* 0: not running */
	int to, from;
} workers[WORKERS_MAX];

/* What frames from and to the harness begin with, since a PING has said so. */
static u8 key[WIRE_KEY] = WIRE_NO_KEY;
static u8 incoming[FRAME_BUFFER] __attribute__((aligned(16)));
static u8 outgoing[FRAME_BUFFER] __attribute__((aligned(16)));

static int say_hello(u32 sequence)
{
	struct frame hello = {WIRE_HELLO, ABI_NUMBER, sequence, 0, outgoing + WIRE_HEADER};
	u32 version = WIRE_VERSION, abi = ABI_NUMBER;
	struct {
		char sysname[65], nodename[65], release[65], version[65], machine[65], domain[65];
	} names;

	memset(&names, 0, sizeof(names));
	SYS(uname, &names, 0, 0, 0, 0, 0);
	memcpy(hello.body, &version, 4);
	memcpy(hello.body + 4, &abi, 4);
	memcpy(hello.body + 8, names.release, 65);
	memcpy(hello.body + 73, names.machine, 65);
	memcpy(hello.body + 138, BUILD_ID, text_length(BUILD_ID));
	hello.length = 138 + (u32)text_length(BUILD_ID);
	return frame_write(1, key, outgoing, &hello);
}

static int worker_start(struct worker *worker, char **envp)
{
	char *argv[] = {(char *)worker->path, "work", NULL};
	int requests[2], replies[2], pid;

	if (SYS(pipe2, requests, O_CLOEXEC, 0, 0, 0, 0) < 0)
		return -E_NOMEM;
	if (SYS(pipe2, replies, O_CLOEXEC, 0, 0, 0, 0) < 0) {
		sys_close(requests[0]);
		sys_close(requests[1]);
		return -E_NOMEM;
	}
	pid = sys_fork();
	if (pid == 0) {
		long ret;

		SYS(prctl, PR_SET_PDEATHSIG, SIG_KILL, 0, 0, 0, 0);
		SYS(dup3, requests[0], 0, 0, 0, 0, 0);
		SYS(dup3, replies[1], 1, 0, 0, 0, 0);
		ret = SYS(execve, worker->path, argv, envp, 0, 0, 0);
		sys_exit((int)-ret & 0xff);
	}
	sys_close(requests[0]);
	sys_close(replies[1]);
	if (pid < 0) {
		sys_close(requests[1]);
		sys_close(replies[0]);
		return pid;
	}
	worker->pid = pid;
	worker->to = requests[1];
	worker->from = replies[0];
	return 0;
}

/*
 * Ends a worker: the signal that ended it, or minus its exit code. 0 when it has not ended within 2 s, as inside a
 * KVM_RUN that hangs.
 */
static s32 worker_end(struct worker *worker)
{
	int status = 0;
	long got = 0;

	sys_close(worker->to);
	sys_close(worker->from);
	/* A worker that crashed has 500 ms to end by itself, so that its own signal is reported, not our SIGKILL. */
	for (int tries = 0; tries < 400 && got == 0; tries++) {
		if (tries == 100)
			SYS(kill, worker->pid, SIG_KILL, 0, 0, 0, 0);
		got = SYS(wait4, worker->pid, &status, WNOHANG, 0, 0, 0);
		if (got == 0)
			sys_sleep(5);
	}
	worker->pid = 0;
	if (got <= 0)
		return 0;
	return status & 0x7f ? status & 0x7f : -(status >> 8 & 0xff);
}

static void fail(struct frame *reply, const struct frame *request, u16 state, s32 detail)
{
	u16 done = 0;

	*reply = (struct frame){WIRE_REPLY, request->abi, request->sequence, REPLY_HEADER, outgoing + WIRE_HEADER};
	memset(reply->body, 0, REPLY_HEADER);
	memcpy(reply->body, &state, 2);
	memcpy(reply->body + 2, &done, 2);
	memcpy(reply->body + 4, &detail, 4);
}

static void ask_worker(const struct frame *request, struct frame *reply, char **envp)
{
	struct worker *worker = NULL;
	struct pollfd poll;
	u32 deadline = 0;
	u16 state;
	int ret;

	for (u32 i = 0; i < WORKERS_MAX; i++)
		if (workers[i].path && workers[i].abi == request->abi)
			worker = &workers[i];
	if (!worker) {
		fail(reply, request, STATE_NO_WORKER, 0);
		return;
	}
	if (!worker->pid) {
		ret = worker_start(worker, envp);
		if (ret < 0) {
			fail(reply, request, STATE_NO_WORKER, -ret);
			return;
		}
	}
	if (request->length >= 4)
		memcpy(&deadline, request->body, 4);
	if (frame_write(worker->to, no_key, incoming, request) < 0) {
		fail(reply, request, STATE_DIED, worker_end(worker));
		return;
	}
	poll = (struct pollfd){worker->from, POLLIN, 0};
	ret = sys_poll(&poll, 1, deadline + GRACE);
	if (ret <= 0) {
		SYS(kill, worker->pid, SIG_KILL, 0, 0, 0, 0);
		fail(reply, request, STATE_HUNG, worker_end(worker));
		return;
	}
	if (frame_read(worker->from, no_key, outgoing, reply) < 0 || reply->length < REPLY_HEADER ||
	    reply->length > WIRE_BODY_MAX - LOG_MAX) {
		fail(reply, request, STATE_DIED, worker_end(worker));
		return;
	}
	memcpy(&state, reply->body, 2);
	if (state == STATE_STUCK) {
		SYS(kill, worker->pid, SIG_KILL, 0, 0, 0, 0);
		worker_end(worker);
	}
}

static int add_worker(u32 index, const char *argument)
{
	u16 abi = 0;

	while (*argument >= '0' && *argument <= '9')
		abi = (u16)(abi * 10 + (*argument++ - '0'));
	if (*argument != ':' || index >= WORKERS_MAX)
		return -E_INVAL;
	workers[index].abi = abi;
	workers[index].path = argument + 1;
	return 0;
}

/* Takes the key of all further frames, and answers. */
static int ping(const struct frame *request)
{
	if (request->length != WIRE_KEY)
		return 0;
	memcpy(key, request->body, WIRE_KEY);
	/*
	 * Sleep to show that timers work: QEMU 7.2 restores neither arm64's hypervisor timers nor riscv64's stimecmp,
	 * so a kernel that waits for a timer that it set before hangs.
	 */
	sys_sleep(1);
	return say_hello(request->sequence);
}

int serve(char **arguments, int count, char **envp)
{
	struct frame request, reply;
	int ret, keyed;

	for (int i = 0; i < count; i++) {
		if (add_worker((u32)i, arguments[i]) < 0) {
			complain("a worker is named <abi number>:<path>, at most 4 of them", 0);
			return 2;
		}
	}
	sys_block_signals(SIGMASK(SIG_PIPE));
	kmsg_open();
	ret = say_hello(0);
	while (ret == 0) {
		/* Only for the channel: the end of a worker's pipe means that the worker has ended. */
		frame_eof_timeout = CONNECT_TIMEOUT;
		ret = frame_read_any(0, key, incoming, &request, &keyed);
		frame_eof_timeout = 0;
		if (ret < 0)
			break;
		if (request.kind == WIRE_PING)
			ret = ping(&request);
		if (!keyed)
			continue;
		if (request.kind == WIRE_BYE)
			break;
		if (request.kind != WIRE_REQUEST)
			continue;
		kmsg_begin();
		if (request.abi == WIRE_SUPERVISOR) {
			reply = (struct frame){WIRE_REPLY, request.abi, request.sequence, 0, outgoing + WIRE_HEADER};
			launch(&request, &reply);
		} else {
			ask_worker(&request, &reply, envp);
		}
		kmsg_end(&reply);
		ret = frame_write(1, key, outgoing, &reply);
	}
	program_end();
	if (ret < 0)
		complain("the channel to the harness ended", ret);
	return ret < 0;
}
