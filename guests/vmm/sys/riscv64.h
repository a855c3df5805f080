/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_ABI_H
#define SYS_ABI_H

#include "generic.h"

#define ABI_NUMBER 4
#define ABI_NAME "riscv64"

static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long a7 __asm__("a7") = nr;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;
	register long a4 __asm__("a4") = e;
	register long a5 __asm__("a5") = f;

	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
	return a0;
}

#define ABI_ENTRY                                                                                                      \
	__asm__(".text\n"                                                                                              \
		".globl _start\n"                                                                                      \
		"_start:\n"                                                                                            \
		".option push\n"                                                                                       \
		".option norelax\n"                                                                                    \
		"	la gp, __global_pointer$\n"                                                                          \
		".option pop\n"                                                                                        \
		"	mv a0, sp\n"                                                                                         \
		"	andi sp, sp, -16\n"                                                                                  \
		"	call start\n"                                                                                        \
		".globl thread_clone\n"                                                                                \
		"thread_clone:\n"                                                                                      \
		"	addi a1, a1, -16\n"                                                                                  \
		"	sd a2, 0(a1)\n"                                                                                      \
		"	sd a3, 8(a1)\n"                                                                                      \
		"	li a2, 0\n"                                                                                          \
		"	li a3, 0\n"                                                                                          \
		"	li a4, 0\n"                                                                                          \
		"	li a7, 220\n"                                                                                        \
		"	ecall\n"                                                                                             \
		"	bnez a0, 1f\n"                                                                                       \
		"	ld a1, 0(sp)\n"                                                                                      \
		"	ld a0, 8(sp)\n"                                                                                      \
		"	addi sp, sp, 16\n"                                                                                   \
		"	jalr a1\n"                                                                                           \
		"	ebreak\n"                                                                                            \
		"1:	ret\n")

#endif
