"""QEMU's command line as a pure function of a guest's configuration, with the reason for each option."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from sysevent.arches import Architecture

# Under KVM, for guests that get a KVM themselves: only the host's own CPU has what that takes.
_KVM_CPU = "host"

# The guest's device node of the virtio port for frames: the first port of the first such device.
VIRTIO_CHANNEL = "vport0p1"

# The device that has the virtio ports, with room for all that any guest of ours has (the default is 31). Without an
# eventfd for each of their queues, QEMU's main thread need not poll 64 more, nor take turns with the vCPU at each
# frame: 8 % of the CPU time of a run.
_SERIAL = "virtio-serial-pci,ioeventfd=off,max_ports=8"


class GuestConfig(msgspec.Struct, frozen=True):
    """What one QEMU runs, and with which devices."""

    arch: Architecture
    # QEMU's -accel: "tcg" or "kvm".
    accel: str
    # QEMU's -cpu; empty: the default of the architecture and accelerator.
    cpu: str
    # MiB.
    memory: int
    kernel: Path
    initramfs: Path
    # More words for the kernel's command line.
    append: str = ""
    # More properties of QEMU's -machine, such as "gic-version=2"; the last of one name counts.
    machine: str = ""
    # QEMU's -bios; None: the default of the machine type.
    firmware: Path | None = None
    # False: no virtio port, so that frames travel on the console.
    virtio: bool = True
    # TCP port of the guest that a loopback port of this machine is forwarded to; 0: no network device.
    forwarded_port: int = 0
    # True: there is a second console for a shell, and init keeps the guest up after the VMM has ended.
    keep: bool = False
    # True: QEMU waits for a debugger before the first instruction.
    debug: bool = False
    # True: the guest's clock counts its instructions, and not this machine's time.
    counted: bool = False


class InheritedFds(msgspec.Struct, frozen=True):
    """The file descriptors that a QEMU inherits. All but those with a file are sockets."""

    monitor: int
    console: int
    # Used with GuestConfig.virtio.
    channel: int
    # A listening socket for a debugger; used with GuestConfig.debug.
    gdb: int = 0
    # A listening socket for `sysevent shell --attach`; used with GuestConfig.keep.
    attach: int = 0
    # A file that is, or starts with, the guest's memory; 0: QEMU allocates the memory itself.
    memory: int = 0
    # A file with the kernel, and one with the initramfs; 0: QEMU opens what GuestConfig names.
    kernel: int = 0
    initramfs: int = 0


# Parameters that make an L1 kernel boot faster and do not affect KVM. Gains are of the whole boot, medians of 5 boots
# of Debian 6.12 side by side under TCG. A kernel ignores a parameter that it does not know.
QUICK = (
    # Skips the self-test of each cipher before its first use: 14 % on x86_64.
    "cryptomgr.notests",
    # Debian's kernels zero every page and object when it is allocated: 8 % on x86_64. KVM's own zeroing stays.
    "init_on_alloc=0",
    # Security modules register hooks although no policy is loaded, and audit although no auditd runs: 4 % on x86_64.
    # tomoyo and selinux look at every ioctl: 4 % of the instructions of a scenario on arm64. Since 5.1.
    "lsm= audit=0",
    # KVM creates 40 files there for each VM: 28 % of a scenario on arm64 and riscv64.
    "debugfs=off",
    # Shortens waits for an RCU grace period, which every change of a VM's memory needs: a third of a scenario's
    # wall-clock time on arm64 and x86_64.
    "rcupdate.rcu_expedited=1",
    # RCU callbacks no longer wait for the next tick. The end of every VM waits for them on x86 (rcu_barrier in
    # kvm_mmu_uninit_tdp_mmu): half of a scenario on x86_64, 15 % on the others.
    "rcu_nocbs=0",
)

# Initcalls to skip. Together with QUICK they save 29 % on arm64, 24 % on riscv64, 38 % on x86_64. A kernel ignores
# unknown names. Nothing depends on these: each is leaf code of its subsystem.
SKIPPED_INITCALLS = (
    # certs/: X.509 parsing and RSA. Without it modules still load, with a taint.
    "load_system_certificate_list",
    # crypto/jitterentropy: a health test that measures timings for a tenth of a second.
    "jent_mod_init",
    # crypto/: a self-test that cryptomgr.notests does not disable.
    "crypto_kdf108_init",
    # security/keys/encrypted-keys.
    "init_encrypted",
    # net/bpf, net/ipv4, kernel/bpf: each parses megabytes of BTF.
    "bpf_dummy_struct_ops_init",
    "bpf_tcp_ca_kfunc_init",
    "bpf_kfunc_init",
)


def kernel_command_line(
    arch: Architecture, *, virtio: bool, append: str = "", debug: bool = False, keep: bool = False
) -> str:
    """The command line of the L1 kernel.

    virtio: True when the guest has a virtio port for frames. append: words that come last, so that they win.
    debug: True to run at the addresses of vmlinux. keep: True to start the shell of a kept guest.
    """
    return " ".join(
        (
            f"console={arch.console}",
            "quiet",
            # Results of a kernel after an oops are worthless: panic, reboot at once, which -no-reboot turns into an
            # end of QEMU.
            "oops=panic",
            "panic=-1",
            # A CPU of the guest counts as locked up after twice as many seconds (kernel/watchdog.c), by a clock that
            # goes on while QEMU does not run. The default is 10, which was not enough on a very slow machine.
            "watchdog_thresh=60",
            # The kernel puts an unknown key=value into the environment of init (init/main.c, unknown_bootoption).
            # Init uses the serial line when the kernel has no virtio_console.
            *([f"sysevent_channel={VIRTIO_CHANNEL}"] if virtio else []),
            f"sysevent_serial={arch.console}",
            *QUICK,
            # A debugger's symbols have the link-time addresses of vmlinux.
            *(["nokaslr"] if debug else []),
            *(["sysevent_keep=1"] if keep else []),
            f"initcall_blacklist={','.join(SKIPPED_INITCALLS)}",
            *append.split(),
        )
    )


def machine_options(arch: Architecture, accel: str, cpu: str = "") -> list[str]:
    """QEMU's options for machine type, accelerator and CPU; cpu empty: the default."""
    kvm = accel == "kvm"
    return [
        *("-machine", arch.qemu_machine_kvm if kvm else arch.qemu_machine),
        *("-accel", accel),
        *("-cpu", cpu or (_KVM_CPU if kvm else arch.qemu_cpu)),
    ]


