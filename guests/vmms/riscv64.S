/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of a real VMM, such as QEMU, that makes one call of the SBI and reports what comes of it: see
 * src/sysevent/scenario/vmms.py. QEMU writes the call's registers a0 to a3, a6 and a7 to PARAMETERS before each start.
 * With IMAGE this is a kernel as Linux's Documentation/arch/riscv/boot-image-header.rst has it, for VMMs that load
 * nothing else: it may lie anywhere, and takes the address of the UART and these registers from its command line,
 * behind "sysevent=".
 */
#define UART 0x10000000
#define PARAMETERS 0x80800000
/* A count of starts, which nothing resets: more than 1 proves that the guest was started again in the same memory. */
#define MARKER 0x80900000
/* Of an image: in the memory behind it, which its header asks for. */
#define MARKER_OFFSET 0x100000
#define IMAGE_SIZE 0x200000

	.text
	.globl _start
_start:
#ifdef IMAGE
	j	1f
	.balign	8
	/* 2 MiB behind the start of memory; the size; version 0.2. */
	.quad	0x200000, IMAGE_SIZE, 0
	.long	2, 0
	.quad	0
	.ascii	"RISCV\0\0\0RSC\x05"
	.long	0
1:	lla	s2, _start
	li	t0, MARKER_OFFSET
	add	s2, s2, t0
	addi	s3, s2, 64
	mv	s4, s3
	/* The command line is in the device tree, at a1. Its size is of big-endian bytes. */
	li	t0, 0
	addi	t1, a1, 4
	addi	t2, a1, 8
1:	slli	t0, t0, 8
	lbu	t3, 0(t1)
	or	t0, t0, t3
	addi	t1, t1, 1
	bltu	t1, t2, 1b
	add	t2, a1, t0
	lla	t0, name
	ld	t0, 0(t0)
2:	bgeu	a1, t2, stop
	lbu	t3, 0(a1)
	addi	a1, a1, 1
	srli	t1, t1, 8
	slli	t4, t3, 56
	or	t1, t1, t4
	bne	t1, t0, 2b
	lbu	t3, 0(a1)
	addi	a1, a1, 1
	li	t4, '='
	bne	t3, t4, 2b
	/* Numbers of 16 hexadecimal digits, with a comma between them. */
3:	li	t5, 16
	li	t1, 0
4:	lbu	t3, 0(a1)
	addi	a1, a1, 1
	li	t4, 'a'
	bltu	t3, t4, 5f
	addi	t3, t3, '0' - 'a' + 10
5:	addi	t3, t3, -'0'
	slli	t1, t1, 4
	or	t1, t1, t3
	addi	t5, t5, -1
	bnez	t5, 4b
	sd	t1, 0(s4)
	addi	s4, s4, 8
	lbu	t3, 0(a1)
	addi	a1, a1, 1
	li	t4, ','
	beq	t3, t4, 3b
	ld	s0, 0(s3)
	addi	s3, s3, 8
#else
	li	s0, UART
	li	s2, MARKER
	li	s3, PARAMETERS
#endif
	ld	s1, 0(s2)
	addi	s1, s1, 1
	sd	s1, 0(s2)
	li	a0, 'm'
	mv	a1, s1
	jal	report
	li	t0, 2
	bgeu	s1, t0, finished
	ld	a0, 0(s3)
	ld	a1, 8(s3)
	ld	a2, 16(s3)
	ld	a3, 24(s3)
	ld	a6, 32(s3)
	ld	a7, 40(s3)
	ecall
	mv	a1, a0
	li	a0, 'r'
	jal	report
finished:
	li	a0, 'e'
	mv	a1, s1
	jal	report
stop:	wfi
	j	stop

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
#ifdef IMAGE

	.balign	8
name:	.ascii	"sysevent"
#endif
