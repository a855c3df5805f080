/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What x86_64.S does, as a kernel for VMMs that load nothing else: see src/sysevent/scenario/kernels.py. It has the
 * three entries of Linux (Documentation/arch/x86/boot.rst): of 64 bits, of Xen's PVH, and of a bzImage in real mode. The
 * port of the UART and what to do are on its command line behind "sysevent=".
 */
/* A count of starts, which nothing resets: more than 1 proves that the guest was started again in the same memory. */
#define MARKER 0x300000
#define NUMBERS 0x300040
#define PAGE_DIRECTORY 0x310000
#define STACK 0x320000
/* Where a bzImage lies: its first sectors, and what follows. */
#define SETUP 0x10000
#define FOLLOWING 0x100000
#define FOLLOWING_SIZE 0x1000
/* struct boot_params: hdr.cmd_line_ptr; struct hvm_start_info: cmdline_paddr. */
#define COMMAND_LINE 0x228
#define PVH_COMMAND_LINE 24

#define HV_X64_MSR_RESET 0x40000003
#define HV_X64_MSR_CRASH_P0 0x40000100
#define HV_X64_MSR_CRASH_CTL 0x40000105
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define CR4_PSE 0x10
#define CR4_PAE 0x20
#define CR0_PG 0x80000000

	.section .note.pvh, "a", @note
	/* XEN_ELFNOTE_PHYS32_ENTRY */
	.long	4, 4, 18
	.asciz	"Xen"
	.long	pvh

	.text
	.globl _start
	.code64
_start:
	cli
	mov	COMMAND_LINE(%rsi), %ebp
	mov	$STACK, %esp
	lgdt	descriptor
	pushq	$8
	pushq	$1f
	lretq
	.code32
1:	mov	%cr0, %eax
	and	$~CR0_PG, %eax
	mov	%eax, %cr0
	mov	$MSR_EFER, %ecx
	rdmsr
	and	$~EFER_LME, %eax
	wrmsr
	mov	%cr4, %eax
	and	$~CR4_PAE, %eax
	mov	%eax, %cr4
	jmp	begin

pvh:
	cli
	mov	PVH_COMMAND_LINE(%ebx), %ebp
	lgdt	descriptor
	ljmp	$8, $begin

	/* 32 bits, without paging. The command line is at ebp. */
	.globl begin
begin:
	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$STACK, %esp
	/* Of the interrupt vectors only that of #GP: a WRMSR that KVM refuses. */
	mov	$refused, %eax
	mov	%ax, table_of_interrupts + 8 * 13
	movl	$8, table_of_interrupts + 8 * 13 + 2
	movw	$0x8e00, table_of_interrupts + 8 * 13 + 4
	shr	$16, %eax
	mov	%ax, table_of_interrupts + 8 * 13 + 6
	lidt	interrupts
1:	cmpb	$0, (%ebp)
	je	stop
	mov	%ebp, %esi
	inc	%ebp
	mov	$name, %edi
	mov	$(name_end - name), %ecx
	repe cmpsb
	jne	1b
	/* Numbers of 16 hexadecimal digits, with a comma between them. */
	mov	$NUMBERS, %edi
2:	mov	$16, %ecx
	xor	%ebx, %ebx
	xor	%edx, %edx
3:	lodsb
	cmp	$'a', %al
	jb	4f
	sub	$('a' - '0' - 10), %al
4:	sub	$'0', %al
	shld	$4, %ebx, %edx
	shl	$4, %ebx
	or	%al, %bl
	loop	3b
	mov	%ebx, (%edi)
	mov	%edx, 4(%edi)
	add	$8, %edi
	lodsb
	cmp	$',', %al
	je	2b

	incl	MARKER
	mov	$'m', %al
	mov	MARKER, %ebx
	call	report
	cmpl	$2, MARKER
	jae	finished
	mov	NUMBERS + 8, %eax
	cmp	$1, %eax
	je	reset
	cmp	$2, %eax
	je	crash
	cmp	$3, %eax
	je	without_paging
	cmp	$4, %eax
	je	with_paging
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

with_paging:
	/* A page of 4 MiB, at its own address. */
	movl	$0x83, PAGE_DIRECTORY
	mov	$PAGE_DIRECTORY, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$CR4_PSE, %eax
	mov	%eax, %cr4
	mov	%cr0, %eax
	or	$CR0_PG, %eax
	mov	%eax, %cr0
without_paging:
	/* Neither #UD nor the double fault behind it can be delivered: the IDT is empty. */
	lidt	no_interrupts
	ud2

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
stop:	hlt
	jmp	stop

	/* Prints the letter in al, ebx as 16 hexadecimal digits, and a line feed. */
report:
	mov	NUMBERS, %edx
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

name:	.ascii	"sysevent="
name_end:
	.balign	8
segments:
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
	.word	0
descriptor:
	.word	23
	.quad	segments
	.balign	8
table_of_interrupts:
	.fill	14, 8, 0
	.word	0
interrupts:
	.word	8 * 14 - 1
	.long	table_of_interrupts
	.word	0
no_interrupts:
	.word	0
	.long	0

	/* The first sectors of a bzImage, with its header. The rest is copied to where it belongs. */
	.section .setup, "ax"
	.globl setup
setup:
	.org	0x1f1
	/* Sectors behind the first. */
	.byte	1
	.org	0x1fe
	.word	0xaa55
	.code16
	jmp	1f
	.ascii	"HdrS"
	/* Protocol 2.12. */
	.word	0x020c
	.org	0x211
	/* LOADED_HIGH */
	.byte	1
	.org	0x214
	.long	FOLLOWING
	.org	0x22c
	.long	0x7fffffff
	.long	0x200000
	.org	0x238
	.long	2047
	.org	0x268
	/* The data segments are at the first sector; the code segment is not in each VMM. */
1:	cli
	lgdtl	(setup_descriptor - setup)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	data32 ljmp $8, $(SETUP + (flat - setup))
	.code32
flat:
	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$FOLLOWING, %esi
	mov	$_start, %edi
	mov	$FOLLOWING_SIZE, %ecx
	rep movsb
	mov	SETUP + COMMAND_LINE, %ebp
	lgdt	descriptor
	mov	$begin, %eax
	jmp	*%eax
	.balign	8
setup_segments:
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
setup_descriptor:
	.word	23
	.long	SETUP + (setup_segments - setup)
	.org	0x400
