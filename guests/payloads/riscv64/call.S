/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One firmware call with the registers that the VMM set. When it returns, a store to an address without memory ends
 * KVM_RUN with KVM_EXIT_MMIO. All registers but t0 are then as the call left them.
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

	/* For a second vCPU: increments the u64 at a1, which shows that the vCPU runs. */
	.globl spin
spin:
	ld	a2, 0(a1)
	addi	a2, a2, 1
	sd	a2, 0(a1)
	j	spin
