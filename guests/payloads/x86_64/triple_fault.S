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

	/* Ends System Management Mode, with the state that a CPU saves when it begins. */
	.globl resume
resume:
	rsm
	.globl resumed
resumed:

	.balign	8
none:
	.word	0
	.long	0
