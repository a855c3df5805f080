"""Controls: for each architecture a scenario that every working KVM passes, and its judgement. No I/O.

The payload does nothing but exit, with one store or one OUT. A guest that fails its control is ill: its KVM does not
work, whatever the kernel under test says about events, so that none of its other answers counts. Seen on x86-64: a
kernel that could not calibrate its TSC never returns from KVM_RUN (arch/x86/kvm/x86.c, kvm_guest_time_update).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sysevent.abi.exits import ExitReason
from sysevent.decode.event import Event, decode
from sysevent.model import Observation
from sysevent.scenario import arm64, riscv64, x86_64
from sysevent.scenario.steps import Entry, Scenario, Step, run, scenario_of

# Milliseconds of the guest's clock for the one exit, which takes less than one.
_MILLISECONDS = 1000
# The value that the payload stores, or has in its register. It fits into 31 bits: no architecture extends its sign.
VALUE = 0x5EC0_1720
_LABEL = "exit"


class Control(msgspec.Struct, frozen=True):
    """The control of one architecture."""

    scenario: Scenario
    # From the scenario's observation to the reason why the guest is ill; "" if it passes.
    fault: Callable[[Observation], str]


def _scenario(arch: str, vm: tuple[Step, ...], payload: str, arguments: tuple[int, ...]) -> Scenario:
    """Return the scenario in which vCPU 0 enters a payload behind its call, where it reports the end of the call."""
    entry = Entry(payload, arguments, symbol="returned")
    return scenario_of(arch, "control", *vm, entry, *run(_LABEL, milliseconds=_MILLISECONDS))


def _fault(wanted: dict[str, int], register: str) -> Callable[[Observation], str]:
    """Return the judge for an exit with these fields of kvm_run, and VALUE in a register."""

    def fault(seen: Observation) -> str:
        raw = seen.exits.get(_LABEL)
        if raw is None:
            return "KVM_RUN was not entered"
        if raw.kicked:
            return f"KVM_RUN did not return by itself within {_MILLISECONDS} ms"
        event = decode(raw, seen.arch)
        if raw.ret < 0:
            return str(event)
        return _difference(event, wanted, register)

    return fault


def type_of_event(seen: Observation) -> int | None:
    """The type of the system event with which a control has ended; None if it has not ended with one."""
    raw = seen.exits.get(_LABEL)
    if raw is None or raw.ret < 0:
        return None
    event = decode(raw, seen.arch)
    return event.field("type") if event.field("exit_reason") == ExitReason.SYSTEM_EVENT else None


def _difference(event: Event, wanted: dict[str, int], register: str) -> str:
    """Return the first value that is not the payload's, in words; "" if there is none."""
    for name, value in wanted.items():
        if event.field(name) != value:
            return f"{event} instead of the payload's one: {name} is {event.field(name):#x}, not {value:#x}"
    if event.registers.get(register) != VALUE:
        got = f"{event.registers[register]:#x}" if event.registers else "unreadable"
        return f"{register} is {got}, not {VALUE:#x}"
    return ""


def _store(address: int) -> dict[str, int]:
    """Return the fields of an exit for a store of VALUE to an address without memory."""
    return {"exit_reason": ExitReason.MMIO, "mmio.phys_addr": address, "mmio.data": VALUE}


CONTROLS: dict[str, Control] = {
    "arm64": Control(
        _scenario("arm64", arm64.vm_with_vcpus(), "call", (VALUE,)), _fault(_store(arm64.RETURNED_MMIO), "x0")
    ),
    "riscv64": Control(
        _scenario("riscv64", riscv64.vm_with_vcpus(), "call", (VALUE,)),
        _fault(_store(riscv64.RETURNED_MMIO), "a0"),
    ),
    "x86_64": Control(
        _scenario("x86_64", x86_64.vm_with_vcpus("wrmsr", cpuid=x86_64.BARE_CPUID), "wrmsr", (VALUE,)),
        # direction 1: out.
        _fault(
            {"exit_reason": ExitReason.IO, "io.direction": 1, "io.size": 1, "io.port": x86_64.RETURNED_PORT},
            "rax",
        ),
    ),
}

# By architecture: the same steps under another name, for a claim. A control itself is no question.
ENTRIES = {
    arch: msgspec.structs.replace(control.scenario, name=f"{arch}.entry")
    for arch, control in CONTROLS.items()
}
