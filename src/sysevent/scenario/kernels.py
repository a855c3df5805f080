"""Scenarios in which a VMM runs the guest program as a kernel, which is all that such VMMs load.

Three steps: the VMM says which version it is; its guest runs until it has reported its end, or the time is over; the
VMM is ended, if it has not done so. What the guest must know is on its command line: see guests/vmms.
decode/printed_outcome.py reads what they print.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from sysevent.decode.outcome import END, RUN, START
from sysevent.scenario.steps import Program, Scenario, scenario_of
from sysevent.scenario.vmms import REPORTED

# The guest program in L1, see images/rootfs/vmm_guest.py: an Image or a bzImage; on x86-64 an ELF file.
IMAGE = "/sysevent/guest.image"
KERNEL = "/sysevent/guest.kernel"
# Milliseconds. A VMM starts within 3 s in a quiet guest under TCG, and 40 times slower on a machine with ten times more
# work than CPUs.
_RUN_MS = 90_000
_VERSION_MS = 30_000
# For what a VMM still prints of an event whose guest has come back.
_END_MS = 500
# What a guest prints that has started twice in memory that was cleared in between.
TWICE = b"m0000000000000001\nm0000000000000001\n"
# Bit 0 of a UART's address: it takes words, as a PL011 does.
_WORDS = 1


class KernelVmm(msgspec.Struct, frozen=True):
    """A VMM that loads a kernel."""

    # The command in guests that prints its version.
    version: tuple[str, ...]
    # Returns the command that runs the kernel with a command line; True gives the guest Hyper-V's CPUID.
    command: Callable[[str, bool], Sequence[str]]
    # Returns what is written to its standard input, which is closed then.
    input: Callable[[str], bytes] = lambda _: b""
    # What ends the run of a guest that is started again.
    again: bytes = REPORTED


_LKVM = "/usr/bin/lkvm"
_CROSVM, _CLOUD, _FIRECRACKER = (
    f"/opt/{name}/bin/{name}" for name in ("crosvm", "cloud-hypervisor", "firecracker")
)


# fmt: off
def _cloud_hypervisor(line: str, hyperv: bool) -> Sequence[str]:
    cpus = "boot=1,kvm_hyperv=on" if hyperv else "boot=1"
    return (
        _CLOUD, "--kernel", KERNEL, "--cmdline", line, "--cpus", cpus, "--memory", "size=128M", "--console", "off",
        "--serial", "file=/proc/self/fd/3", "--event-monitor", "path=/proc/self/fd/1",
    )
# fmt: on


def _firecracker(line: str) -> bytes:
    """Return its configuration: one CPU, no disk, and a console, without which arm64 has no UART."""
    boot = {"kernel_image_path": KERNEL, "boot_args": f"console=ttyS0 {line}"}
    machine = {"vcpu_count": 1, "mem_size_mib": 128}
    return msgspec.json.encode({"boot-source": boot, "drives": [], "machine-config": machine})


# The address of each VMM's first UART, on x86-64 its port, as its source has it. kvmtool (2024-07): ARM_UART_MMIO_BASE,
# RISCV_UART_MMIO_BASE and serial_iobase_0. The others as of 2026-08, and never run: crosvm (f1e797a68dad), SERIAL_ADDR;
# cloud-hypervisor (ae44c2971c83), LEGACY_SERIAL_MAPPED_IO_START, on arm64 a PL011; Firecracker (81b38b9dad60), which
# riscv64 lacks, SERIAL_MEM_START.
UARTS: Mapping[str, Mapping[str, int]] = {
    "arm64": {
        "kvmtool": 0x100_0000,
        "crosvm": 0x3F8,
        "cloud_hypervisor": 0x900_0000 | _WORDS,
        "firecracker": 0x4000_2000,
    },
    "riscv64": {"kvmtool": 0x1000_0000, "crosvm": 0x3F8, "cloud_hypervisor": 0x800_0000},
    "x86_64": {"kvmtool": 0x3F8, "crosvm": 0x3F8, "cloud_hypervisor": 0x3F8, "firecracker": 0x3F8},
}
# Without --nodefaults kvmtool makes a root file system for its guest. --extended-status of crosvm tells a reset from a
# shutdown.
VMMS: Mapping[str, KernelVmm] = {
    "kvmtool": KernelVmm(
        (_LKVM, "version"),
        lambda line, _: (
            *(_LKVM, "run", "--nodefaults", "--kernel", IMAGE, "--mem", "64", "--cpus", "1"),
            *("--console", "serial", "--network", "mode=none", "--params", line),
        ),
    ),
    "crosvm": KernelVmm(
        (_CROSVM, "version"),
        lambda line, _: (
            *(_CROSVM, "--no-syslog", "--extended-status", "run", "--disable-sandbox", "--mem", "128"),
            *("--serial", "type=stdout,hardware=serial,num=1", "--params", line, KERNEL),
        ),
    ),
    "cloud_hypervisor": KernelVmm(
        (_CLOUD, "--version"),
        _cloud_hypervisor,
        again=TWICE,
    ),
    "firecracker": KernelVmm(
        (_FIRECRACKER, "--version"),
        lambda _, __: (
            *(_FIRECRACKER, "--no-api", "--config-file", "/proc/self/fd/0"),
            *("--level", "Info", "--log-path", "/proc/self/fd/3"),
        ),
        _firecracker,
    ),
}


def kernel(
    vmm: str, arch: str, title: str, *numbers: int, again: bool = False, hyperv: bool = False
) -> Scenario:
    """Return the scenario in which a VMM runs the guest program, with these numbers as its parameters.

    vmm: a key of VMMS. title: of the claim, without the architecture. again: True if the guest is started again.
    hyperv: True if it has Hyper-V's CPUID.
    """
    row = VMMS[vmm]
    line = "sysevent=" + ",".join(f"{number:016x}" for number in (UARTS[arch][vmm], *numbers))
    # kvmtool makes a folder there.
    home = ("HOME=/sysevent",)
    return scenario_of(
        arch,
        title,
        Program(row.version, START, _VERSION_MS, variables=home),
        Program(
            tuple(row.command(line, hyperv)),
            RUN,
            _RUN_MS,
            variables=home,
            input=row.input(line),
            until=row.again if again else REPORTED,
            leave=True,
        ),
        Program((), END, _END_MS),
    )
