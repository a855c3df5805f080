/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first process of an L1 guest: mounts the file systems, loads the modules of its initramfs, opens the channel
 * to the harness, runs the VMM on it, and powers off. Errors go to the console.
 */
#include "../vmm/sys.h"
#include "parameters.h"

#define CHANNEL_TIMEOUT 10000 /* ms until the channel's device node must exist */
#define MODULES_MAX 64
#define NAME_MAX 64
#define COMMAND_LINE_MAX 4096

#define REBOOT_MAGIC1 0xfee1dead
#define REBOOT_MAGIC2 672274793
#define REBOOT_POWER_OFF 0x4321fedc
#define REBOOT_RESTART 0x01234567
#define SYSLOG_CONSOLE_LEVEL 8

/* The kernel's struct termios, include/uapi/asm-generic/termbits.h. */
#define TCSETS 0x5402
#define CS8_CREAD_CLOCAL_115200 (0x30 | 0x80 | 0x800 | 0x1002)
#define VMIN 6
struct termios {
	u32 iflag, oflag, cflag, lflag;
	u8 line, cc[19];
};

static void mount_all(void)
{
	static const struct {
		const char *type, *at;
	} mounts[] = {{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}};

	for (u32 i = 0; i < LENGTH(mounts); i++) {
		long ret;

		SYS(mkdirat, AT_FDCWD, mounts[i].at, 0755, 0, 0, 0);
		ret = SYS(mount, mounts[i].type, mounts[i].at, mounts[i].type, 0, 0, 0);
		if (ret < 0)
			complain(mounts[i].at, (int)ret);
	}
}

/* The kernel's command line; empty when it cannot be read. */
static const char *command_line(void)
{
	static char line[COMMAND_LINE_MAX + 1];
	int fd = sys_open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	long got = fd < 0 ? fd : sys_read(fd, line, COMMAND_LINE_MAX);

	if (fd >= 0)
		sys_close(fd);
	line[got > 0 ? got : 0] = 0;
	return line;
}

/*
 * Reports a module that was not loaded, on the console and in the kernel's log: there the harness finds it also in a
 * guest that was restored from a snapshot (src/sysevent/engine/kvm_mode.py). <14>: a user's message, for information.
 */
static void not_loaded(const char *path, const char *name, usize length, int error)
{
	static const char level[] = "<14>", words[] = ": not loaded";
	char what[NAME_MAX + sizeof(level) + sizeof(words)];
	char line[sizeof(what) + 24];
	usize at = 0;
	int fd = sys_open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	complain(path, error);
	if (fd < 0)
		return;
	memcpy(what, level, sizeof(level) - 1);
	at += sizeof(level) - 1;
	memcpy(what + at, name, length);
	at += length;
	memcpy(what + at, words, sizeof(words));
	sys_write(fd, line, describe(line, sizeof(line), what, error));
	sys_close(fd);
}

/* Loads /modules/<name>, which is the module's position, its name, and ".ko". */
static void load_module(const char *name)
{
	static char parameters[COMMAND_LINE_MAX + 1];
	char path[NAME_MAX + 16] = "/modules/";
	int fd;
	long ret;

	memcpy(path + 9, name, text_length(name) + 1);
	fd = sys_open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		complain(path, fd);
		return;
	}
	/* The kernel itself takes those of built-in modules from its command line, and those of loaded ones from here. */
	module_parameters(name + 3, text_length(name) - 6, command_line(), parameters, sizeof(parameters));
	ret = SYS(finit_module, fd, parameters, 0, 0, 0, 0);
	sys_close(fd);
	/* Reported, not fatal: the KVM module for the other vendor's CPU is expected to fail. */
	if (ret < 0)
		not_loaded(path, name + 3, text_length(name) - 6, (int)ret);
}

static int has_kvm(void)
{
	int fd = sys_open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		sys_close(fd);
	return fd >= 0;
}

/* Each name starts with two digits, its position: src/sysevent/images/rootfs/initramfs.py. Loads them in that order. */
static void load_modules(void)
{
	static char names[MODULES_MAX][NAME_MAX];
	static u8 entries[8192] __attribute__((aligned(8)));
	int fd = sys_open("/modules", O_RDONLY | O_CLOEXEC);
	u32 count = 0;
	long got;

	if (fd < 0)
		return;
	while ((got = SYS(getdents64, fd, entries, sizeof(entries), 0, 0, 0)) > 0) {
		for (long at = 0; at < got;) {
			const char *name = (const char *)entries + at + 19;
			u16 size;

			memcpy(&size, entries + at + 16, 2);
			if (name[0] != '.' && count < MODULES_MAX && text_length(name) < NAME_MAX)
				memcpy(names[count++], name, text_length(name) + 1);
			at += size;
		}
	}
	sys_close(fd);
	for (u32 done = 0; done < count; done++) {
		u32 least = done;
		char swap[NAME_MAX];

		for (u32 i = done + 1; i < count; i++)
			if (memcmp(names[i], names[least], 2) < 0)
				least = i;
		memcpy(swap, names[done], NAME_MAX);
		memcpy(names[done], names[least], NAME_MAX);
		memcpy(names[least], swap, NAME_MAX);
		/* Once /dev/kvm exists, the other vendor's module can only fail, after a sixth of a second under TCG. */
		if (memcmp(names[done] + 3, "kvm", 3) || !has_kvm())
			load_module(names[done]);
	}
}

