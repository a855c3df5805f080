/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One call of the firmware with the registers as the VMM set them. When it comes back, the store to a place
 * where no memory is ends KVM_RUN with KVM_EXIT_MMIO: every register but t0 stands as the call left it.
 */
	.text
	.globl _start
_start:
	ecall
	.globl returned
returned:
	li	t0, 0x0a000000
	sd	a0, 0(t0)
	j	_start

	/* First a store that fills kvm_run's union with a5, then the call. */
	.globl mmio_first
mmio_first:
	li	t0, 0x0a000000
	sd	a5, 0(t0)
	.globl mmio_passed
mmio_passed:
	ecall
	j	returned

	/* A peer at work: counts up in memory at a1, so that everyone can see whether it runs. */
	.globl spin
spin:
	ld	a2, 0(a1)
	addi	a2, a2, 1
	sd	a2, 0(a1)
	j	spin
