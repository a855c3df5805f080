/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An exception that finds no IDT, nor does the double fault that follows. */
	.code32
	.text
	.globl _start
_start:
	lidt	none
	.globl fault
fault:
	ud2
	.balign	8
none:
	.word	0
	.long	0
