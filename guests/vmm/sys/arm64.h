/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_ABI_H
#define SYS_ABI_H

#include "generic.h"

#define ABI_NUMBER 3
#define ABI_NAME "arm64"

static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

#define ABI_ENTRY                                                                                                      \
	__asm__(".text\n"                                                                                              \
		".globl _start\n"                                                                                      \
		"_start:\n"                                                                                            \
		"	mov x29, #0\n"                                                                                       \
		"	mov x30, #0\n"                                                                                       \
		"	mov x0, sp\n"                                                                                        \
		"	and sp, x0, #-16\n"                                                                                  \
		"	bl start\n"                                                                                          \
		".globl thread_clone\n"                                                                                \
		"thread_clone:\n"                                                                                      \
		"	stp x2, x3, [x1, #-16]!\n"                                                                           \
		"	mov x2, #0\n"                                                                                        \
		"	mov x3, #0\n"                                                                                        \
		"	mov x4, #0\n"                                                                                        \
		"	mov x8, #220\n"                                                                                      \
		"	svc #0\n"                                                                                            \
		"	cbnz x0, 1f\n"                                                                                       \
		"	mov x29, #0\n"                                                                                       \
		"	ldp x1, x0, [sp], #16\n"                                                                             \
		"	blr x1\n"                                                                                            \
		"	brk #0\n"                                                                                            \
		"1:	ret\n")

#endif
