"""Scenarios as a user writes them: named steps that a VMM carries out on one virtual machine.

The VMM runs in L1, the Linux guest that has /dev/kvm. The virtual machine that it creates is L2; the program that runs
there is a payload, from guests/payloads/<arch>/. A step is a frozen value; encode() in scenario/request.py turns it
into bytes for the VMM. The VMM carries the steps out in order, and a step that fails ends the scenario, except for
those whose failure is a result: Wait, Open, File, and Ioctl, Vcpu and Device with a label. Only labelled steps come
back in an Observation, under their label: a Wait as an exit, all others as an answer.
"""

from __future__ import annotations

import msgspec

from sysevent.scenario.configuration import DEFAULT, Configuration
from sysevent.scenario.cover import Cover as Cover

# The byte that fills every output of kvm_run before KVM_RUN. No exit under test contains 0xaaaaaaaa.
POISON = 0xAA
# Instead of a poison: leave kvm_run as the last exit left it.
KEEP = None
# Bytes of guest memory, the same for every architecture: a multiple of every page size.
RAM_SIZE = 0x1_0000
# Where peers, the vCPUs that cause no event, count, in bytes from the beginning of guest memory: vCPU n at 8 * n.
COUNTERS_AT = 0x8000
# Milliseconds after which a KVM_RUN that must block counts as blocked.
BLOCKED_MS = 50
# Milliseconds in which every vCPU that is runnable gets to run: two timer ticks of a kernel with CONFIG_HZ=250, such as
# Debian's.
SETTLE_MS = 8


class Vm(msgspec.Struct, frozen=True):
    """KVM_CREATE_VM, the first step of almost every scenario."""

    # The machine type. 0: the one that the architecture needs on this CPU, which the VMM finds out.
    type: int = 0


class Memory(msgspec.Struct, frozen=True):
    """Zeroed guest memory in a memory slot (KVM_SET_USER_MEMORY_REGION).

    At an address that has memory already, the slot is that memory once more: for x86's second address space.
    """

    # Guest physical address.
    gpa: int
    # In bytes.
    size: int
    slot: int = 0
    # KVM_MEM_*: 1 is KVM_MEM_LOG_DIRTY_PAGES.
    flags: int = 0


class Load(msgspec.Struct, frozen=True):
    """The segments of a payload, written to guest memory at their addresses."""

    # "call" is guests/payloads/<arch>/call.S.
    payload: str


class Write(msgspec.Struct, frozen=True):
    """Bytes written to guest memory."""

    # Guest physical address.
    gpa: int
    data: bytes


class Read(msgspec.Struct, frozen=True):
    """Bytes read from guest memory, as an answer."""

    # Guest physical address.
    gpa: int
    # In bytes.
    length: int
    label: str


class Vcpu(msgspec.Struct, frozen=True):
    """KVM_CREATE_VCPU, and what the architecture needs before the vCPU can run (on arm64 KVM_ARM_VCPU_INIT)."""

    id: int = 0
    # On arm64 the words of kvm_vcpu_init.features.
    features: tuple[int, ...] = ()
    # With a label, a refusal is an answer; without one, it ends the scenario.
    label: str = ""


class Device(msgspec.Struct, frozen=True):
    """KVM_CREATE_DEVICE: an interrupt controller in the kernel, of which a VM has one at most."""

    # KVM_DEV_TYPE_*
    type: int
    # With a label, a refusal is an answer; without one, it ends the scenario.
    label: str = ""


class Entry(msgspec.Struct, frozen=True):
    """Set a vCPU's program counter to a payload, and its argument registers.

    The registers are x0, x1, … on arm64, a0, a1, … on riscv64, and rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp on x86-64.
    The vCPU runs from there at its next Start.
    """

    payload: str
    # Values of the registers, in that order. On x86-64 all others become 0.
    arguments: tuple[int, ...] = ()
    vcpu: int = 0
    # A global label of the payload; empty: its entry, _start.
    symbol: str = ""
    # Base of the code segment, where the mode of an x86 CPU has one: the program counter is relative to it.
    base: int = 0


class Ioctl(msgspec.Struct, frozen=True):
    """Any ioctl, by its number."""

    # "system" for /dev/kvm, "vm", "device" for that of the Device step, or the index of a vCPU.
    fd: str | int
    request: int
    # Passed as it is if there is no buffer.
    argument: int = 0
    # The structure whose address is passed. The kernel's changes to it are the answer.
    buffer: bytes = b""
    # For a structure that holds a pointer: the offset of the pointer, and the offset of the value behind it, both in
    # the buffer.
    pointer: tuple[int, int] | None = None
    # With a label, a refusal is an answer; without one, it ends the scenario.
    label: str = ""


class SetRunBytes(msgspec.Struct, frozen=True):
    """Bytes that the VMM writes to kvm_run at the vCPU's next Start, after the poison.

    For what userspace sets there: immediate_exit (offset 1), kvm_valid_regs (offset 288), the result of an exit.
    """

    offset: int
    data: bytes
    vcpu: int = 0


