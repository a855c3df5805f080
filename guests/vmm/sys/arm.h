/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls of 32-bit Arm (EABI); numbers from arch/arm/tools/syscall.tbl. */
#ifndef SYS_ABI_H
#define SYS_ABI_H

#define ABI_NUMBER 5
#define ABI_NAME "arm"

/* Calls that take a time are the *_time64 ones (since 5.1), so struct timespec64 fits in every ABI. */
#define NR_exit 1
#define NR_lseek 19
#define NR_read 3
#define NR_write 4
#define NR_close 6
#define NR_execve 11
#define NR_getpid 20
#define NR_mount 21
#define NR_sync 36
#define NR_kill 37
#define NR_ioctl 54
#define NR_setsid 66
#define NR_reboot 88
#define NR_munmap 91
#define NR_setpriority 97
#define NR_syslog 103
#define NR_wait4 114
#define NR_clone 120
#define NR_uname 122
#define NR_sched_setscheduler 156
#define NR_prctl 172
#define NR_rt_sigprocmask 175
#define NR_mmap 192 /* mmap2: the offset is in pages, and ours is always 0 */
#define NR_getdents64 217
#define NR_gettid 224
#define NR_exit_group 248
#define NR_tgkill 268
#define NR_openat 322
#define NR_mkdirat 323
#define NR_dup3 358
#define NR_pipe2 359
#define NR_finit_module 379
#define NR_clock_gettime 403
#define NR_nanosleep 407 /* clock_nanosleep_time64; see sys.h */
#define NR_ppoll 414
#define NR_rt_sigtimedwait 421
#define NR_futex 422
#define NR_pidfd_open 434
#define ABI_CLOCK_NANOSLEEP 1

static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r7 __asm__("r7") = nr;
	register long r0 __asm__("r0") = a;
	register long r1 __asm__("r1") = b;
	register long r2 __asm__("r2") = c;
	register long r3 __asm__("r3") = d;
	register long r4 __asm__("r4") = e;
	register long r5 __asm__("r5") = f;

	__asm__ volatile("svc #0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5) : "memory");
	return r0;
}

/* KVM on arm64 rejects 32-bit processes, so no vCPU exists here that needs a thread. */
#define ABI_ENTRY                                                                                                      \
	__asm__(".text\n"                                                                                              \
		".arm\n"                                                                                               \
		".globl _start\n"                                                                                      \
		"_start:\n"                                                                                            \
		"	mov fp, #0\n"                                                                                        \
		"	mov r0, sp\n"                                                                                        \
		"	bic sp, sp, #7\n"                                                                                    \
		"	bl start\n"                                                                                          \
		".globl thread_clone\n"                                                                                \
		"thread_clone:\n"                                                                                      \
		"	mvn r0, #37\n" /* -ENOSYS */                                                                   \
		"	bx lr\n")

#endif
