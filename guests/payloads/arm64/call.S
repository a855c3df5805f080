/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One firmware call with the registers that the VMM set. When it returns, a store to an address without memory ends
 * KVM_RUN with KVM_EXIT_MMIO. All registers but x16 are then as the call left them.
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

	/* The same with SMC, and with an SMC whose immediate is not the 0 of the SMC Calling Convention. */
	.globl smc
smc:
	.inst	0xd4000003	/* smc #0; the assembler takes the mnemonic only for targets with an EL3 */
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

	/* For a second vCPU: increments the u64 at x1, which shows that the vCPU runs. */
	.globl spin
spin:
	ldr	x2, [x1]
	add	x2, x2, #1
	str	x2, [x1]
	b	spin

	/* The same, and sleeps between two increments until an interrupt is pending; it is masked, so it is not taken. */
	.globl nap
nap:
	ldr	x2, [x1]
	add	x2, x2, #1
	str	x2, [x1]
	wfi
	b	nap

	/* Sleeps until an interrupt is pending; it is masked, so it is not taken. Then the store. At a fixed place, as the
	 * first instructions are: WFI of scenario/arm64.py. */
	.org	0x100
	.globl wfi
wfi:
	wfi
	movz	x16, #0x0a00, lsl #16
	str	x0, [x16]
	b	wfi
