"""Encode a scenario as the bytes of a request, and decode the reply as an observation. No I/O."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping

import msgspec

from sysevent import wire
from sysevent.abi import names
from sysevent.abi.errno import Errno
from sysevent.abi.number import as_register
from sysevent.build.programs import Payload
from sysevent.decode import kcov
from sysevent.errors import BadWire, GuestLost, HarnessError, NoKvm, NotApplicable, StepRefused, VcpuStuck
from sysevent.model import Answer, Observation, RawExit
from sysevent.scenario import steps as s
from sysevent.wire import Op

# The op that carries out each kind of step.
OPS: dict[type, Op] = {
    s.Vm: Op.VM,
    s.Memory: Op.MEMORY,
    s.Load: Op.WRITE,
    s.Write: Op.WRITE,
    s.Read: Op.READ,
    s.Vcpu: Op.VCPU,
    s.Entry: Op.ENTRY,
    s.Ioctl: Op.IOCTL,
    s.SetRunBytes: Op.HEAD,
    s.Start: Op.START,
    s.Wait: Op.WAIT,
    s.Sleep: Op.SLEEP,
    s.Open: Op.OPEN,
    s.File: Op.FILE,
    s.Watch: Op.WATCH,
    s.Device: Op.DEVICE,
    s.Program: Op.PROGRAM,
    s.Cover: Op.COVER,
}
# Steps whose results are answers if they have labels. A tuple: A | B makes a type for each step.
_ANSWERED = (s.Read, s.Vcpu, s.Device, s.Ioctl, s.Open, s.File, s.Cover)
_FDS = {"system": 0, "vm": 1, "device": 0x100}
_FD_VCPU = 2
# fmt: off
# /dev/kvm cannot be used. EBUSY: another hypervisor uses the CPU. ENOTTY: the file is not KVM's.
_NO_KVM = (
    Errno.EPERM, Errno.ENOENT, Errno.ENXIO, Errno.EACCES, Errno.EBUSY, Errno.ENODEV, Errno.ENOTTY,
)
# fmt: on
# The target is short of memory, processes or files at the moment, which says nothing about its kernel.
_SHORT = (Errno.EAGAIN, Errno.ENOMEM, Errno.ENFILE, Errno.EMFILE)
# SIGKILL and SIGTERM, sent by another program. If the VMM's own watchdog kills a worker, the state is State.HUNG.
_FROM_OUTSIDE = (9, 15)
# Milliseconds for all that is not KVM_RUN, and again for each Wait: when its time is over, the VMM's watchdog repeats
# its signal for as long (GRACE in guests/vmm/vcpu.c).
_SLACK_MS = 2000
# Milliseconds until a killed program is gone, and its last output has arrived: guests/vmm/program.c.
_PROGRAM_SLACK_MS = 6000
_SLACKS_MS: dict[type, int] = {s.Wait: _SLACK_MS, s.Program: _PROGRAM_SLACK_MS}
_TIMED = (s.Wait, s.Sleep, s.Watch, s.Program)


def encode(
    scenario: s.Scenario, payloads: Mapping[str, Payload], patience: int | None = None
) -> tuple[bytes, int]:
    """Return the body of a request, and the milliseconds after which its reply is overdue.

    The payloads are those that the scenario loads, by name. patience: milliseconds that a Wait takes at most.
    """
    steps: list[bytes] = []
    deadline = _SLACK_MS
    for planned in scenario.steps:
        step = planned
        if patience is not None and isinstance(step, s.Wait):
            step = msgspec.structs.replace(step, milliseconds=min(step.milliseconds, patience))
        steps += _encode_step(step, payloads)
        if isinstance(step, _TIMED):
            deadline += step.milliseconds + _SLACKS_MS.get(type(step), 0)
    return wire.pack_request(deadline, steps), deadline


def _encode_step(step: s.Step, payloads: Mapping[str, Payload]) -> list[bytes]:  # noqa: C901 - an arm a step
    def one(op: Op, body: bytes, required: bool = True) -> list[bytes]:
        return [wire.pack_step(op, body, required=required)]

    match step:
        case s.Vm(kind):
            return one(Op.VM, struct.pack("<Q", kind))
        case s.Memory(gpa, size, slot, flags):
            return one(Op.MEMORY, struct.pack("<QQII", gpa, size, slot, flags))
        case s.Load(name):
            segments = payloads[name].segments
            return [piece for at, data in segments for piece in one(Op.WRITE, struct.pack("<Q", at) + data)]
        case s.Write(gpa, data):
            return one(Op.WRITE, struct.pack("<Q", gpa) + data)
        case s.Read(gpa, length):
            return one(Op.READ, struct.pack("<QI", gpa, length))
        case s.Vcpu(number, features, label):
            return one(Op.VCPU, struct.pack(f"<I{len(features)}I", number, *features), required=not label)
        case s.Entry(name, arguments, vcpu, symbol, base):
            payload = payloads[name]
            pc = as_register((payload.symbols[symbol] if symbol else payload.entry) - base)
            return one(Op.ENTRY, struct.pack(f"<IIQ{len(arguments)}Q", vcpu, 0, pc, *arguments))
        case s.Ioctl():
            return one(Op.IOCTL, _ioctl(step), required=not step.label)
        case s.SetRunBytes(offset, data, vcpu):
            return one(Op.HEAD, struct.pack("<II", vcpu, offset) + data)
        case s.Start(vcpu, poison, signalled):
            how = wire.START_KEEP if poison is None else poison
            return one(Op.START, struct.pack("<II", vcpu, how | signalled * wire.START_SIGNALLED))
        case s.Wait(_, vcpu, milliseconds):
            return one(Op.WAIT, struct.pack("<II", vcpu, milliseconds), False)
        case s.Sleep(milliseconds):
            return one(Op.SLEEP, struct.pack("<I", milliseconds))
        case s.Device(kind, label):
            return one(Op.DEVICE, struct.pack("<I", kind), required=not label)
        case s.Watch(gpa, milliseconds, from_zero):
            return one(Op.WATCH, struct.pack("<QII", gpa, milliseconds, from_zero))
        case s.Open(path, _, flags):
            return one(Op.OPEN, struct.pack("<I", flags) + path.encode(), False)
        case s.File(path, _, offset, length, text):
            which = f"{path}\0{text}" if text else path
            return one(Op.FILE, struct.pack("<II", offset, length) + which.encode(), False)
        case s.Cover(_, words):
            return one(Op.COVER, struct.pack("<I", words), False)
        case s.Program():
            return one(Op.PROGRAM, _program(step), False)


def _program(step: s.Program) -> bytes:
    strings = [text.encode() for text in (*step.arguments, *step.variables)]
    if any(b"\0" in text for text in strings) or len(step.input) > wire.PROGRAM_INPUT_MAX:
        raise HarnessError(f"the program {step.label}: an argument has a NUL, or the input is too long")
    flags = (
        step.merged * wire.PROGRAM_MERGED | step.open * wire.PROGRAM_OPEN | step.leave * wire.PROGRAM_LEAVE
    )
    lengths = len(step.until), len(step.input), len(step.arguments), len(step.variables)
    head = struct.pack("<6I", step.milliseconds, flags, *lengths)
    return head + step.until + step.input + b"".join(text + b"\0" for text in strings)


def _ioctl(step: s.Ioctl) -> bytes:
    fd = _FDS[step.fd] if isinstance(step.fd, str) else _FD_VCPU + step.fd
    argument = step.argument
    if step.pointer:
        pointer_at, value_at = step.pointer
        argument = pointer_at << 32 | value_at
    return struct.pack("<IIQ", fd, step.request, argument) + step.buffer


def decode(scenario: s.Scenario, payloads: Mapping[str, Payload], abi: str, reply: wire.Reply) -> Observation:
    """Return the labelled results of a scenario that a VMM of this ABI ran.

    Raises VcpuStuck if KVM_RUN returned neither by itself nor after a signal, or if the VMM missed its deadline;
    StepRefused if the kernel refused a step that must succeed; NotApplicable if the kernel does not run programs of
    this ABI; NoKvm if /dev/kvm cannot be used; GuestLost if the target is short of memory or the VMM was killed from
    outside; HarnessError if the VMM crashed, cannot be started, or found the request malformed; BadWire if the reply
    does not fit the request.
    """
    _check(reply, scenario)
    exits: dict[str, RawExit] = {}
    answers: dict[str, Answer] = {}
    results = iter(reply.results)
    poisons: dict[int, int | None] = {}
    for step in scenario.steps:
        count = len(payloads[step.payload].segments) if isinstance(step, s.Load) else 1
        own = list(itertools.islice(results, count))
        if [result.op for result in own] != [OPS[type(step)]] * count:
            raise BadWire(f"{scenario.name}: the reply says done and has no result for {step}")
        result = own[-1]
        if isinstance(step, s.Start):
            poisons[step.vcpu] = step.poison
        elif isinstance(step, s.Wait):
            exits[step.label] = _raw_exit(result, poisons.get(step.vcpu))
        elif isinstance(step, s.Program):
            # The flags of a result are not part of an answer.
            answers[step.label] = Answer(
                result.ret, result.errno, struct.pack("<H", result.flags) + result.body
            )
        elif isinstance(step, _ANSWERED) and step.label:
            answers[step.label] = Answer(result.ret, result.errno, _data(step, result))
    if next(results, None) is not None:
        raise BadWire(f"{scenario.name}: the reply holds more results than there were steps")
    symbols = {
        f"{name}.{label}": at for name in scenario.payloads for label, at in payloads[name].symbols.items()
    }
    return Observation(scenario.name, scenario.arch, abi, exits, answers, symbols, reply.log)


def _data(
    step: s.Read | s.Vcpu | s.Device | s.Ioctl | s.Open | s.File | s.Cover, result: wire.Result
) -> bytes:
    """The bytes of an answer; BadWire if there are not as many as the step asked for."""
    size = len(result.body)
    match step:
        case s.Read(_, length):
            fits = size == length or result.ret < 0
        case s.Ioctl():
            fits = size == len(step.buffer) or (result.ret < 0 and not size)
        case s.File():
            fits = size <= step.length
        case s.Cover(_, words):
            fits = size <= kcov.LONGEST and not (words and size)
        case _:
            fits = not size
    if not fits:
        raise BadWire(
            f"a result of {size} bytes for {type(step).__name__} {step.label!r}, which is not what it gives"
        )
    return result.body


def _raw_exit(result: wire.Result, poison: int | None) -> RawExit:
    body = wire.unpack_exit(result.body)
    return RawExit(
        ret=result.ret,
        errno=result.errno,
        kicked=bool(result.flags & wire.EXIT_KICKED),
        microseconds=body.microseconds,
        cpu_microseconds=body.cpu_microseconds,
        poison=poison,
        head=body.head,
        tail_changed=body.tail_changed,
        tail_first=body.tail_first,
        registers=body.registers,
        tail=body.tail,
    )


def _refusal(last: wire.Result | None) -> str:
    """What the last step that ran gave, in words."""
    if last is None or last.op not in list(Op):
        return "no step ran"
    return f"{Op(last.op).name} gave errno {names.errno(last.errno)}"


def _check(reply: wire.Reply, scenario: s.Scenario) -> None:
    name, detail = scenario.name, reply.detail
    last = reply.results[-1] if reply.results else None
    _check_target(reply, name, last)
    match reply.state:
        case wire.State.DONE:
            return
        case wire.State.STUCK:
            raise VcpuStuck(f"{name}: KVM_RUN in step {detail} returned neither by itself nor after a signal")
        case wire.State.HUNG:
            raise VcpuStuck(f"{name}: the VMM gave no answer before its deadline and was killed")
        case wire.State.STOPPED:
            raise StepRefused(f"{name}: step {detail}, which must succeed, was refused: {_refusal(last)}")
        case wire.State.DIED if detail == -Errno.ENOEXEC:
            raise NotApplicable(
                f"{name}: this kernel does not run programs of that ABI: they require CONFIG_COMPAT (arm64, riscv64) "
                "or CONFIG_IA32_EMULATION (x86-64), and a CPU that has the mode"
            )
        case wire.State.DIED:
            how = f"of signal {detail}" if detail > 0 else f"with exit code {-detail}"
            raise HarnessError(f"{name}: the VMM died {how}")
        case wire.State.NO_WORKER:
            raise HarnessError(f"{name}: no VMM of this ABI can be started there (errno {detail})")
        case wire.State.BAD:
            raise HarnessError(f"{name}: the VMM found step {detail} malformed ({_refusal(last)})")


def _check_target(reply: wire.Reply, name: str, last: wire.Result | None) -> None:
    """Raise NoKvm or GuestLost if the target is the cause: neither the harness nor the kernel under test."""
    detail = reply.detail
    match reply.state:
        case wire.State.STOPPED if last and last.op == Op.VM and last.errno in _NO_KVM:
            raise NoKvm(
                f"/dev/kvm cannot be used there (errno {names.errno(last.errno)}): the CPU offers no "
                "virtualization, the kernel has no KVM for it, its module is not loaded, or another program uses it"
            )
        case wire.State.STOPPED if last and last.op == Op.VM and last.errno in _SHORT:
            raise GuestLost(f"{name}: no VM can be created there now ({names.errno(last.errno)})")
        case wire.State.DIED if detail in _FROM_OUTSIDE:
            raise GuestLost(
                f"{name}: the VMM was ended by signal {detail}, which the kernel (out of memory) or another program "
                "there sent"
            )
        case wire.State.NO_WORKER if detail in _SHORT:
            raise GuestLost(
                f"{name}: no VMM can be started there now ({names.errno(detail)}): it is short of memory"
            )
