"""Scenarios that a real VMM carries out: QEMU runs a guest program of ours, guests/vmms/<arch>.S, on L1's KVM.

QEMU starts with its guest stopped (-S), so that no event is lost before its monitor is ready. Three steps: it starts;
the guest runs until it has reported its end, or the time is over; QEMU says in which state the guest is, and ends.
Its monitor is on its standard streams, what the guest reports is on file descriptor 3. decode/outcome.py reads both.
"""

from __future__ import annotations

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.decode.outcome import END, RUN, START
from sysevent.scenario.steps import Program, Scenario, scenario_of

# The guest program in L1, see images/rootfs/vmm_guest.py.
GUEST = "/sysevent/guest"
OTHER_GUEST = "/sysevent/guest.other"
# What the guest reports last, behind a line feed: `e`, and how often it has started.
REPORTED = b"\ne0"
# What QEMU prints at the end of a guest that does not report it, where the machine stays: with -no-shutdown.
SHUT_DOWN, PANICKED = b'"SHUTDOWN"', b'"GUEST_PANICKED"'
# Milliseconds. QEMU takes 0.6 to 3 s to start in a quiet guest under TCG, and 40 on a machine with ten times more work
# than CPUs.
_START_MS = 150_000
# An event takes 10 to 80 ms there.
_RUN_MS = 6_000
_END_MS = 10_000


class Machine(msgspec.Struct, frozen=True):
    """How QEMU runs the guest program of an architecture."""

    options: tuple[str, ...]
    # Guest physical address of the program's parameters.
    parameters: int


# fmt: off
MACHINES: dict[str, Machine] = {
    "arm64": Machine(
        ("-M", "virt,gic-version=host", "-cpu", "host", "-kernel", GUEST, "-serial", "chardev:side"), 0x4020_0000
    ),
    "riscv64": Machine(
        ("-M", "virt", "-cpu", "host", "-bios", "none", "-kernel", GUEST, "-serial", "chardev:side"), 0x8080_0000
    ),
    "x86_64": Machine(
        ("-M", "pc", "-bios", GUEST, "-device", "isa-debugcon,iobase=0x402,chardev=side"), 0x2000
    ),
}
# fmt: on


def qemu(
    arch: str, title: str, *parameters: int, options: tuple[str, ...] = (), until: bytes = REPORTED
) -> Scenario:
    """Return the scenario in which QEMU runs the guest program with these parameters.

    title: of the claim, without the architecture. options: more of QEMU's. until: what ends the guest's run.
    """
    machine = MACHINES[arch]
    # Written at each reset, as a ROM is; of 32 bits, because QEMU 5.2 aborts for 64 (generic_loader_reset).
    loaders = [
        word
        for number, value in enumerate(parameters)
        for word in (
            "-device",
            f"loader,addr={machine.parameters + 8 * number:#x},data={value:#x},data-len=4",
        )
    ]
    # fmt: off
    command = (
        f"/usr/bin/{ARCHITECTURES[arch].qemu}",
        "-accel", "kvm", "-m", "64", "-nodefaults", "-no-user-config", "-display", "none", "-S",
        "-chardev", "stdio,id=qmp,signal=off", "-mon", "chardev=qmp,mode=control",
        "-chardev", "file,id=side,path=/proc/self/fd/3",
        *machine.options, *loaders, *options,
    )
    # fmt: on
    return scenario_of(
        arch,
        title,
        Program(command, START, _START_MS, input=_commands("qmp_capabilities"), open=True, until=b'"return"'),
        Program((), RUN, _RUN_MS, input=_commands("cont"), open=True, until=until, leave=True),
        Program((), END, _END_MS, input=_commands("query-status", "quit"), open=True),
    )


def kvm_ioctls(arch: str, title: str, *parameters: int, options: tuple[str, ...] = ()) -> Scenario:
    """Return the scenario in which a VMM on rust-vmm's kvm-ioctls (guests/vmms/kvm-ioctls) runs the guest program."""
    writes = [
        word
        for number, value in enumerate(parameters)
        for word in ("--write", f"{MACHINES[arch].parameters + 8 * number:#x}={value:#x}:8")
    ]
    command = ("/usr/bin/kvm-ioctls", OTHER_GUEST, *writes, *options)
    return scenario_of(arch, title, Program(command, RUN, _START_MS))


def _commands(*names: str) -> bytes:
    return b"".join(b'{"execute": "%s"}\n' % name.encode() for name in names)
