/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One firmware call with the registers that the VMM set. When it returns, a store to an address without memory ends
 * KVM_RUN with KVM_EXIT_MMIO. All registers but t0 are then as the call left them.
 */
	.text
	.option norelax
	.option norvc
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

	/* The same, and sleeps between two increments until an external interrupt is pending; it is never taken. */
	.globl nap
nap:
	li	t0, 0x200
	csrw	sie, t0
again:
	ld	a2, 0(a1)
	addi	a2, a2, 1
	sd	a2, 0(a1)
	wfi
	j	again

	/* A call that KVM may turn into an exception of the caller: its cause and its PC are then in t1 and t2. */
	.globl trapping
trapping:
	la	t0, trapped
	csrw	stvec, t0
	.globl trapping_call
trapping_call:
	ecall
	j	returned
	.balign	4
trapped:
	csrr	t1, scause
	csrr	t2, sepc
	li	t0, 0x0a000000
	sd	t1, 0(t0)
	j	returned

	/*
	 * For a hart that another one starts, at STARTED_AT of scenario/riscv64.py: a0 is its number, and a1 what the other
	 * passed. A store shows them; then they are the type and the reason of a system reset.
	 */
	.org	0x100
	.globl started
started:
	li	t0, 0x0a000000
	sd	a1, 0(t0)
	li	a7, 0x53525354
	li	a6, 0
	ecall
	j	returned

	/* Sleeps until an interrupt is pending; it is never taken. Then the store. At WFI of scenario/riscv64.py. */
	.org	0x180
	.globl wfi
wfi:
	wfi
	li	t0, 0x0a000000
	sd	a0, 0(t0)
	j	wfi
