/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls of i386; numbers from arch/x86/entry/syscalls/syscall_32.tbl. */
#ifndef SYS_ABI_H
#define SYS_ABI_H

#define ABI_NUMBER 2
#define ABI_NAME "i386"

/* Calls that take a time are the *_time64 ones (since 5.1), so struct timespec64 fits in every ABI. */
#define NR_exit 1
#define NR_lseek 19
#define NR_read 3
#define NR_write 4
#define NR_close 6
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
#define NR_execve 11
#define NR_getdents64 220
#define NR_gettid 224
#define NR_exit_group 252
#define NR_tgkill 270
#define NR_openat 295
#define NR_mkdirat 296
#define NR_dup3 330
#define NR_pipe2 331
#define NR_finit_module 350
#define NR_clock_gettime 403
#define NR_nanosleep 407 /* clock_nanosleep_time64; see sys.h */
#define NR_ppoll 414
#define NR_rt_sigtimedwait 421
#define NR_futex 422
#define NR_pidfd_open 434
#define ABI_CLOCK_NANOSLEEP 1

static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	/* The sixth argument goes into ebp, which may be the frame pointer: pass all of them through memory. */
	long args[7] = {nr, a, b, c, d, e, f};
	long ret;

	__asm__ volatile("push %%ebp\n"
			 "mov 24(%%eax), %%ebp\n"
			 "mov 4(%%eax), %%ebx\n"
			 "mov 8(%%eax), %%ecx\n"
			 "mov 12(%%eax), %%edx\n"
			 "mov 16(%%eax), %%esi\n"
			 "mov 20(%%eax), %%edi\n"
			 "mov 0(%%eax), %%eax\n"
			 "int $0x80\n"
			 "pop %%ebp\n"
			 : "=a"(ret)
			 : "a"(args)
			 : "ebx", "ecx", "edx", "esi", "edi", "memory");
	return ret;
}

#define ABI_ENTRY                                                                                                      \
	__asm__(".text\n"                                                                                              \
		".globl _start\n"                                                                                      \
		"_start:\n"                                                                                            \
		"	xor %ebp, %ebp\n"                                                                                    \
		"	mov %esp, %eax\n"                                                                                    \
		"	and $-16, %esp\n"                                                                                    \
		"	sub $12, %esp\n"                                                                                     \
		"	push %eax\n"                                                                                         \
		"	call start\n"                                                                                        \
		".globl thread_clone\n"                                                                                \
		"thread_clone:\n"                                                                                      \
		"	push %ebx\n"                                                                                         \
		"	push %esi\n"                                                                                         \
		"	push %edi\n"                                                                                         \
		"	mov 16(%esp), %ebx\n"                                                                                \
		"	mov 20(%esp), %ecx\n"                                                                                \
		"	sub $16, %ecx\n"                                                                                     \
		"	mov 24(%esp), %eax\n"                                                                                \
		"	mov %eax, 12(%ecx)\n"                                                                                \
		"	mov 28(%esp), %eax\n"                                                                                \
		"	mov %eax, 0(%ecx)\n"                                                                                 \
		"	xor %edx, %edx\n"                                                                                    \
		"	xor %esi, %esi\n"                                                                                    \
		"	xor %edi, %edi\n"                                                                                    \
		"	mov $120, %eax\n"                                                                                    \
		"	int $0x80\n"                                                                                         \
		"	test %eax, %eax\n"                                                                                   \
		"	jnz 1f\n"                                                                                            \
		"	xor %ebp, %ebp\n"                                                                                    \
		"	mov 12(%esp), %eax\n"                                                                                \
		"	call *%eax\n"                                                                                        \
		"	ud2\n"                                                                                               \
		"1:	pop %edi\n"                                                                                        \
		"	pop %esi\n"                                                                                          \
		"	pop %ebx\n"                                                                                          \
		"	ret\n")

#endif
