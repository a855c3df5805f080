"""QEMU's command line as a pure function. Why each part is there, and what happens without it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from sysevent.arches import Architecture

# Under KVM, for guests that get a KVM themselves: only the host's own CPU has what that takes.
_KVM_CPU = "host"

# The guest's device node of a machine's virtio port: the first port of the first such device.
VIRTIO_CHANNEL = "vport0p1"


class Machine(msgspec.Struct, frozen=True):
    """What to boot and how."""

    arch: Architecture
    accel: str
    cpu: str
    memory: int  # MiB
    kernel: Path
    initramfs: Path
    append: str = ""  # more words for the kernel's command line
    firmware: Path | None = None  # None: the machine's own
    virtio: bool = True  # False: the guest gets no virtio port, and records travel on the console
    serves: int = 0  # a TCP port of the guest, to which one of this machine's loopback leads; 0: no network
    keep: bool = False  # True: it has a shell beside the VMM, and does not end with it
    debug: bool = False  # True: it waits for a debugger, stopped before its first instruction


class Lines(msgspec.Struct, frozen=True):
    """The file descriptors that a QEMU inherits: the other ends of our sockets."""

    monitor: int
    console: int
    channel: int  # of no use to a machine without virtio
    gdb: int = 0  # where a debugger connects; of no use to a machine without debug
    attach: int = 0  # where a person does; of no use to one without keep
    memory: int = 0  # the file that is, or begins with, the machine's memory; 0: nobody else is to see it


# Words for every L1 kernel that make it boot sooner, none of which KVM looks at. Gains are of the whole boot,
# medians of 5 boots of Debian 6.12 side by side under TCG; a kernel that lacks one takes no notice.
QUICK = (
    # The self-tests of every cipher, before they are used for the first time: 14 % x86_64.
    "cryptomgr.notests",
    # Debian zeroes every page and object as it is handed out: 8 % x86_64. KVM's own zeroing is not affected.
    "init_on_alloc=0",
    # No policy is loaded, no auditd runs, and yet both register with everything: 4 % x86_64.
    "apparmor=0 selinux=0 audit=0",
    # KVM makes 40 files there for each machine: 28 % of a scenario on arm64 and riscv64.
    "debugfs=off",
    # What waits for a grace period of RCU, as every change of a machine's memory does, waits less: a third of
    # a scenario on arm64 and x86_64 by the clock.
    "rcupdate.rcu_expedited=1",
    # And what waits for RCU's callbacks, as the end of every machine does on x86 (rcu_barrier in
    # kvm_mmu_uninit_tdp_mmu), need not wait for the next tick: half of a scenario on x86_64, 15 % on the others.
    "rcu_nocbs=0",
)

# Initcalls that are left out: all of those in QUICK with these, 29 % arm64, 24 % riscv64, 38 % x86_64.
# Unknown names are ignored, and nothing depends on these: each is leaf code of its own subsystem.
SKIPPED_INITCALLS = (
    "load_system_certificate_list",  # certs/: X.509 parsing and RSA; modules load without, with a taint
    "jent_mod_init",  # crypto/jitterentropy: a health test that measures timings for a tenth of a second
    "crypto_kdf108_init",  # crypto/: a self-test that cryptomgr.notests does not reach
    "init_encrypted",  # security/keys/encrypted-keys
    "bpf_dummy_struct_ops_init",  # net/bpf, kernel/bpf, net/ipv4: each parses megabytes of BTF
    "bpf_tcp_ca_kfunc_init",
    "bpf_kfunc_init",
)


def kernel_command_line(
    arch: Architecture, *, virtio: bool, append: str = "", debug: bool = False, keep: bool = False
) -> str:
    """What the L1 kernel is told."""
    return " ".join(
        (
            f"console={arch.console}",
            "quiet",
            # An oops leaves a kernel nobody should believe: it ends the guest, and -no-reboot ends QEMU.
            "oops=panic",
            "panic=-1",
            # An unknown key=value ends up in the environment of init (init/main.c, unknown_bootoption).
            # A kernel without virtio_console takes the serial line.
            *([f"sysevent_channel={VIRTIO_CHANNEL}"] if virtio else []),
            f"sysevent_serial={arch.console}",
            *QUICK,
            # A debugger takes its symbols from vmlinux, at the addresses it was linked for.
            *(["nokaslr"] if debug else []),
            *(["sysevent_keep=1"] if keep else []),
            f"initcall_blacklist={','.join(SKIPPED_INITCALLS)}",
            *append.split(),
        )
    )


def machine_of(arch: Architecture, accel: str, cpu: str = "") -> list[str]:
    """The machine, what it runs under, and its CPU."""
    kvm = accel == "kvm"
    return [
        *("-machine", arch.qemu_machine_kvm if kvm else arch.qemu_machine),
        *("-accel", accel),
        *("-cpu", cpu or (_KVM_CPU if kvm else arch.qemu_cpu)),
    ]


def ports(ends: Mapping[str, int]) -> list[str]:
    """More virtio ports for a machine that has the first: name -> our end, as /dev/vport0p2 and so on in the guest."""
    words: list[str] = []
    for number, (name, fd) in enumerate(ends.items(), 2):
        words += ["-chardev", f"socket,id={name},fd={fd}"]
        words += ["-device", f"virtserialport,chardev={name},name={name},nr={number}"]
    return words


def argv(machine: Machine, lines: Lines | None = None, *, restored: bool = False) -> list[str]:
    """The command that boots machine, or waits for one to be restored; without lines: what tells two of them apart."""
    arch, ends = machine.arch, lines or Lines(0, 0, 0)
    kind, *words = machine_of(arch, machine.accel, machine.cpu)[1:]
    # fmt: off
    command = [
        arch.qemu,
        "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", f"{kind},memory-backend=memory" if ends.memory else kind, *words,
        "-m", str(machine.memory),
        # One CPU: a second one costs a fifth to a half of the boot, and vCPUs are threads either way.
        "-smp", "1",
        "-no-reboot",
        *(["-bios", str(machine.firmware)] if machine.firmware else []),

        "-kernel", str(machine.kernel),
        "-initrd", str(machine.initramfs),
        "-append", kernel_command_line(
            arch, virtio=machine.virtio, append=machine.append, debug=machine.debug, keep=machine.keep
        ),

        "-chardev", f"socket,id=monitor,fd={ends.monitor}",
        "-mon", "chardev=monitor,mode=control",
        "-chardev", f"socket,id=console,fd={ends.console}",
        "-serial", "chardev:console",
    ]
    if machine.virtio:
        command += [
            "-chardev", f"socket,id=channel,fd={ends.channel}",
            "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=channel,name=sysevent,nr=1",
        ]
    if machine.keep:
        command += [
            *([] if machine.virtio else ["-device", "virtio-serial-pci"]),
            # A console of its own, as /dev/hvc0: the serial line is the log's, and at times the records'.
            "-chardev", f"socket,id=attach,fd={ends.attach},server=on,wait=off",
            "-device", "virtconsole,chardev=attach",
        ]
    if machine.serves:
        command += [
            # Nobody else gets in, and it gets nowhere (restrict). QEMU chooses the port: see tests/system/standin.py.
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:{machine.serves}",
            # Nothing boots over the network, and the ROM for that is a package of its own.
            "-device", "virtio-net-pci,netdev=net,romfile=",
        ]
    if machine.debug:
        command += [
            # A socket that listens already: -gdb tcp::PORT would take a port by number, and on every interface.
            "-chardev", f"socket,id=gdb,fd={ends.gdb},server=on,wait=off",
            "-gdb", "chardev:gdb",
            # A guest that runs at once would be done before anybody has attached.
            "-S",
        ]
    # fmt: on
    if ends.memory:
        # What one that is restored writes goes into a copy of its own, page by page.
        command += [
            "-object",
            f"memory-backend-file,id=memory,size={machine.memory}M,mem-path=/proc/self/fd/{ends.memory},"
            f"share={'off' if restored else 'on'}",
        ]
    # The monitor is told from where: the memory is there already, which only a command can say.
    return [*command, *(["-incoming", "defer"] if restored else [])]
