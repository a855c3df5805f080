/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../sys.h"
#include "../kvm.h"
#include "../arch.h"

#define KVM_ARM_VCPU_INIT 0x4020aeaeu
#define KVM_ARM_PREFERRED_TARGET 0x8020aeafu
#define KVM_CAP_ARM_VM_IPA_SIZE 165

/* arch/arm64/include/uapi/asm/kvm.h: KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offset / 4 */
#define CORE_REGISTER(index) (0x6030000000100000ull | (index))
#define CORE_SP 62
#define CORE_PC 64
#define CORE_PSTATE 66

struct kvm_vcpu_init {
	u32 target;
	u32 features[7];
};

u64 arch_machine_type(int system_fd)
{
	int bits = sys_ioctl(system_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	/* Type 0 means 40 bits of guest physical address, which a CPU with fewer rejects. */
	return bits > 0 && bits < 40 ? (u64)bits : 0;
}

int arch_vcpu_init(int vm_fd, int vcpu_fd, const u32 *features, u32 count)
{
	struct kvm_vcpu_init init;
	int ret;

	memset(&init, 0, sizeof(init));
	ret = sys_ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, (uptr)&init);
	if (ret < 0)
		return ret;
	for (u32 i = 0; i < count && i < LENGTH(init.features); i++)
		init.features[i] = features[i];
	return sys_ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, (uptr)&init);
}

static int one_register(int vcpu_fd, u32 request, u64 index, u64 *value)
{
	struct kvm_one_reg reg = {CORE_REGISTER(index), (uptr)value};

	return sys_ioctl(vcpu_fd, request, (uptr)&reg);
}

int arch_set_entry(int vcpu_fd, u64 pc, const u64 *arguments, u32 count)
{
	int ret = one_register(vcpu_fd, KVM_SET_ONE_REG, CORE_PC, &pc);

	for (u32 i = 0; i < count && i < 31 && ret >= 0; i++) {
		u64 value = arguments[i];

		ret = one_register(vcpu_fd, KVM_SET_ONE_REG, 2ull * i, &value);
	}
	return ret < 0 ? ret : 0;
}

/* Order: x0..x30, sp, pc, pstate. */
int arch_read_registers(int vcpu_fd, u64 *registers)
{
	static const u64 special[] = {CORE_SP, CORE_PC, CORE_PSTATE};
	u32 count = 0;

	for (u32 i = 0; i < 31 + LENGTH(special); i++) {
		int ret =
		    one_register(vcpu_fd, KVM_GET_ONE_REG, i < 31 ? 2ull * i : special[i - 31], &registers[count++]);

		if (ret < 0)
			return ret;
	}
	return (int)count;
}
