"""QEMU's command line as a pure function. Why each part is there, and what happens without it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sysevent.arches import Architecture

# The CPU each machine gets when a target names none.
CPUS = {
    # Without pauth-impdef QEMU computes the architected QARMA cipher in software: boots take 2.2 times as long.
    "arm64": "max,pauth-impdef=on",
    "riscv64": "rv64,h=true",
    # QEMU 7.2's cmpxchg16b leaves stale flags behind: 10 of 56 Debian boots died of it, and 0 of 129 without.
    "x86_64": "max,-cx16",
}

MACHINES = {
    # virtualization=on gives L1 an EL2 to run KVM in; GICv3 is what its KVM needs for a vGIC.
    "arm64": "virt,virtualization=on,gic-version=3",
    "riscv64": "virt",
    # Not microvm: it hung in 5 of 10 boots with Debian's kernel.
    "x86_64": "q35",
}

# The guest's device node of a machine's virtio port: the first port of the first such device.
VIRTIO_CHANNEL = "vport0p1"


@dataclass(frozen=True, slots=True)
class Machine:
    """What to boot and how; the three numbers are file descriptors that QEMU inherits."""

    arch: Architecture
    accel: str
    cpu: str
    memory: int  # MiB
    kernel: Path
    initramfs: Path
    console: int
    monitor: int
    channel: int | None  # None: the guest gets no virtio port, and records travel on the console


def kernel_command_line(arch: Architecture, *, virtio: bool) -> str:
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
        )
    )


def argv(machine: Machine) -> list[str]:
    """The command that boots machine."""
    arch = machine.arch
    # fmt: off
    command = [
        arch.qemu,
        "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", MACHINES[arch.name],
        "-accel", machine.accel,
        "-cpu", machine.cpu or CPUS[arch.name],
        "-m", str(machine.memory),
        # One CPU: a second one costs a fifth to a half of the boot, and vCPUs are threads either way.
        "-smp", "1",
        "-no-reboot",

        "-kernel", str(machine.kernel),
        "-initrd", str(machine.initramfs),
        "-append", kernel_command_line(arch, virtio=machine.channel is not None),

        "-chardev", f"socket,id=monitor,fd={machine.monitor}",
        "-mon", "chardev=monitor,mode=control",
        "-chardev", f"socket,id=console,fd={machine.console}",
        "-serial", "chardev:console",
    ]
    if machine.channel is not None:
        command += [
            "-chardev", f"socket,id=channel,fd={machine.channel}",
            "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=channel,name=sysevent,nr=1",
        ]
    # fmt: on
    return command
