/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of a real VMM, such as QEMU, that causes one event and reports what comes of it: see
 * src/sysevent/scenario/vmms.py. The VMM writes what to do to PARAMETERS before each start.
 */
#define DEBUG_PORT 0x402
#define PARAMETERS 0x2000
/* A count of starts, which nothing resets: more than 1 proves that the guest was started again in the same memory. */
#define MARKER 0x3000
#define PAGE_DIRECTORY 0x10000

#define HV_X64_MSR_RESET 0x40000003
#define HV_X64_MSR_CRASH_P0 0x40000100
#define HV_X64_MSR_CRASH_CTL 0x40000105

	/* All code stays within the first bytes of the ROM, which are at base in memory and at 0 of the code segment. */
	.code16
	.text
	.globl _start
base:
_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$0x7000, %sp
	/* Of the interrupt vectors only that of #GP: a WRMSR that KVM refuses. The ROM is also at 0xf0000. */
	movw	$(refused - base), 4 * 13
	movw	$0xf000, 4 * 13 + 2
	incl	MARKER
	mov	$'m', %al
	mov	MARKER, %ebx
	call	report
	cmpl	$2, MARKER
	jae	finished
	mov	PARAMETERS, %eax
	cmp	$1, %eax
	je	reset
	cmp	$2, %eax
	je	crash
	cmp	$3, %eax
	je	protected
	cmp	$4, %eax
	je	paged
	cmp	$5, %eax
	je	beyond
	jmp	finished

reset:
	mov	$HV_X64_MSR_RESET, %ecx
	mov	$1, %eax
	xor	%edx, %edx
	wrmsr
	jmp	returned

crash:
	mov	$HV_X64_MSR_CRASH_P0, %ecx
	mov	$0x11, %eax
	xor	%edx, %edx
1:	wrmsr
	inc	%ecx
	add	$0x11, %eax
	cmp	$HV_X64_MSR_CRASH_CTL, %ecx
	jb	1b
	/* HV_CRASH_CTL_CRASH_NOTIFY */
	xor	%eax, %eax
	mov	$0x80000000, %edx
	wrmsr
	jmp	returned

	/* The flat 32-bit code is entered with where it continues in ebp. */
beyond:
	mov	$(after_mmio - base), %ebp
	jmp	1f
paged:
	mov	$(with_paging - base), %ebp
	jmp	1f
protected:
	mov	$(without_paging - base), %ebp
1:	lgdtl	%cs:(descriptor - base)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	data32 ljmp	$8, $(0xffff0000 + (flat - base))

refused:
	mov	$'g', %al
	xor	%ebx, %ebx
	call	report
	jmp	finished

returned:
	mov	$'r', %al
	xor	%ebx, %ebx
	call	report
finished:
	mov	$'e', %al
	mov	MARKER, %ebx
	call	report
1:	hlt
	jmp	1b

	/* Prints the letter in al, ebx as 16 hexadecimal digits, and a line feed. */
report:
	mov	$DEBUG_PORT, %dx
	out	%al, %dx
	mov	$16, %cl
1:	mov	$'0', %al
	cmp	$8, %cl
	ja	2f
	rol	$4, %ebx
	mov	%bl, %al
	and	$15, %al
	add	$'0', %al
	cmp	$'9', %al
	jbe	2f
	add	$('a' - '0' - 10), %al
2:	out	%al, %dx
	dec	%cl
	jnz	1b
	mov	$10, %al
	out	%al, %dx
	ret

	.code32
flat:
	mov	$16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	add	$0xffff0000, %ebp
	jmp	*%ebp

with_paging:
	/* Two pages of 4 MiB, at their own addresses: the first, and the last, which has this ROM. */
	mov	$PAGE_DIRECTORY, %edi
	xor	%eax, %eax
	mov	$1024, %ecx
	rep stosl
	movl	$0x83, PAGE_DIRECTORY
	movl	$0xffc00083, PAGE_DIRECTORY + 4 * 1023
	mov	$PAGE_DIRECTORY, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$0x10, %eax
	mov	%eax, %cr4
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	jmp	without_paging
without_paging:
	/* Neither #UD nor the double fault behind it can be delivered: the IDT is empty. */
	lidtl	0xffff0000 + (empty - base)
	ud2

	/*
	 * A store to an address beyond 4 GiB, whose upper half is the second parameter, then the reset. PAE: the first and
	 * the last 2 MiB at their own addresses, that address at 1 GiB.
	 */
after_mmio:
	mov	$PAGE_DIRECTORY, %edi
	xor	%eax, %eax
	mov	$(5 * 1024), %ecx
	rep stosl
	movl	$(PAGE_DIRECTORY + 0x1001), PAGE_DIRECTORY
	movl	$(PAGE_DIRECTORY + 0x2001), PAGE_DIRECTORY + 8
	movl	$(PAGE_DIRECTORY + 0x3001), PAGE_DIRECTORY + 24
	movl	$0x83, PAGE_DIRECTORY + 0x1000
	movl	$0x83, PAGE_DIRECTORY + 0x2000
	mov	PARAMETERS + 8, %eax
	mov	%eax, PAGE_DIRECTORY + 0x2004
	movl	$0xffe00083, PAGE_DIRECTORY + 0x3000 + 8 * 511
	mov	$PAGE_DIRECTORY, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	jmp	1f
1:	movl	$0x5e5e5e5e, 0x40000000
	mov	$HV_X64_MSR_RESET, %ecx
	mov	$1, %eax
	xor	%edx, %edx
	wrmsr
2:	hlt
	jmp	2b

	.balign	8
table:
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
descriptor:
	.word	23
	.long	0xffff0000 + (table - base)
empty:
	.word	0
	.long	0

	.section .reset, "ax"
	.code16
	/* ljmp 0xf000:0 would leave the ROM's high address: a near jump back to its first byte. */
	.byte	0xe9
	.word	0x10000 - 0xfff3
	.balign	16, 0
