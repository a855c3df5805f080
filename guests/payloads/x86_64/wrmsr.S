/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes edx:eax to the MSR in ecx. When WRMSR completes, the OUT ends KVM_RUN with KVM_EXIT_IO. Runs in flat 32-bit
 * protected mode without an IDT, so a #GP becomes a triple fault.
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

	/* First an OUT, or a store to an address without memory, which fills kvm_run's union; then the WRMSR. */
	.globl out_first
out_first:
	outb	%al, $0xe9
	wrmsr
	jmp	returned

	.globl mmio_first
mmio_first:
	movl	%ebx, 0xd0000000
	wrmsr
	jmp	returned

	/* The WRMSR with interrupts enabled. STI keeps them off until the next instruction is complete. */
	.globl interruptible
interruptible:
	sti
	nop
	wrmsr
	jmp	returned

	/* Waits until esi vCPUs have counted themselves in the u32 at ebx: then all of them execute WRMSR at once. */
	.globl at_once
at_once:
	lock incl (%ebx)
others:
	pause
	cmpl	%esi, (%ebx)
	jb	others
	wrmsr
	jmp	returned

	/* Counts in the u32 at ebx, then sleeps until an interrupt. */
	.globl halt
halt:
	incl	(%ebx)
	hlt
	jmp	returned

	/* Reads the MSR in ecx into edx:eax. */
	.globl rdmsr
rdmsr:
	rdmsr
	outb	%al, $0xe9
	jmp	rdmsr

	/* For a second vCPU: increments the u32 at ebx, which shows that the vCPU runs. */
	.globl spin
spin:
	incl	(%ebx)
	jmp	spin

	/*
	 * A hypercall of KVM: number in eax, parameters in ebx ecx edx esi, result in eax. At a fixed place, KICK of
	 * scenario/x86_64.py. VMMCALL is AMD's instruction; KVM accepts it on Intel's processors, too.
	 */
	.org	0x80
	.globl kick
kick:
	vmmcall
	outb	%al, $0xe9
	jmp	kick
