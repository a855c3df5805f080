/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of a scenario: one function for each operation of wire.h. */
#include "sys.h"
#include "kvm.h"
#include "wire.h"
#include "arch.h"
#include "body.h"
#include "vm.h"
#include "files.h"
#include "cover.h"
#include "steps.h"

#define IOCTL_BUFFER_MAX 16384

/*
 * In sleeps of 1 ms, not one long sleep. When the whole guest stalls, as under TCG on a busy machine, only one short
 * sleep expires during the stall, and other threads run between the rest of them.
 */
static void do_sleep(struct input *in)
{
	for (u32 left = take_u32(in); left; left--)
		sys_sleep(1);
}

static struct vcpu *take_vcpu(struct input *in, u32 *index)
{
	*index = take_u32(in);
	if (*index < VCPUS_MAX && vm.vcpus[*index].fd >= 0)
		return &vm.vcpus[*index];
	in->bad = 1;
	return NULL;
}

static int do_vm(struct input *in)
{
	u64 type = take_u64(in);

	if (vm.vm_fd >= 0 || in->bad)
		return -E_INVAL;
	vm.vm_fd = sys_ioctl(vm.system_fd, KVM_CREATE_VM, (uptr)(type ? type : arch_machine_type(vm.system_fd)));
	return vm.vm_fd < 0 ? vm.vm_fd : 0;
}

static int do_memory(struct input *in)
{
	u64 gpa = take_u64(in), size = take_u64(in);
	u32 slot = take_u32(in), flags = in->left ? take_u32(in) : 0;

	return in->bad ? -E_INVAL : vm_map(gpa, size, slot, flags);
}

static int do_write(struct input *in)
{
	u64 gpa = take_u64(in);
	u8 *to = vm_memory(gpa, in->left);

	if (in->bad || !to)
		return -E_INVAL;
	memcpy(to, in->at, in->left);
	return 0;
}

static int do_read(struct input *in, struct output *out)
{
	u64 gpa = take_u64(in);
	u32 length = take_u32(in);
	u8 *from = vm_memory(gpa, length);

	if (in->bad || !from)
		return -E_INVAL;
	return give_bytes(out, from, length);
}

static int do_watch(struct input *in)
{
	u64 gpa = take_u64(in);
	u32 left = take_u32(in);
	u32 from_zero = in->left ? take_u32(in) : 0;
	const u8 *at = vm_memory(gpa, 8);
	u8 before[8] = {0};

	if (in->bad || !at)
		return -E_INVAL;
	if (!from_zero)
		memcpy(before, at, 8);
	for (; left && memcmp(before, at, 8) == 0; left--)
		sys_sleep(1);
	return 0;
}

static int do_vcpu(struct input *in)
{
	/* KVM_RUN runs with no signal blocked: the watchdog's, blocked otherwise, ends it. */
	static const struct {
		u32 length;
		u8 unblocked[8];
	} mask = {8, {0}};
	u32 features[8];
	u32 id = take_u32(in), count = in->left / 4;
	struct vcpu *vcpu = id < VCPUS_MAX ? &vm.vcpus[id] : NULL;
	int ret;

	if (!vcpu || vcpu->fd >= 0 || count > LENGTH(features) || in->bad)
		return -E_INVAL;
	take(in, features, 4 * count);
	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->fd = sys_ioctl(vm.vm_fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0)
		return vcpu->fd;
	vcpu->run_size = vm.run_size;
	vcpu->run = sys_map(vcpu->run_size, MAP_SHARED, vcpu->fd);
	if (!vcpu->run)
		return -E_NOMEM;
	ret = sys_ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, (uptr)&mask);
	if (ret >= 0)
		ret = arch_vcpu_init(vm.vm_fd, vcpu->fd, features, count);
	return ret < 0 ? ret : 0;
}

static int do_device(struct input *in)
{
	u32 type = take_u32(in);

	return in->bad ? -E_INVAL : vm_add_device(type);
}

static int do_entry(struct input *in)
{
	u64 arguments[32];
	u32 index, count;
	struct vcpu *vcpu = take_vcpu(in, &index);
	u64 pc;

	take_u32(in);
	pc = take_u64(in);
	count = in->left / 8;
	if (!vcpu || in->bad || count > LENGTH(arguments))
		return -E_INVAL;
	take(in, arguments, 8 * count);
	return arch_set_entry(vcpu->fd, pc, arguments, count);
}

