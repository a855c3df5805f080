/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Xen hypercall: its number in eax, its parameters in ebx ecx edx esi edi ebp, its result in eax. What comes
 * after it ends KVM_RUN with KVM_EXIT_IO. KVM takes AMD's instruction on Intel's processors, too.
 */
	.code32
	.text
	.globl _start
_start:
	vmmcall
	.globl returned
returned:
	outb	%al, $0xe9
	jmp	_start
