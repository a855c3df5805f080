/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hypervisor, by AMD's SVM, and its guest. The guest writes edi:ebp to the MSR in esi, and then to port 0xe9, which the
 * hypervisor does not intercept. When the guest exits, the hypervisor writes to port 0xea.
 */
	.code32
	.text
	.globl _start
_start:
	/* EFER.SVME */
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x1000, %eax
	wrmsr
	/* VM_HSAVE_PA: a page of memory behind the control block */
	movl	$0xc0010117, %ecx
	movl	$vmcb + 0x1000, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$vmcb, %eax
	vmrun	%eax
	.globl exited
exited:
	outb	%al, $0xea
	jmp	exited

	/* The same, but the hypervisor intercepts its guest's shutdown. */
	.globl intercepting
intercepting:
	orl	$0x80000000, vmcb + 0x00c
	jmp	_start

guest:
	movl	%esi, %ecx
	movl	%edi, %edx
	movl	%ebp, %eax
	wrmsr
	outb	%al, $0xe9
	jmp	guest

	/* The guest's control block, AMD64 Architecture Programmer's Manual, volume 2, appendix B: what is not 0. */
	.balign	4096
vmcb:
	/* Intercept VMRUN, as every control block must. */
	.org	vmcb + 0x010
	.long	1
	/* Address space 1 */
	.org	vmcb + 0x058
	.long	1
	/* ES, CS, SS, DS, FS, GS: selector, attributes, limit, base */
	.macro	segment attributes
	.word	8, \attributes
	.long	0xffffffff
	.quad	0
	.endm
	.org	vmcb + 0x400
	segment	0xc93
	segment	0xc9b
	segment	0xc93
	segment	0xc93
	segment	0xc93
	segment	0xc93
	/* EFER.SVME */
	.org	vmcb + 0x4d0
	.quad	0x1000
	/* CR0: CD, NW, ET, PE */
	.org	vmcb + 0x558
	.quad	0x60000011
	/* DR7, DR6, RFLAGS, RIP */
	.quad	0x400, 0xffff0ff0, 2
	.long	guest, 0
	.org	vmcb + 0xfff
	.byte	0
