/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys.h"
#include "kvm.h"
#include "wire.h"
#include "vm.h"
#include "vcpu.h"
#include "cover.h"

#define STACK 16384
#define PIECE 5	      /* ms of one wait */
#define KICK_EVERY 10 /* ms; one signal is enough, unless it is lost */
#define GRACE 2000    /* ms for KVM_RUN to return after the first signal */
#define BUSY 1000     /* us of CPU time in a piece with which a vCPU is still on its way */
#define BUSY_MAX 10   /* pieces that are not counted for that reason */
#define PAGE 4096     /* bytes of kvm_run that are poisoned and compared, with any page size */

enum command { IDLE, RUN };

/* Of the page of a kvm_run, which is aligned. */
typedef u64 __attribute__((may_alias)) run_word;

/* A vCPU's thread outlives its scenario and serves the vCPU of the same index in the next one. */
static struct thread {
	u32 command;   /* a futex */
	u32 signalled; /* 1 after a signal was sent to it, which may be pending still */
	int tid;       /* 0: not started */
	struct vcpu *vcpu;
	u8 stack[STACK] __attribute__((aligned(16)));
} threads[VCPUS_MAX];

static void thread_signal(struct thread *thread)
{
	SYS(tgkill, SYS(getpid, 0, 0, 0, 0, 0, 0), thread->tid, SIG_USR1, 0, 0, 0);
	/* Afterwards: a thread that takes its signals in between must look again before its next run. */
	__atomic_store_n(&thread->signalled, 1, __ATOMIC_RELEASE);
}

static void thread_main(void *argument)
{
	struct thread *thread = argument;

	for (;;) {
		struct vcpu *vcpu;
		u32 begin, cpu_begin;

		while (__atomic_load_n(&thread->command, __ATOMIC_ACQUIRE) == IDLE)
			sys_futex_wait_forever(&thread->command, IDLE);
		vcpu = thread->vcpu;
		/* A late signal of the previous run must not end this one. */
		if (__atomic_exchange_n(&thread->signalled, 0, __ATOMIC_ACQ_REL))
			while (sys_take_signal(SIGMASK(SIG_USR1)) > 0)
				;
		cover_thread((u32)(thread - threads));
		if (vcpu->poison & START_SIGNALLED)
			thread_signal(thread);
		begin = sys_microseconds();
		cpu_begin = sys_clock(CLOCK_THREAD_CPUTIME);
		vcpu->ret = sys_ioctl(vcpu->fd, KVM_RUN, 0);
		vcpu->cpu_microseconds = sys_clock(CLOCK_THREAD_CPUTIME) - cpu_begin;
		vcpu->microseconds = sys_microseconds() - begin;
		__atomic_store_n(&thread->command, IDLE, __ATOMIC_RELEASE);
		__atomic_store_n(&vcpu->running, 0, __ATOMIC_RELEASE);
		sys_futex_wake(&vcpu->running);
	}
}

static int thread_ready(struct thread *thread)
{
	if (!thread->tid) {
		long tid = thread_clone(CLONE_THREAD_FLAGS, thread->stack + STACK, thread_main, thread);

		if (tid < 0)
			return (int)tid;
		thread->tid = (int)tid;
	}
	return 0;
}

/*
 * Poisons the fields that only the kernel writes: exit_reason to flags (8..16), the union (32..288) and the rest of the
 * sync area (312..). Not those that the kernel also reads: cr8 (16), kvm_valid_regs and kvm_dirty_regs (288..304), and
 * on arm64 s.regs.device_irq_level (304..312), where a level that is not the timer's ends KVM_RUN with EINTR
 * (arch/arm64/kvm/arch_timer.c, kvm_timer_should_notify_user).
 */
