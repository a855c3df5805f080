/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls without a libc, so that one compiler builds the VMM for every ABI, without a sysroot for each. */
#ifndef SYS_H
#define SYS_H

#include "types.h"

#if defined(__x86_64__)
#include "sys/x86_64.h"
#elif defined(__i386__)
#include "sys/i386.h"
#elif defined(__aarch64__)
#include "sys/arm64.h"
#elif defined(__arm__)
#include "sys/arm.h"
#elif defined(__riscv) && __riscv_xlen == 64
#include "sys/riscv64.h"
#else
#error "no system calls for this architecture: add guests/vmm/sys/<abi>.h"
#endif

/* System calls return errors as -errno. Numbers from include/uapi/asm-generic/errno*.h. */
#define E_INTR 4
#define E_IO 5
#define E_CHILD 10
#define E_AGAIN 11
#define E_NOMEM 12
#define E_EXIST 17
#define E_INVAL 22
#define E_PIPE 32
#define E_TIMEDOUT 110

#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_NOCTTY 0400
#define O_NONBLOCK 04000
#define O_CLOEXEC 02000000
#define SEEK_END 2
#define AT_FDCWD (-100)

#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_SHARED 1
#define MAP_PRIVATE 2
#define MAP_ANONYMOUS 0x20

#define SIG_KILL 9
#define SIG_USR1 10
#define SIG_CHLD 17
#define SIG_PIPE 13
#define SIG_BLOCK 0
#define SIG_SETMASK 2
#define SIGMASK(signal) (1ull << ((signal) - 1))

#define WNOHANG 1
#define PR_SET_PDEATHSIG 1
#define PRIO_PROCESS 0
#define SCHED_RESET_ON_FORK 0x40000000 /* since 2.6.32 */
#define POLLIN 1
#define POLLERR 8
#define POLLHUP 0x10
#define CLOCK_MONOTONIC 1
#define CLOCK_THREAD_CPUTIME 3
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

struct pollfd {
	int fd;
	short events;
	short revents;
};

#define SYS(nr, a, b, c, d, e, f) syscall6(NR_##nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static inline long sys_read(int fd, void *to, usize length)
{
	return SYS(read, fd, to, length, 0, 0, 0);
}

static inline long sys_write(int fd, const void *from, usize length)
{
	return SYS(write, fd, from, length, 0, 0, 0);
}

/* Sets the file offset, from the start of the file. The offset, or -errno. */
static inline long sys_seek(int fd, u32 offset)
{
	return SYS(lseek, fd, offset, 0, 0, 0, 0);
}

/* Sets the file offset to the end. */
static inline void sys_seek_end(int fd)
{
	SYS(lseek, fd, 0, SEEK_END, 0, 0, 0);
}

static inline int sys_open(const char *path, int flags)
{
	return (int)SYS(openat, AT_FDCWD, path, flags, 0, 0, 0);
}

static inline int sys_close(int fd)
{
	return (int)SYS(close, fd, 0, 0, 0, 0, 0);
}

static inline int sys_ioctl(int fd, u32 request, uptr argument)
{
	return (int)SYS(ioctl, fd, request, argument, 0, 0, 0);
}

/* A readable and writable mapping from offset 0 of fd; NULL on any error. */
static inline void *sys_map(usize length, int flags, int fd)
{
	long at = SYS(mmap, 0, length, PROT_READ | PROT_WRITE, flags, fd, 0);

	return (unsigned long)at > -4096ul ? NULL : (void *)at;
}

static inline void sys_unmap(void *at, usize length)
{
	SYS(munmap, at, length, 0, 0, 0, 0);
}

static inline void sys_sleep(u32 milliseconds)
{
	struct timespec64 time = {milliseconds / 1000, (s64)(milliseconds % 1000) * 1000000};

#ifdef ABI_CLOCK_NANOSLEEP
	SYS(nanosleep, CLOCK_MONOTONIC, 0, &time, 0, 0, 0);
#else
	SYS(nanosleep, &time, 0, 0, 0, 0, 0);
#endif
}

