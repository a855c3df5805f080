/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One call of the firmware with the registers as the VMM set them. When it comes back, the store to a place
 * where no memory is ends KVM_RUN with KVM_EXIT_MMIO: every register but x16 stands as the call left it.
 */
	.text
	.globl _start
_start:
	hvc	#0
	.globl returned
returned:
	movz	x16, #0x0a00, lsl #16
	str	x0, [x16]
	b	_start

	/* The same by SMC, and by an SMC whose immediate is none of the calling convention's. */
	.globl smc
smc:
	.inst	0xd4000003	/* smc #0, which the assembler keeps for machines with an EL3 */
	.globl smc_returned
smc_returned:
	movz	x16, #0x0a00, lsl #16
	str	x0, [x16]
	b	smc

	.globl smc_other
smc_other:
	.inst	0xd4000023	/* smc #1 */
	movz	x16, #0x0a00, lsl #16
	str	x0, [x16]
	b	smc_other

	/* First a store that fills kvm_run's union with x9, then the call. */
	.globl mmio_first
mmio_first:
	movz	x16, #0x0a00, lsl #16
	str	x9, [x16]
	hvc	#0
	b	returned

	/* First a breakpoint, then the call. */
	.globl break_first
break_first:
	brk	#0
	.globl break_passed
break_passed:
	hvc	#0
	b	returned

	/* A peer at work: counts up in memory at x1, so that everyone can see whether it runs. */
	.globl spin
spin:
	ldr	x2, [x1]
	add	x2, x2, #1
	str	x2, [x1]
	b	spin
