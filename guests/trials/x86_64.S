/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the CPU's nested page tables (AMD's NPT) apply to a guest without paging of its own. They map the guest's
 * physical page 0x1000 to the page `code`, which has vmmcall; at the machine's own address 0x1000 is hlt. The result is
 * the exit code of QEMU, by its device isa-debug-exit: 33, they apply; 35, they do not; any other, it is unknown.
 */
	.code32
	.text
	/* What QEMU boots: Multiboot 0.6.96, 3.1.1 */
	.balign	4
	.long	0x1badb002, 0, -0x1badb002
	.globl _start
_start:
	/* At both addresses the same offset. */
	movb	$0xf4, 0x1000
	/*
	 * Paging in the format of PAE, which the nested tables then have as well. Without PAE some QEMUs ignore them. The
	 * hypervisor's map the first 2 MB to themselves.
	 */
	movl	%cr4, %eax
	orl	$0x20, %eax
	movl	%eax, %cr4
	movl	$directory + 1, tables
	movl	$0x83, directory
	movl	$tables, %eax
	movl	%eax, %cr3
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	/* The guest's map one page, 0x1000. */
	movl	$nested_directory + 1, nested
	movl	$nested_table + 7, nested_directory
	movl	$code + 7, nested_table + 8
	/* EFER.SVME; VM_HSAVE_PA */
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x1000, %eax
	wrmsr
	movl	$0xc0010117, %ecx
	movl	$save, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$vmcb, %eax
	vmrun	%eax
	/* EXITCODE: VMMCALL, HLT */
	movl	vmcb + 0x70, %ebx
	movl	$0x10, %eax
	cmpl	$0x81, %ebx
	je	ended
	movl	$0x11, %eax
	cmpl	$0x78, %ebx
	je	ended
	movl	$0x12, %eax
ended:
	outl	%eax, $0xf4
	jmp	ended

	.balign	4096
code:
	vmmcall
	.balign	4096
	/* The guest's control block, AMD64 Architecture Programmer's Manual, volume 2, appendix B: what is not 0. */
vmcb:
	/* Intercept HLT and shutdown; VMRUN and VMMCALL */
	.org	vmcb + 0x00c
	.long	0x81000000
	.long	3
	/* Address space 1; nested paging; its tables */
	.org	vmcb + 0x058
	.long	1
	.org	vmcb + 0x090
	.quad	1
	.org	vmcb + 0x0b0
	.long	nested, 0
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
	/* CR0: ET, PE */
	.org	vmcb + 0x558
	.quad	0x11
	/* DR7, DR6, RFLAGS, RIP */
	.quad	0x400, 0xffff0ff0, 2, 0x1000
	/* G_PAT: the value after a reset */
	.org	vmcb + 0x668
	.quad	0x0007040600070406
	.org	vmcb + 0x1000
save:
	.skip	4096
tables:
	.skip	4096
directory:
	.skip	4096
nested:
	.skip	4096
nested_directory:
	.skip	4096
nested_table:
	.skip	4096
