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
