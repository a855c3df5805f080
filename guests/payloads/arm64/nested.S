/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hypervisor at EL2, and its guest at EL1, which it enters without a stage 2 of its own. One of them makes a call with
 * the registers that the VMM set. When the call returns, a store to an address without memory ends KVM_RUN with
 * KVM_EXIT_MMIO; when the hypervisor gets an exception instead, it stores to another one, with ESR_EL2 in x17. All other
 * registers but x16 are then as the call left them.
 */
	.text
	.macro	smc0
	.inst	0xd4000003	/* the assembler takes the mnemonic only for targets with an EL3 */
	.endm

	.macro	set_vectors
	adr	x16, vectors
	msr	vbar_el2, x16
	isb
	.endm

	/* Continue at a label at EL1, with all interrupts masked. In HCR_EL2 E2H and RW (EL1 is AArch64) are set. */
	.macro	enter_el1 label, traps=0
	set_vectors
	movz	x16, #0x4, lsl #32
	movk	x16, #0x8000 + \traps, lsl #16
	msr	hcr_el2, x16
	adr	x16, \label
	msr	elr_el2, x16
	mov	x16, #0x3c5
	msr	spsr_el2, x16
	isb
	eret
	.endm

	/* The guest makes the call by SMC, which its hypervisor does not trap. */
	.globl	_start
_start:
	enter_el1 el1_smc
el1_smc:
	smc0
	.globl	returned
returned:
	movz	x16, #0x0a00, lsl #16
	str	x0, [x16]
	b	el1_smc

	/* The same, and HCR_EL2.TSC, bit 19, gives the SMC to the hypervisor. */
	.globl	el1_smc_trapped
el1_smc_trapped:
	enter_el1 el1_smc, 0x8

	/* The guest makes the call by HVC, which is for its hypervisor. */
	.globl	el1_hvc
el1_hvc:
	enter_el1 2f
2:	hvc	#0
	b	returned

	/* The hypervisor makes the call by HVC, which is for itself. */
	.globl	el2_hvc
el2_hvc:
	set_vectors
	hvc	#0
	b	returned

	/* The hypervisor makes the call by SMC. */
	.globl	el2_smc
el2_smc:
	smc0
	.globl	el2_returned
el2_returned:
	movz	x16, #0x0a00, lsl #16
	str	x0, [x16]
	b	el2_smc

exception:
	mrs	x17, esr_el2
	movz	x16, #0x0a00, lsl #16
	.globl	trapped
trapped:
	str	x0, [x16, #8]
	b	trapped

	/* Sixteen vectors of 128 bytes. */
	.balign	2048
vectors:
	.rept	16
	b	exception
	.balign	128
	.endr
