/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of a real VMM, such as QEMU, that makes one call of the SBI and reports what comes of it: see
 * src/sysevent/scenario/vmms.py. The VMM writes the call's registers a0 to a3, a6 and a7 to PARAMETERS before each start.
 */
#define UART 0x10000000
#define PARAMETERS 0x80800000
/* A count of starts, which nothing resets: more than 1 proves that the guest was started again in the same memory. */
#define MARKER 0x80900000

	.text
	.globl _start
_start:
	li	s0, UART
	li	t0, MARKER
	ld	s1, 0(t0)
	addi	s1, s1, 1
	sd	s1, 0(t0)
	li	a0, 'm'
	mv	a1, s1
	jal	report
	li	t0, 2
	bgeu	s1, t0, finished
	li	t0, PARAMETERS
	ld	a0, 0(t0)
	ld	a1, 8(t0)
	ld	a2, 16(t0)
	ld	a3, 24(t0)
	ld	a6, 32(t0)
	ld	a7, 40(t0)
	ecall
	mv	a1, a0
	li	a0, 'r'
	jal	report
finished:
	li	a0, 'e'
	mv	a1, s1
	jal	report
1:	wfi
	j	1b

	/* Prints the letter in a0, a1 as 16 hexadecimal digits, and a line feed. */
report:
	sb	a0, 0(s0)
	li	t0, 60
	li	t2, 10
1:	srl	t1, a1, t0
	andi	t1, t1, 15
	addi	t3, t1, '0'
	bltu	t1, t2, 2f
	addi	t3, t1, 'a' - 10
2:	sb	t3, 0(s0)
	addi	t0, t0, -4
	bgez	t0, 1b
	sb	t2, 0(s0)
	ret