static void poison_run(struct vcpu *vcpu, u32 poison)
{
	u32 reason;

	memcpy(&reason, vcpu->run + RUN_EXIT_REASON, 4);
	vcpu->run[RUN_IMMEDIATE_EXIT] = 0;
	if (!(poison & START_KEEP)) {
		memset(vcpu->run + RUN_EXIT_REASON, (int)poison, RUN_CR8 - RUN_EXIT_REASON);
		/* On re-entry arm64 and riscv complete these exits according to exit_reason, so it must stay. */
		if (reason == EXIT_MMIO || reason == EXIT_RISCV_SBI || reason == EXIT_RISCV_CSR)
			memcpy(vcpu->run + RUN_EXIT_REASON, &reason, 4);
		memset(vcpu->run + RUN_UNION, (int)poison, RUN_VALID_REGS - RUN_UNION);
		memset(vcpu->run + RUN_VALID_REGS, 0, RUN_SYNC_REST - RUN_VALID_REGS);
		memset(vcpu->run + RUN_SYNC_REST, (int)poison, PAGE - RUN_SYNC_REST);
	}
	memcpy(vcpu->run + vcpu->patch_at, vcpu->patch, vcpu->patch_length);
	vcpu->patch_length = 0;
}

int vcpu_start(struct vcpu *vcpu, u32 index, u32 poison)
{
	struct thread *thread = &threads[index];
	int ret;

	if (__atomic_load_n(&vcpu->running, __ATOMIC_ACQUIRE))
		return -E_INVAL;
	ret = thread_ready(thread);
	if (ret < 0)
		return ret;
	poison_run(vcpu, poison);
	vcpu->poison = poison;
	vcpu->kicked = 0;
	vcpu->ret = 0;
	thread->vcpu = vcpu;
	__atomic_store_n(&vcpu->running, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&thread->command, RUN, __ATOMIC_RELEASE);
	sys_futex_wake(&thread->command);
	return 0;
}

/*
 * In pieces, for the reason at do_sleep() in steps.c: a vCPU that was not scheduled must not count as blocked. Nor must
 * one that is still on its way to where it blocks, because the machine is busy: pieces in which it used CPU time are
 * not counted, up to grace of them.
 */
static int wait_until_back(struct vcpu *vcpu, u32 index, u32 milliseconds, u32 grace)
{
	int clock = sys_cpu_clock(threads[index].tid);
	u32 used = sys_clock(clock);

	while (__atomic_load_n(&vcpu->running, __ATOMIC_ACQUIRE)) {
		u32 piece = milliseconds < PIECE ? milliseconds : PIECE;
		u32 before = used;

		if (!milliseconds)
			return -E_TIMEDOUT;
		if (sys_futex_wait(&vcpu->running, 1, piece) != -E_TIMEDOUT)
			continue;
		used = sys_clock(clock);
		if (grace && used - before > BUSY)
			grace--;
		else
			milliseconds -= piece;
	}
	return 0;
}

void vcpus_kick(u32 vcpus)
{
	for (u32 i = 0; i < VCPUS_MAX; i++) {
		struct vcpu *vcpu = &vm.vcpus[i];

		if (!(vcpus >> i & 1) || vcpu->fd < 0 || !__atomic_load_n(&vcpu->running, __ATOMIC_ACQUIRE))
			continue;
		vcpu->kicked = 1;
		thread_signal(&threads[i]);
	}
}

int vcpu_wait(struct vcpu *vcpu, u32 index, u32 milliseconds)
{
	u32 begin;

	/* A short wait is for a vCPU whose state is known already, such as a peer that counts. */
	if (wait_until_back(vcpu, index, milliseconds, milliseconds > PIECE ? BUSY_MAX : 0) == 0)
		return 0;
	vcpus_kick(vm.end_together & ~(1u << index));
	vcpu->kicked = 1;
	begin = sys_microseconds();
	do {
		thread_signal(&threads[index]);
		if (wait_until_back(vcpu, index, KICK_EVERY, 0) == 0)
			return 0;
	} while ((sys_microseconds() - begin) / 1000 < GRACE);
	return -E_TIMEDOUT;
}

u32 vcpu_tail_changed(const struct vcpu *vcpu, u32 *first, u32 *last)
{
	u64 poison = (u8)vcpu->poison * 0x0101010101010101ull;
	u32 changed = 0;

	*first = *last = 0;
	if (vcpu->poison & START_KEEP)
		return 0;
	for (u32 at = RUN_HEAD; at < PAGE; at++) {
		if (at % 8 == 0 && *(const run_word *)(vcpu->run + at) == poison) {
			at += 7;
			continue;
		}
		if (vcpu->run[at] == (u8)vcpu->poison)
			continue;
		if (!changed++)
			*first = at;
		*last = at;
	}
	return changed;
}
