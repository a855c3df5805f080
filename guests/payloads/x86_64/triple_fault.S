/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Raises #UD with an empty IDT. Neither it nor the double fault that follows can be delivered. */
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