/* The value of a variable; NULL when it is not set. */
static const char *environment(char **envp, const char *name)
{
	usize length = text_length(name);

	for (; *envp; envp++)
		if (text_length(*envp) > length && memcmp(*envp, name, length) == 0 && (*envp)[length] == '=')
			return *envp + length + 1;
	return NULL;
}

/* A file descriptor of /dev/<name>, whose node may appear late; -errno after CHANNEL_TIMEOUT. */
static int open_channel(const char *name)
{
	char path[NAME_MAX + 8] = "/dev/";
	int fd = -1;

	if (!name || text_length(name) >= NAME_MAX)
		return -E_INVAL;
	memcpy(path + 5, name, text_length(name) + 1);
	/* virtio_console creates this class when it is loaded. Without the driver the node never appears. */
	if (memcmp(name, "vport", 5) == 0) {
		fd = sys_open("/sys/class/virtio-ports", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return fd;
		sys_close(fd);
	}
	for (u32 waited = 0; waited < CHANNEL_TIMEOUT; waited += 2) {
		/* Only the supervisor may hold it, no worker: it is duplicated without the flag. */
		fd = sys_open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0)
			break;
		sys_sleep(2);
	}
	if (fd < 0) {
		complain(path, fd);
		return fd;
	}
	if (memcmp(name, "tty", 3) == 0) {
		struct termios raw;

		memset(&raw, 0, sizeof(raw));
		raw.cflag = CS8_CREAD_CLOCAL_115200;
		raw.cc[VMIN] = 1;
		sys_ioctl(fd, TCSETS, (uptr)&raw);
		/* Frames share this line with the kernel's messages. Level 1 lets only KERN_EMERG through. */
		SYS(syslog, SYSLOG_CONSOLE_LEVEL, 0, 1, 0, 0, 0);
	}
	return fd;
}

/* Runs /vmm on the channel, with a worker for each /vmm.<ABI number>. Its wait status. */
static int run_vmm(int channel, char **envp)
{
	static char workers[4][16];
	char *argv[8] = {"/vmm", "serve"};
	int count = 2, pid, status = 0;

	for (char abi = '1'; abi <= '9' && count < 6; abi++) {
		char path[] = "/vmm.?";
		char *worker = workers[count - 2];
		int fd;

		path[5] = abi;
		fd = sys_open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		sys_close(fd);
		worker[0] = abi;
		worker[1] = ':';
		memcpy(worker + 2, path, sizeof(path));
		argv[count++] = worker;
	}
	pid = sys_fork();
	if (pid == 0) {
		SYS(dup3, channel, 0, 0, 0, 0, 0);
		SYS(dup3, channel, 1, 0, 0, 0, 0);
		status = (int)SYS(execve, argv[0], argv, envp, 0, 0, 0);
		complain(argv[0], status);
		sys_exit(127);
	}
	/* The first process also reaps orphans: wait for the VMM itself. */
	while (SYS(wait4, -1, &status, 0, 0, 0, 0) != pid)
		;
	return status;
}

/* Runs /keep of the initramfs: a shell on a console of its own, see src/sysevent/hosts/qemu/keep.py. */
static void start_shell(char **envp)
{
	static char *argv[] = {"/bin/busybox", "sh", "/keep", NULL};

	if (sys_fork() == 0) {
		complain(argv[0], (int)SYS(execve, argv[0], argv, envp, 0, 0, 0));
		sys_exit(127);
	}
}

int program(int argc, char **argv, char **envp)
{
	int channel, kept = environment(envp, "sysevent_keep") != NULL;

	(void)argc;
	(void)argv;
	/* `sysevent bench` takes the time of this line as the end of the kernel's own boot. */
	if (environment(envp, "sysevent_trace"))
		complain("init", 0);
	mount_all();
	load_modules();
	if (kept)
		start_shell(envp);
	/*
	 * Both names come from the kernel's command line: see src/sysevent/qemu/argv.py. A kernel without
	 * virtio_console has only the serial line.
	 */
	channel = open_channel(environment(envp, "sysevent_channel"));
	if (channel < 0)
		channel = open_channel(environment(envp, "sysevent_serial"));
	if (channel < 0) {
		complain("neither sysevent_channel= nor sysevent_serial= names a device that can be opened", channel);
	} else {
		int status = run_vmm(channel, envp);

		if (status)
			complain("the VMM ended with status", status);
	}
	/* With --keep the guest stays up for inspection, until the time limit of its QEMU. */
	while (kept)
		if (SYS(wait4, -1, NULL, 0, 0, 0, 0) < 0)
			sys_sleep(1000);
	SYS(reboot, REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_POWER_OFF, 0, 0, 0);
	/* A kernel without ACPI or PSCI cannot power off. QEMU runs with -no-reboot, so a restart ends it. */
	SYS(reboot, REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_RESTART, 0, 0, 0);
	for (;;)
		sys_sleep(1000);
}