static int do_ioctl(struct input *in, struct output *out)
{
	static u8 buffer[IOCTL_BUFFER_MAX] __attribute__((aligned(16)));
	u32 which = take_u32(in), request = take_u32(in), length;
	u64 argument = take_u64(in);
	u32 value_at = (u32)argument, pointer_at = (u32)(argument >> 32);
	int fd = -1, ret;

	if (which == FD_SYSTEM)
		fd = vm.system_fd;
	else if (which == FD_VM)
		fd = vm.vm_fd;
	else if (which == FD_DEVICE)
		fd = vm.device_fd;
	else if (which - FD_VCPU < VCPUS_MAX)
		fd = vm.vcpus[which - FD_VCPU].fd;
	length = in->left;
	if (fd < 0 || in->bad || length > sizeof(buffer))
		return -E_INVAL;
	if (!length)
		return sys_ioctl(fd, request, (uptr)argument);
	take(in, buffer, length);
	if (argument) {
		u64 address = (uptr)buffer + value_at;

		if (value_at >= length || length < 8 || pointer_at > length - 8)
			return -E_INVAL;
		memcpy(buffer + pointer_at, &address, 8);
	}
	ret = sys_ioctl(fd, request, (uptr)buffer);
	if (argument)
		memset(buffer + pointer_at, 0, 8);
	return give_bytes(out, buffer, length) < 0 ? -E_NOMEM : ret;
}

/* The number of registers, 0 if they cannot be read. */
static u32 give_registers(const struct vcpu *vcpu, struct output *out)
{
	u64 registers[ARCH_REGISTERS_MAX];
	int ret = arch_read_registers(vcpu->fd, registers);
	u32 count = ret < 0 ? 0 : (u32)ret;

	give_bytes(out, registers, 8 * count);
	return count;
}

static int do_start(struct input *in)
{
	u32 index;
	struct vcpu *vcpu = take_vcpu(in, &index);
	u32 poison = take_u32(in);

	return in->bad ? -E_INVAL : vcpu_start(vcpu, index, poison);
}

static int do_wait(struct input *in, struct output *out, u16 *flags, int *stuck)
{
	u32 index, last, fixed[EXIT_FIXED / 4] = {0};
	struct vcpu *vcpu = take_vcpu(in, &index);
	u32 milliseconds = take_u32(in);
	u8 *fixed_at;

	if (in->bad)
		return -E_INVAL;
	if (vcpu_wait(vcpu, index, milliseconds) < 0) {
		*flags = EXIT_KICKED | EXIT_RUNNING;
		*stuck = 1;
		return -E_TIMEDOUT;
	}
	*flags = vcpu->kicked ? EXIT_KICKED : 0;
	fixed[0] = vcpu->microseconds;
	fixed[5] = vcpu->cpu_microseconds;
	fixed[1] = vcpu_tail_changed(vcpu, &fixed[2], &last);
	fixed[4] = fixed[1] ? last - fixed[2] + 1 : 0;
	fixed_at = give(out, sizeof(fixed));
	give_bytes(out, vcpu->run, RUN_HEAD);
	if (!fixed_at)
		return -E_NOMEM;
	/* Nothing is asked of the registers of a vCPU that only the signal was to end; one ioctl for each takes a while. */
	if (milliseconds > SHORT_WAIT || !vcpu->kicked || vcpu->ret != -E_INTR)
		fixed[3] = give_registers(vcpu, out);
	if (give_bytes(out, vcpu->run + fixed[2], fixed[4]) < 0)
		return -E_NOMEM;
	memcpy(fixed_at, fixed, sizeof(fixed));
	return vcpu->ret;
}

static int do_head(struct input *in)
{
	u32 index;
	struct vcpu *vcpu = take_vcpu(in, &index);
	u32 offset = take_u32(in);

	if (in->bad || in->left > PATCH_MAX || offset > RUN_HEAD - in->left)
		return -E_INVAL;
	vcpu->patch_at = offset;
	vcpu->patch_length = in->left;
	take(in, vcpu->patch, in->left);
	return 0;
}

int step_do(u16 op, struct input *in, struct output *out, u16 *flags, int *stuck)
{
	switch (op) {
	case OP_VM:
		return do_vm(in);
	case OP_MEMORY:
		return do_memory(in);
	case OP_WRITE:
		return do_write(in);
	case OP_READ:
		return do_read(in, out);
	case OP_VCPU:
		return do_vcpu(in);
	case OP_ENTRY:
		return do_entry(in);
	case OP_IOCTL:
		return do_ioctl(in, out);
	case OP_START:
		return do_start(in);
	case OP_WAIT:
		return do_wait(in, out, flags, stuck);
	case OP_SLEEP:
		do_sleep(in);
		return 0;
	case OP_HEAD:
		return do_head(in);
	case OP_OPEN:
		return file_open(in);
	case OP_FILE:
		return file_read(in, out);
	case OP_WATCH:
		return do_watch(in);
	case OP_DEVICE:
		return do_device(in);
	case OP_COVER:
		return cover(in, out);
	default:
		in->bad = 1;
		return -E_INVAL;
	}
}
