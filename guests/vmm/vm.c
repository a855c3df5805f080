/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys.h"
#include "kvm.h"
#include "arch.h"
#include "vm.h"

struct vm vm;

u8 *vm_memory(u64 gpa, u64 length)
{
	for (u32 i = 0; i < vm.region_count; i++) {
		struct region *region = &vm.regions[i];

		if (gpa >= region->gpa && length <= region->size && gpa - region->gpa <= region->size - length)
			return region->at + (usize)(gpa - region->gpa);
	}
	return NULL;
}

/*
 * Memory of earlier VMs, for the next one that wants as much: mapping it, its page faults and its end took a tenth of a
 * scenario under TCG.
 */
#define SPARE_MAX 65536 /* bytes; more would take too long to zero */
static struct spare {
	u64 size;
	u8 *at; /* NULL: none */
} spares[REGIONS_MAX];

static u8 *memory_take(u64 size)
{
	for (u32 i = 0; i < REGIONS_MAX; i++) {
		u8 *at = spares[i].at;

		if (at && spares[i].size == size) {
			spares[i].at = NULL;
			return memset(at, 0, (usize)size);
		}
	}
	return sys_map((usize)size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void memory_release(const struct region *region)
{
	for (u32 i = 0; i < REGIONS_MAX && region->size <= SPARE_MAX; i++) {
		if (!spares[i].at) {
			spares[i] = (struct spare){region->size, region->at};
			return;
		}
	}
	sys_unmap(region->at, (usize)region->size);
}

int vm_map(u64 gpa, u64 size, u32 slot, u32 flags)
{
	struct kvm_memory_region kvm = {.slot = slot, .flags = flags, .gpa = gpa, .size = size};
	struct region *region = &vm.regions[vm.region_count];
	u8 *present = vm_memory(gpa, size);
	int ret;

	if (present) {
		/* x86 has a second address space, for SMM: the same memory there. */
		kvm.address = (uptr)present;
		ret = sys_ioctl(vm.vm_fd, KVM_SET_USER_MEMORY_REGION, (uptr)&kvm);
		return ret < 0 ? ret : 0;
	}
	if (vm.region_count == REGIONS_MAX)
		return -E_INVAL;
	region->gpa = gpa;
	region->size = size;
	region->at = memory_take(size);
	if (!region->at)
		return -E_NOMEM;
	vm.region_count++;
	kvm.address = (uptr)region->at;
	ret = sys_ioctl(vm.vm_fd, KVM_SET_USER_MEMORY_REGION, (uptr)&kvm);
	return ret < 0 ? ret : 0;
}

int vm_add_device(u32 type)
{
	struct kvm_create_device device = {.type = type};
	int ret;

	if (vm.device_fd >= 0)
		return -E_INVAL;
	ret = sys_ioctl(vm.vm_fd, KVM_CREATE_DEVICE, (uptr)&device);
	if (ret >= 0)
		vm.device_fd = (int)device.fd;
	return ret < 0 ? ret : 0;
}

/*
 * Creates a VM with one vCPU that exists as long as this process and is never run. KVM enables virtualization for the
 * first VM and disables it after the last. On x86 the first vCPU without an in-kernel local APIC, as all of ours are,
 * patches the kernel's text, and the end of the last one patches it back (kvm_has_noapic_vcpu,
 * arch/x86/kvm/lapic.c). Under TCG both take two thirds of a scenario's time. Errors are ignored here: the scenario's
 * own OP_VM reports them.
 */
static void keep_vm_alive(int system_fd)
{
	static int vm_fd = -1;

	if (vm_fd >= 0)
		return;
	vm_fd = sys_ioctl(system_fd, KVM_CREATE_VM, (uptr)arch_machine_type(system_fd));
	if (vm_fd >= 0)
		sys_ioctl(vm_fd, KVM_CREATE_VCPU, 0);
}

int vm_open(void)
{
	/* Open as long as this process: KVM keeps no state of a scenario in it. */
	static int system_fd = -1;
	static u32 run_size;

	memset(&vm, 0, sizeof(vm));
	vm.vm_fd = vm.device_fd = -1;
	for (u32 i = 0; i < VCPUS_MAX; i++)
		vm.vcpus[i].fd = -1;
	if (system_fd < 0) {
		int size;

		vm.system_fd = system_fd = sys_open("/dev/kvm", O_RDWR | O_CLOEXEC);
		if (system_fd < 0)
			return system_fd;
		size = sys_ioctl(system_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
		run_size = size > 0 ? (u32)size : 4096;
	}
	vm.system_fd = system_fd;
	vm.run_size = run_size;
	keep_vm_alive(system_fd);
	return 0;
}

int vm_close(void)
{
	int stuck = 0;

	/* At once, so that none of them waits for the slices of the others. */
	vcpus_kick(~0u);
	for (u32 i = 0; i < VCPUS_MAX; i++) {
		struct vcpu *vcpu = &vm.vcpus[i];

		if (vcpu->fd < 0)
			continue;
		if (vcpu_wait(vcpu, i, 0) < 0) {
			stuck = 1;
			continue;
		}
		if (vcpu->run)
			sys_unmap(vcpu->run, vcpu->run_size);
		sys_close(vcpu->fd);
	}
	if (stuck)
		return 1;
	if (vm.device_fd >= 0)
		sys_close(vm.device_fd);
	if (vm.vm_fd >= 0)
		sys_close(vm.vm_fd);
	for (u32 i = 0; i < vm.region_count; i++)
		memory_release(&vm.regions[i]);
	return 0;
}
