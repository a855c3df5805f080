/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls of x86-64; numbers from arch/x86/entry/syscalls/syscall_64.tbl. */
#ifndef SYS_ABI_H
#define SYS_ABI_H

#define ABI_NUMBER 1
#define ABI_NAME "x86_64"

#define NR_read 0
#define NR_write 1
#define NR_lseek 8
#define NR_mmap 9
#define NR_munmap 11
#define NR_rt_sigprocmask 14
#define NR_ioctl 16
#define NR_rt_sigtimedwait 128
#define NR_nanosleep 35
#define NR_getpid 39
#define NR_clone 56
#define NR_execve 59
#define NR_exit 60
#define NR_wait4 61
#define NR_kill 62
#define NR_uname 63
#define NR_syslog 103
#define NR_setsid 112
#define NR_setpriority 141
#define NR_sched_setscheduler 144
#define NR_prctl 157
#define NR_sync 162
#define NR_mount 165
#define NR_reboot 169
#define NR_gettid 186
#define NR_futex 202
#define NR_clock_gettime 228
#define NR_exit_group 231
#define NR_tgkill 234
#define NR_openat 257
#define NR_mkdirat 258
#define NR_ppoll 271
#define NR_dup3 292
#define NR_pipe2 293
#define NR_finit_module 313
#define NR_getdents64 217
#define NR_pidfd_open 434
#define NR_close 3

static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* long thread_clone(flags, stack top, function, argument): the child calls function, which must not return. */
#define ABI_ENTRY                                                                                                      \
	__asm__(".text\n"                                                                                              \
		".globl _start\n"                                                                                      \
		"_start:\n"                                                                                            \
		"	xor %ebp, %ebp\n"                                                                                    \
		"	mov %rsp, %rdi\n"                                                                                    \
		"	and $-16, %rsp\n"                                                                                    \
		"	call start\n"                                                                                        \
		".globl thread_clone\n"                                                                                \
		"thread_clone:\n"                                                                                      \
		"	sub $16, %rsi\n"                                                                                     \
		"	mov %rdx, 0(%rsi)\n"                                                                                 \
		"	mov %rcx, 8(%rsi)\n"                                                                                 \
		"	mov $56, %eax\n"                                                                                     \
		"	xor %edx, %edx\n"                                                                                    \
		"	xor %r10d, %r10d\n"                                                                                  \
		"	xor %r8d, %r8d\n"                                                                                    \
		"	syscall\n"                                                                                           \
		"	test %rax, %rax\n"                                                                                   \
		"	jnz 1f\n"                                                                                            \
		"	xor %ebp, %ebp\n"                                                                                    \
		"	pop %rax\n"                                                                                          \
		"	pop %rdi\n"                                                                                          \
		"	call *%rax\n"                                                                                        \
		"	ud2\n"                                                                                               \
		"1:	ret\n")

#endif
