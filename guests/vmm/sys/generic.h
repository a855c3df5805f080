/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System call numbers of arm64 and riscv64, from include/uapi/asm-generic/unistd.h. */
#ifndef SYS_GENERIC_H
#define SYS_GENERIC_H

#define NR_dup3 24
#define NR_ioctl 29
#define NR_mkdirat 34
#define NR_mount 40
#define NR_openat 56
#define NR_close 57
#define NR_pipe2 59
#define NR_getdents64 61
#define NR_lseek 62
#define NR_read 63
#define NR_write 64
#define NR_ppoll 73
#define NR_sync 81
#define NR_exit 93
#define NR_exit_group 94
#define NR_futex 98
#define NR_nanosleep 101
#define NR_clock_gettime 113
#define NR_syslog 116
#define NR_sched_setscheduler 119
#define NR_kill 129
#define NR_tgkill 131
#define NR_rt_sigprocmask 135
#define NR_rt_sigtimedwait 137
#define NR_setpriority 140
#define NR_reboot 142
#define NR_setsid 157
#define NR_uname 160
#define NR_prctl 167
#define NR_getpid 172
#define NR_gettid 178
#define NR_munmap 215
#define NR_clone 220
#define NR_execve 221
#define NR_mmap 222
#define NR_wait4 260
#define NR_finit_module 273
#define NR_pidfd_open 434

#endif
