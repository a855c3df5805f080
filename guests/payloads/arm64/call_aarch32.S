/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * call.S in the A32 instruction set, for a vCPU whose EL1 is 32-bit. As words, because this file is assembled for
 * AArch64. Encodings: Arm DDI0406, chapter A8.
 */
	.text
	.globl _start
_start:
	.word	0xe1400070	/* hvc #0 */
	.globl returned
returned:
	.word	0xe3a0840a	/* mov r8, #0x0a000000 */
	.word	0xe5880000	/* str r0, [r8] */
	.word	0xeafffffb	/* b _start */
