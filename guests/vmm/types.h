/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TYPES_H
#define TYPES_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef __SIZE_TYPE__ usize;
typedef __UINTPTR_TYPE__ uptr;

/* The kernel's __kernel_timespec: the same layout in every ABI, if 32-bit ones use the *_time64 calls. */
struct timespec64 {
	s64 sec;
	s64 nsec;
};

#define NULL ((void *)0)
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#endif