/* A clock in microseconds, modulo 2^32 (71 minutes): only differences are meaningful. */
static inline u32 sys_clock(int clock)
{
	struct timespec64 now = {0, 0};

	SYS(clock_gettime, clock, &now, 0, 0, 0, 0);
	return (u32)now.sec * 1000000u + (u32)now.nsec / 1000u;
}

/* The clock of the CPU time of a thread of this process (include/linux/posix-timers_types.h, CPUCLOCK_*). */
static inline int sys_cpu_clock(int tid)
{
	return (int)((~(u32)tid << 3) | 6);
}

static inline u32 sys_microseconds(void)
{
	return sys_clock(CLOCK_MONOTONIC);
}

/* The monotonic clock in milliseconds. */
static inline u64 sys_milliseconds(void)
{
	struct timespec64 now = {0, 0};

	SYS(clock_gettime, CLOCK_MONOTONIC, &now, 0, 0, 0, 0);
	return (u64)now.sec * 1000 + (u32)now.nsec / 1000000u;
}

/* Waits until woken. 0, also when the word does not hold value; -E_TIMEDOUT. */
static inline int sys_futex_wait(u32 *word, u32 value, u32 milliseconds)
{
	struct timespec64 time = {milliseconds / 1000, (s64)(milliseconds % 1000) * 1000000};
	int ret = (int)SYS(futex, word, FUTEX_WAIT_PRIVATE, value, &time, 0, 0);

	return ret == -E_TIMEDOUT ? ret : 0;
}

static inline void sys_futex_wait_forever(u32 *word, u32 value)
{
	SYS(futex, word, FUTEX_WAIT_PRIVATE, value, 0, 0, 0);
}

static inline void sys_futex_wake(u32 *word)
{
	SYS(futex, word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

static inline int sys_poll(struct pollfd *fds, u32 count, u32 milliseconds)
{
	struct timespec64 time = {milliseconds / 1000, (s64)(milliseconds % 1000) * 1000000};

	return (int)SYS(ppoll, fds, count, &time, 0, 8, 0);
}

static inline void sys_block_signals(u64 mask)
{
	SYS(rt_sigprocmask, SIG_BLOCK, &mask, 0, 8, 0, 0);
}

/* Consumes one pending signal of the mask. Its number, or -E_AGAIN when none is pending. */
static inline int sys_take_signal(u64 mask)
{
	struct timespec64 now = {0, 0};

	return (int)SYS(rt_sigtimedwait, &mask, 0, &now, 8, 0, 0);
}

static inline int sys_fork(void)
{
	return (int)SYS(clone, SIG_CHLD, 0, 0, 0, 0, 0);
}

static inline void __attribute__((noreturn)) sys_exit(int code)
{
	for (;;)
		SYS(exit_group, code, 0, 0, 0, 0, 0);
}

#define CLONE_THREAD_FLAGS 0x50f00 /* VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */
long thread_clone(long flags, void *stack_top, void (*function)(void *), void *argument);

/* runtime.c */
int program(int argc, char **argv, char **envp);
void *memcpy(void *to, const void *from, usize length);
void *memmove(void *to, const void *from, usize length);
void *memset(void *at, int byte, usize length);
int memcmp(const void *a, const void *b, usize length);
/* Whether a text, which is not empty, is among these bytes. */
int contains(const u8 *at, usize length, const char *text);
usize text_length(const char *text);
int text_equal(const char *a, const char *b);
/* Puts "what: errno error" and a newline into a line of size bytes; returns their number. error 0 is left out. */
usize describe(char *line, usize size, const char *what, int error);
/* Writes "sysevent: what: errno error" to standard error, which in a guest is the console. error 0 is left out. */
void complain(const char *what, int error);

#endif
