/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One call of the firmware with the registers as the VMM set them. When it comes back, the store to a place
 * where no memory is ends KVM_RUN with KVM_EXIT_MMIO: x0 to x15 and x18 up stand as the call left them.
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
