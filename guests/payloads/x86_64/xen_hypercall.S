/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Xen hypercall: number in eax, parameters in ebx ecx edx esi edi ebp, result in eax. The OUT after it ends KVM_RUN
 * with KVM_EXIT_IO. VMMCALL is AMD's instruction; KVM accepts it on Intel's processors, too.
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