class Start(msgspec.Struct, frozen=True):
    """Fill kvm_run with the poison, and enter KVM_RUN on the vCPU's own thread.

    The step does not wait: a Wait has the exit. Steps between the two run while the vCPU runs.
    """

    vcpu: int = 0
    # The byte, or KEEP.
    poison: int | None = POISON
    # True: a signal is pending when KVM_RUN begins, and ends it.
    signalled: bool = False


class Wait(msgspec.Struct, frozen=True):
    """Wait until KVM_RUN of a vCPU returns, and record its exit: kvm_run, errno and registers.

    When the time is over, a signal ends KVM_RUN, and the exit says so (RawExit.kicked). The milliseconds are counted
    in pieces, as those of Sleep. One millisecond is for a vCPU that nothing but the signal is to end: if it does, the
    registers are not read (guests/vmm/steps.c).
    """

    label: str
    vcpu: int = 0
    milliseconds: int = 3000


class Sleep(msgspec.Struct, frozen=True):
    """As many sleeps of one millisecond, so that runnable vCPUs run in between.

    One long sleep could pass while the whole L1 guest is suspended on a loaded machine, and its vCPUs with it.
    """

    milliseconds: int


class Watch(msgspec.Struct, frozen=True):
    """Wait until the 8 bytes at an address have changed, or the time is over. A Read afterwards shows which."""

    # Guest physical address.
    gpa: int
    milliseconds: int = 1000
    # True: until they are not zero, for bytes that change once, and that may have changed before.
    from_zero: bool = False


class Open(msgspec.Struct, frozen=True):
    """open() of a path in L1, which is closed again. The answer has the errno, 0 for a success."""

    path: str
    label: str
    # The flags of open(); 2 is O_RDWR.
    flags: int = 2


class File(msgspec.Struct, frozen=True):
    """Bytes of a file in L1, as an answer; fewer bytes if the file ends before.

    With a text, only the lines that contain it, as many as fit into the length. The kernel's log, /dev/kmsg, is read
    in this way, from its first message to its last.
    """

    path: str
    label: str
    # From the beginning of the file, in bytes.
    offset: int = 0
    # In bytes.
    length: int = 4096
    containing: str = ""


class Program(msgspec.Struct, frozen=True):
    """A program that is run in L1 itself, such as another VMM, beside ours. decode/program.py reads its answer.

    It runs in a process group of its own, which ends with the step, or with the channel. With a text the step may end
    before the program, which a later Program without arguments continues to follow. All steps of a scenario are
    Programs, or none is.
    """

    # Its absolute path in L1, and its arguments. Empty: the program that an earlier step has started.
    arguments: tuple[str, ...]
    label: str
    # After which it is killed, counted from the beginning of the step.
    milliseconds: int = 30_000
    # NAME=VALUE of each variable; it gets no others.
    variables: tuple[str, ...] = ()
    # Its standard input, up to wire.PROGRAM_INPUT_MAX bytes in all steps.
    input: bytes = b""
    # True: its standard input stays open behind that.
    open: bool = False
    # True: its standard error is part of its standard output.
    merged: bool = False
    # The step ends when one of its streams has this since the step began; empty: when the program ends.
    until: bytes = b""
    # True: when the time is over, the step ends, and the program goes on.
    leave: bool = False


Step = (
    Vm
    | Memory
    | Load
    | Write
    | Read
    | Vcpu
    | Entry
    | Ioctl
    | SetRunBytes
    | Start
    | Wait
    | Sleep
    | Watch
    | Device
    | Open
    | File
    | Program
    | Cover
)


class Scenario(msgspec.Struct, frozen=True):
    """Steps with a name, for one architecture."""

    # With the architecture: "arm64.psci.off". Two scenarios never have the same name.
    name: str
    arch: str
    steps: tuple[Step, ...]
    # How its virtual machine differs from the default.
    configuration: Configuration = DEFAULT

    @property
    def payloads(self) -> tuple[str, ...]:
        """The names of the payloads that the scenario loads, each once."""
        return tuple(dict.fromkeys(step.payload for step in self.steps if isinstance(step, Load)))

    @property
    def runs_programs(self) -> bool:
        """True if its steps are Programs: the supervisor carries them out, and no worker."""
        return Program in map(type, self.steps)


def scenario_of(arch: str, name: str, *steps: Step, configuration: Configuration = DEFAULT) -> Scenario:
    """Return a scenario of an architecture. Its name is given without the architecture, and with its configuration."""
    return Scenario(f"{arch}.{name}", arch, steps, configuration)


def poisoned(size: int) -> int:
    """Return the number that an output of size bytes, which KVM did not write, holds after a Start."""
    return int.from_bytes(bytes([POISON]) * size, "little")


def run(
    label: str, vcpu: int = 0, *, poison: int | None = POISON, milliseconds: int = 3000
) -> tuple[Step, ...]:
    """Return the steps of one KVM_RUN, from its entry to its exit, which is recorded under the label.

    With poison=KEEP kvm_run is left as the last exit left it. After that time a signal ends KVM_RUN.
    """
    return (Start(vcpu, poison), Wait(label, vcpu, milliseconds))
