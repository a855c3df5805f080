/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of a real VMM, such as QEMU, that makes one firmware call and reports what comes of it: see
 * src/sysevent/scenario/vmms.py. QEMU writes the call's registers x0 to x3 to PARAMETERS before each start. With IMAGE
 * this is a kernel as Linux's Documentation/arch/arm64/booting.rst has it, for VMMs that load nothing else: it may lie
 * anywhere, and takes the address of the UART and these registers from its command line, behind "sysevent=".
 */
#define UART 0x09000000
#define PARAMETERS 0x40200000
/* A count of starts, which nothing resets: more than 1 proves that the guest was started again in the same memory. */
#define MARKER 0x40300000
/* Of an image: in the memory behind it, which its header asks for. */
#define MARKER_OFFSET 0x100000
#define IMAGE_SIZE 0x200000

	/* Writes a character to the UART at x28: a word; without bit 0 of an image's address a byte, which an 8250 needs. */
	.macro	put character
#ifdef IMAGE
	tbnz	x28, #0, 8f
	strb	\character, [x28]
	b	9f
8:	stur	\character, [x28, #-1]
9:
#else
	str	\character, [x28]
#endif
	.endm

	.text
	.globl _start
_start:
#ifdef IMAGE
	b	1f
	.long	0
	/* No offset; the size; pages of 4 KiB, anywhere in memory. */
	.quad	0, IMAGE_SIZE, 0xa
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0
1:	adr	x20, _start
	add	x20, x20, #MARKER_OFFSET
	add	x19, x20, #64
	mov	x7, x19
	/* The command line is in the device tree, at x0. */
	ldr	w2, [x0, #4]
	rev	w2, w2
	add	x2, x0, x2
	ldr	x3, name
1:	cmp	x0, x2
	b.hs	stop
	ldrb	w5, [x0], #1
	lsr	x4, x4, #8
	orr	x4, x4, x5, lsl #56
	cmp	x4, x3
	b.ne	1b
	ldrb	w5, [x0], #1
	cmp	w5, #'='
	b.ne	1b
	/* Numbers of 16 hexadecimal digits, with a comma between them. */
2:	mov	w6, #16
3:	ldrb	w5, [x0], #1
	sub	w8, w5, #'0'
	sub	w5, w5, #('a' - 10)
	cmp	w8, #10
	csel	w5, w8, w5, lo
	orr	x9, x5, x9, lsl #4
	subs	w6, w6, #1
	b.ne	3b
	str	x9, [x7], #8
	ldrb	w5, [x0], #1
	cmp	w5, #','
	b.eq	2b
	ldr	x28, [x19], #8
#else
	mov	x28, #UART
	mov	x20, #MARKER
	mov	x19, #PARAMETERS
#endif
	ldr	x21, [x20]
	add	x21, x21, #1
	str	x21, [x20]
	mov	w0, #'m'
	mov	x1, x21
	bl	report
	cmp	x21, #2
	b.hs	finished
	ldp	x0, x1, [x19]
	ldp	x2, x3, [x19, #16]
	hvc	#0
	mov	x1, x0
	mov	w0, #'r'
	bl	report
finished:
	mov	w0, #'e'
	mov	x1, x21
	bl	report
stop:	wfi
	b	stop

	/* Prints the letter in w0, x1 as 16 hexadecimal digits, and a line feed. */
report:
	put	w0
	mov	w3, #60
1:	lsr	x4, x1, x3
	and	w4, w4, #15
	add	w5, w4, #'0'
	add	w6, w4, #('a' - 10)
	cmp	w4, #10
	csel	w4, w5, w6, lo
	put	w4
	subs	w3, w3, #4
	b.pl	1b
	mov	w4, #10
	put	w4
	ret
#ifdef IMAGE

	.balign	8
name:	.ascii	"sysevent"
#endif
