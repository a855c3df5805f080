"""A scenario in words: a line for each step. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from sysevent.abi.ioctls import Request
from sysevent.abi.x86_64 import SET_MSR_FILTER
from sysevent.scenario import steps as s

_REQUESTS = {request.value: request.macro or f"KVM_{request.name}" for request in Request}
_REQUESTS[SET_MSR_FILTER] = "KVM_X86_SET_MSR_FILTER"


def lines(scenario: s.Scenario) -> Iterator[str]:
    """Yield a line for each step, in order; one KVM_RUN that is started and waited for at once is one line."""
    rest = list(scenario.steps)
    while rest:
        step = rest.pop(0)
        follows = rest[0] if rest else None
        if isinstance(step, s.Start) and isinstance(follows, s.Wait) and follows.vcpu == step.vcpu:
            rest.pop(0)
            yield _run(step, follows)
        else:
            yield _line(step)


def _run(start: s.Start, wait: s.Wait) -> str:
    filled = "kvm_run kept" if start.poison is s.KEEP else f"kvm_run filled with {start.poison:#x}"
    limit = f", {wait.milliseconds} ms at most" if wait.milliseconds != s.Wait("").milliseconds else ""
    return f"KVM_RUN of vCPU {start.vcpu}{_signalled(start)}, {filled}{limit} -> {wait.label!r}"


def _signalled(start: s.Start) -> str:
    return " with a signal pending" if start.signalled else ""


def _line(step: s.Step) -> str:  # noqa: C901 - an arm a step
    match step:
        case s.Vm():
            return "KVM_CREATE_VM" + (f", type {step.type:#x}" if step.type else "")
        case s.Memory():
            flags = f", flags {step.flags:#x}" if step.flags else ""
            return f"guest memory: {step.size:#x} bytes at {step.gpa:#x}, slot {step.slot}{flags}"
        case s.Load():
            return f"the payload {step.payload!r} into guest memory"
        case s.Write():
            return f"{len(step.data)} bytes into guest memory at {step.gpa:#x}"
        case s.Read():
            return f"read {step.length} bytes of guest memory at {step.gpa:#x} -> {step.label!r}"
        case s.Vcpu():
            features = " ".join(f"{word:#x}" for word in step.features)
            return f"KVM_CREATE_VCPU {step.id}{f', features {features}' if features else ''}{_answer(step.label)}"
        case s.Entry():
            values = " ".join(f"{value:#x}" for value in step.arguments)
            at = f"{step.payload}.{step.symbol}" if step.symbol else step.payload
            return f"vCPU {step.vcpu} starts at {at}" + (f", registers {values}" if values else "")
        case s.Program():
            what = " ".join(step.arguments) or "the same program goes on"
            return f"{what}, {step.milliseconds / 1000:g} s at most -> {step.label!r}"
        case s.Device():
            return f"KVM_CREATE_DEVICE, type {step.type}{_answer(step.label)}"
        case s.Ioctl():
            return _ioctl(step)
        case s.SetRunBytes():
            return f"vCPU {step.vcpu}: kvm_run bytes {step.offset}.. = {step.data.hex()}"
        case s.Start():
            return f"KVM_RUN of vCPU {step.vcpu} begins{_signalled(step)}"
        case s.Wait():
            return f"wait for KVM_RUN of vCPU {step.vcpu}, {step.milliseconds} ms at most -> {step.label!r}"
        case s.Sleep():
            return f"sleep {step.milliseconds} ms"
        case s.Watch():
            what = "are not zero" if step.from_zero else "change"
            return f"wait until the 8 bytes at {step.gpa:#x} {what}, {step.milliseconds} ms at most"
        case s.Open():
            return f"open {step.path}{_answer(step.label)}"
        case s.Cover():
            what = "record" if step.words else "return"
            return f"{what} the addresses that the kernel executes{_answer(step.label)}"
        case s.File():
            lines = f"the lines with {step.containing!r} of " if step.containing else ""
            return f"read {lines}{step.path}{_answer(step.label)}"


def _ioctl(step: s.Ioctl) -> str:
    name = _REQUESTS.get(step.request, f"ioctl {step.request:#x}")
    where = {"system": "/dev/kvm", "vm": "the VM", "device": "the device"}.get(
        str(step.fd), f"vCPU {step.fd}"
    )
    given = step.buffer.rstrip(b"\0").hex() if step.buffer else f"{step.argument:#x}" if step.argument else ""
    return f"{name} on {where}{f', {given[:64]}' if given else ''}{_answer(step.label)}"


def _answer(label: str) -> str:
    return f" -> {label!r}" if label else ""
