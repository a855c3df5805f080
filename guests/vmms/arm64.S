/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of a real VMM, such as QEMU, that makes one firmware call and reports what comes of it: see
 * src/sysevent/scenario/vmms.py. The VMM writes the call's registers x0 to x3 to PARAMETERS before each start.
 */
#define UART 0x09000000
#define PARAMETERS 0x40200000
/* A count of starts, which nothing resets: more than 1 proves that the guest was started again in the same memory. */
#define MARKER 0x40300000

	.text
	.globl _start
_start:
	mov	x28, #UART
	mov	x20, #MARKER
	ldr	x21, [x20]
	add	x21, x21, #1
	str	x21, [x20]
	mov	w0, #'m'
	mov	x1, x21
	bl	report
	cmp	x21, #2
	b.hs	finished
	mov	x20, #PARAMETERS
	ldp	x0, x1, [x20]
	ldp	x2, x3, [x20, #16]
	hvc	#0
	mov	x1, x0
	mov	w0, #'r'
	bl	report
finished:
	mov	w0, #'e'
	mov	x1, x21
	bl	report
1:	wfi
	b	1b

	/* Prints the letter in w0, x1 as 16 hexadecimal digits, and a line feed. */
report:
	str	w0, [x28]
	mov	w3, #60
1:	lsr	x4, x1, x3
	and	w4, w4, #15
	add	w5, w4, #'0'
	add	w6, w4, #('a' - 10)
	cmp	w4, #10
	csel	w4, w5, w6, lo
	str	w4, [x28]
	subs	w3, w3, #4
	b.pl	1b
	mov	w4, #10
	str	w4, [x28]
	ret
