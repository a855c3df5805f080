/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../sys.h"
#include "../kvm.h"
#include "../arch.h"

/* arch/riscv/include/uapi/asm/kvm.h: KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE | index */
#define CORE_REGISTER(index) (0x8030000002000000ull | (index))
#define CORE_PC 0
#define CORE_A0 10
#define CORE_COUNT 33 /* pc, x1..x31, mode */

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

static int one_register(int vcpu_fd, u32 request, u64 index, u64 *value)
{
	struct kvm_one_reg reg = {CORE_REGISTER(index), (uptr)value};

	return sys_ioctl(vcpu_fd, request, (uptr)&reg);
}

int arch_set_entry(int vcpu_fd, u64 pc, const u64 *arguments, u32 count)
{
	int ret = one_register(vcpu_fd, KVM_SET_ONE_REG, CORE_PC, &pc);

	for (u32 i = 0; i < count && i < 8 && ret >= 0; i++) {
		u64 value = arguments[i];

		ret = one_register(vcpu_fd, KVM_SET_ONE_REG, CORE_A0 + i, &value);
	}
	return ret < 0 ? ret : 0;
}

/* Order: pc, x1..x31, mode. */
int arch_read_registers(int vcpu_fd, u64 *registers)
{
	for (u32 i = 0; i < CORE_COUNT; i++) {
		int ret = one_register(vcpu_fd, KVM_GET_ONE_REG, i, &registers[i]);

		if (ret < 0)
			return ret;
	}
	return CORE_COUNT;
}