def extra_port_options(fds: Mapping[str, int]) -> list[str]:
    """Options for more virtio ports of a guest that has the first one: port name -> file descriptor of a socket.

    In the guest they are /dev/vport0p2, /dev/vport0p3 and so on, in the order of the mapping.
    """
    options: list[str] = []
    for number, (name, fd) in enumerate(fds.items(), 2):
        options += ["-chardev", f"socket,id={name},fd={fd}"]
        options += ["-device", f"virtserialport,chardev={name},name={name},nr={number}"]
    return options


def _path(fd: int, path: Path) -> str:
    return f"/proc/self/fd/{fd}" if fd else str(path)


def argv(config: GuestConfig, fds: InheritedFds | None = None, *, restored: bool = False) -> list[str]:
    """The command that runs a guest.

    fds: None gives a command that is not for execution, but differs exactly when two guests differ.
    restored: True: QEMU does not boot, but waits for the monitor's migrate-incoming.
    """
    arch, fds = config.arch, fds or InheritedFds(0, 0, 0)
    machine_type, *options = machine_options(arch, config.accel, config.cpu)[1:]
    memory = "memory-backend=memory" if fds.memory else ""
    # fmt: off
    command = [
        arch.qemu,
        "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", ",".join(filter(None, (machine_type, config.machine, memory))), *options,
        "-m", str(config.memory),
        # One CPU: a second one costs a fifth to a half of the boot, and a VM's vCPUs are threads in any case.
        "-smp", "1",
        "-no-reboot",
        # 16 ns for each instruction. A guest that waits sleeps in this machine's time.
        *(["-icount", "shift=4,align=off,sleep=on"] if config.counted else []),
        *(["-bios", str(config.firmware)] if config.firmware else []),

        "-kernel", _path(fds.kernel, config.kernel),
        "-initrd", _path(fds.initramfs, config.initramfs),
        "-append", kernel_command_line(
            arch, virtio=config.virtio, append=config.append, debug=config.debug, keep=config.keep
        ),

        "-chardev", f"socket,id=monitor,fd={fds.monitor}",
        "-mon", "chardev=monitor,mode=control",
        "-chardev", f"socket,id=console,fd={fds.console}",
        "-serial", "chardev:console",
    ]
    if config.virtio:
        command += [
            "-chardev", f"socket,id=channel,fd={fds.channel}",
            "-device", _SERIAL,
            "-device", "virtserialport,chardev=channel,name=sysevent,nr=1",
        ]
    if config.keep:
        command += [
            *([] if config.virtio else ["-device", _SERIAL]),
            # A separate console, /dev/hvc0: the serial line carries the log and sometimes frames.
            "-chardev", f"socket,id=attach,fd={fds.attach},server=on,wait=off",
            "-device", "virtconsole,chardev=attach",
        ]
    if config.forwarded_port:
        command += [
            # Reachable from loopback only, and without a way out (restrict). QEMU chooses the port on this machine:
            # see tests/system/standin.py.
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:{config.forwarded_port}",
            # No boot ROM: guests do not boot over the network, and distributions package the ROM separately.
            "-device", "virtio-net-pci,netdev=net,romfile=",
        ]
    if config.debug:
        command += [
            # An inherited listening socket: -gdb tcp::PORT needs a fixed port and listens on every interface.
            "-chardev", f"socket,id=gdb,fd={fds.gdb},server=on,wait=off",
            "-gdb", "chardev:gdb",
            # Stopped until the debugger continues: a running guest would finish before it has attached.
            "-S",
        ]
    # fmt: on
    if fds.memory:
        # share=off: a restored guest writes to private copies of the pages.
        command += [
            "-object",
            f"memory-backend-file,id=memory,size={config.memory}M,mem-path=/proc/self/fd/{fds.memory},"
            f"share={'off' if restored else 'on'}",
        ]
    # "defer": x-ignore-shared, which says that the memory is loaded, can only be set over the monitor.
    return [*command, *(["-incoming", "defer"] if restored else [])]
