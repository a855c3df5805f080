"""Scenarios as a user writes them: named steps on one virtual machine.

A step is a frozen value; encode() in scenario/request.py turns it into bytes for the VMM. Only labelled steps
come back in an Observation, under their label.
"""

from __future__ import annotations

import msgspec

POISON = 0xAA  # nothing KVM writes into an exit of ours looks like 0xaaaaaaaa
KEEP = None  # instead of a poison: leave kvm_run as the last exit left it
# Milliseconds after which a KVM_RUN that must block counts as blocked.
BLOCKED_MS = 50
# Milliseconds in which every vCPU that is runnable gets to run.
SETTLE_MS = 8


class Vm(msgspec.Struct, frozen=True):
    """KVM_CREATE_VM; type 0 is whatever the architecture needs on this machine."""

    type: int = 0


class Memory(msgspec.Struct, frozen=True):
    """Zeroed guest memory in a slot."""

    gpa: int
    size: int
    slot: int = 0


class Load(msgspec.Struct, frozen=True):
    """A payload's segments into guest memory."""

    payload: str


class Write(msgspec.Struct, frozen=True):
    gpa: int
    data: bytes


class Read(msgspec.Struct, frozen=True):
    """Guest memory, as an answer."""

    gpa: int
    length: int
    label: str


class Vcpu(msgspec.Struct, frozen=True):
    """KVM_CREATE_VCPU and what the architecture needs on top; features are kvm_vcpu_init's words on arm64."""

    id: int = 0
    features: tuple[int, ...] = ()
    label: str = ""  # with one, a refusal is an answer; without, it ends the scenario


class Entry(msgspec.Struct, frozen=True):
    """Where a vCPU starts, and its argument registers: x0.., a0.., or rax rbx rcx rdx rsi rdi on x86."""

    payload: str
    arguments: tuple[int, ...] = ()
    vcpu: int = 0
    symbol: str = ""  # a global label of the payload; empty: its entry


class Ioctl(msgspec.Struct, frozen=True):
    """Any ioctl, by number: fd is "system", "vm" or a vCPU's index."""

    fd: str | int
    request: int
    argument: int = 0  # passed as it is when there is no buffer
    buffer: bytes = b""
    pointer: tuple[int, int] | None = (
        None  # (offset of a pointer, offset of the value behind it) in the buffer
    )
    label: str = ""  # with one, a refusal is an answer; without, it ends the scenario


class SetRunBytes(msgspec.Struct, frozen=True):
    """Bytes put into kvm_run at the next start, after the poison: immediate_exit (1), kvm_valid_regs (288)."""

    offset: int
    data: bytes
    vcpu: int = 0


class Start(msgspec.Struct, frozen=True):
    """Poison kvm_run and enter KVM_RUN on the vCPU's own thread; returns at once."""

    vcpu: int = 0
    poison: int | None = POISON


class Wait(msgspec.Struct, frozen=True):
    """Until the vCPU is back from KVM_RUN, or a signal after so many milliseconds brought it back.

    They are counted in pieces, as those of Sleep.
    """

    label: str
    vcpu: int = 0
    milliseconds: int = 3000


class Sleep(msgspec.Struct, frozen=True):
    """So many sleeps of a millisecond, between each two of which whoever is runnable runs.

    One long sleep could pass while the whole guest stands still on a loaded machine, and its vCPUs with it.
    """

    milliseconds: int


class Watch(msgspec.Struct, frozen=True):
    """Until the 8 bytes there have changed, or so many milliseconds have passed: a Read tells which."""

    gpa: int
    milliseconds: int = 1000


class Open(msgspec.Struct, frozen=True):
    """open() of a path in L1, closed again; the answer is the errno."""

    path: str
    label: str
    flags: int = 2


class File(msgspec.Struct, frozen=True):
    """Bytes of a file in L1, from an offset on; fewer when it ends before."""

    path: str
    label: str
    offset: int = 0
    length: int = 4096


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
    | Open
    | File
)


class Scenario(msgspec.Struct, frozen=True):
    """Steps with a name, for one architecture."""

    name: str
    arch: str
    steps: tuple[Step, ...]

    @property
    def payloads(self) -> tuple[str, ...]:
        """The payloads it needs, each once."""
        return tuple(dict.fromkeys(step.payload for step in self.steps if isinstance(step, Load)))


def run(
    label: str, vcpu: int = 0, *, poison: int | None = POISON, milliseconds: int = 3000
) -> tuple[Step, ...]:
    """One KVM_RUN from start to exit."""
    return (Start(vcpu, poison), Wait(label, vcpu, milliseconds))
