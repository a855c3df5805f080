/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes edx:eax to the MSR in ecx. When that comes back, the OUT ends KVM_RUN with KVM_EXIT_IO. Flat 32-bit
 * protected mode without an IDT: a #GP becomes a triple fault.
 */
	.code32
	.text
	.globl _start
_start:
	wrmsr
	.globl returned
returned:
	outb	%al, $0xe9
	jmp	_start
