/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the x86-64 and the i386 VMM: these structures have the same layout in both. */
#include "../sys.h"
#include "../kvm.h"
#include "../arch.h"

#define KVM_GET_REGS 0x8090ae81u
#define KVM_SET_REGS 0x4090ae82u
#define KVM_GET_SREGS 0x8138ae83u
#define KVM_SET_SREGS 0x4138ae84u

/* struct kvm_regs: rax rbx rcx rdx rsi rdi rsp rbp r8..r15 rip rflags */
#define REGS 18
#define REG_RIP 16
#define REG_RFLAGS 17

/* struct kvm_sregs, 312 bytes */
#define SREGS 312
#define SREGS_CS 0
#define SREGS_SEGMENT 24
#define SREGS_SS 120
#define SREGS_IDT_LIMIT 216
#define SREGS_CR0 224

struct kvm_segment {
	u64 base;
	u32 limit;
	u16 selector;
	u8 type, present, dpl, db, s, l, g, avl, unusable, padding;
};

u64 arch_machine_type(int system_fd)
{
	(void)system_fd;
	return 0;
}

int arch_vcpu_init(int vm_fd, int vcpu_fd, const u32 *features, u32 count)
{
	(void)vm_fd;
	(void)vcpu_fd;
	(void)features;
	return count ? -E_INVAL : 0;
}

/* Flat 32-bit protected mode without paging: works on SVM, and on VMX with and without unrestricted guest. */
int arch_set_entry(int vcpu_fd, u64 pc, const u64 *arguments, u32 count)
{
	u8 sregs[SREGS] __attribute__((aligned(8)));
	u64 regs[REGS], cr0;
	struct kvm_segment flat = {
	    .limit = 0xffffffffu, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1};
	int ret = sys_ioctl(vcpu_fd, KVM_GET_SREGS, (uptr)sregs);

	if (ret < 0)
		return ret;
	memcpy(sregs + SREGS_CS, &flat, sizeof(flat));
	flat.type = 3;
	flat.selector = 16;
	for (u32 at = SREGS_SEGMENT; at <= SREGS_SS; at += SREGS_SEGMENT)
		memcpy(sregs + at, &flat, sizeof(flat));
	/* IDT limit 0: any exception becomes a triple fault. */
	memset(sregs + SREGS_IDT_LIMIT, 0, 2);
	memcpy(&cr0, sregs + SREGS_CR0, 8);
	cr0 |= 1;
	memcpy(sregs + SREGS_CR0, &cr0, 8);
	ret = sys_ioctl(vcpu_fd, KVM_SET_SREGS, (uptr)sregs);
	if (ret < 0)
		return ret;
	memset(regs, 0, sizeof(regs));
	for (u32 i = 0; i < count && i < REG_RIP; i++)
		regs[i] = arguments[i];
	regs[REG_RIP] = pc;
	regs[REG_RFLAGS] = 2;
	return sys_ioctl(vcpu_fd, KVM_SET_REGS, (uptr)regs);
}

/* kvm_regs, then cs base, cs selector, cr0 */
int arch_read_registers(int vcpu_fd, u64 *registers)
{
	u8 sregs[SREGS] __attribute__((aligned(8)));
	struct kvm_segment cs;
	int ret = sys_ioctl(vcpu_fd, KVM_GET_REGS, (uptr)registers);

	if (ret >= 0)
		ret = sys_ioctl(vcpu_fd, KVM_GET_SREGS, (uptr)sregs);
	if (ret < 0)
		return ret;
	memcpy(&cs, sregs + SREGS_CS, sizeof(cs));
	registers[REGS] = cs.base;
	registers[REGS + 1] = cs.selector;
	memcpy(&registers[REGS + 2], sregs + SREGS_CR0, 8);
	return REGS + 3;
}
