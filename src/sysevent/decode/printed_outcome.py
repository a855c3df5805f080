"""What a user of a VMM that runs a kernel saw of an event: from the answers of scenario/kernels.py. No I/O.

Such a VMM says what happens in lines that it prints, or only by its exit code. It must say its version first, as no
other program does: of a program that is not the VMM that it is said to be, nothing is judged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from sysevent.decode import outcome as qmp
from sysevent.decode.outcome import END, RUN, START, WORDS_MAX, Outcome, VmmEvent, last_words, reports
from sysevent.decode.program import Ended, read_program
from sysevent.errors import BadWire, GuestLost
from sysevent.model import Observation
from sysevent.text import first_line

# Events that are kept, the first ones.
_KEPT = 50
# How a VMM ended that was killed while its guest ran on: it has no monitor that ends it.
GOES_ON = "killed while its guest ran"


class Printing(msgspec.Struct, frozen=True):
    """What a VMM prints."""

    # Of its version: the first line of its output.
    version: re.Pattern[str]
    # Of events: a name from the first group, and the reason from the second if there is one.
    events: re.Pattern[str]


# By the name of a VMM as it stands in titles of claims. Each pattern is what its source prints.
PRINTING: Mapping[str, Printing] = {
    # builtin-version.c; builtin-run.c, kvm_cpu_thread() and kvm_cmd_run_exit(); kvm-cpu.c, kvm_cpu__start().
    "kvmtool": Printing(
        re.compile(r"kvm tool (\S+)$"),
        re.compile(
            r"(KVM session ended normally|unknown system event type|KVM exit reason)(?:\.| (\d+)|: \d+ \(\"(\w+)\"\))"
        ),
    ),
    # crosvm f1e797a68dad: src/main.rs, pkg_version(); src/crosvm/sys/linux.rs, run_control(), VmEvent.
    "crosvm": Printing(
        re.compile(r"crosvm (\d\S*)"),
        re.compile(r"(vcpu requested \w+|vcpu crashed|guest panic event|PSCI SYSTEM_RESET2)"),
    ),
    # cloud-hypervisor ae44c2971c83: cloud-hypervisor/src/main.rs; vmm/src/lib.rs, vm_reboot(); vmm/src/cpu.rs.
    "cloud_hypervisor": Printing(
        re.compile(r"cloud-hypervisor v?(\d\S*)"),
        re.compile(r"\"event\": \"(rebooting)\"|(VCPU generated error)"),
    ),
    # Firecracker 81b38b9dad60: src/firecracker/src/main.rs; src/vmm/src/vstate/vcpu.rs, handle_kvm_exit().
    "firecracker": Printing(
        re.compile(r"Firecracker v(\d\S*)"),
        re.compile(
            r"(KVM_SYSTEM_EVENT)(?: signal)?:? type: (\d+), \w+: (\[[\d, ]*\])|"
            r"(Unexpected exit reason) on vcpu run: (\w+)"
        ),
    ),
}


def outcome(seen: Observation) -> Outcome:
    """Return the outcome of a scenario that a real VMM ran, QEMU or one that runs a kernel.

    Raises what outcome() of decode/outcome.py raises.
    """
    family = seen.scenario.split(".")[2]
    if family not in PRINTING:
        return qmp.outcome(seen)
    printing = PRINTING[family]
    said, ran, end = (read_program(seen.answers[label]) for label in (START, RUN, END))
    version = _version(seen.scenario, printing, said)
    if any(one.cut for one in (said, ran, end)):
        raise BadWire(f"{seen.scenario}: the VMM printed more than is kept")
    guest = ran.output + ran.side + end.output + end.side
    found = reports(guest)
    if "m" not in found:
        raise GuestLost(f"{seen.scenario}: the VMM ran, and its guest did not: {ran}: {last_words(ran, end)}")
    # Without an end in its own step, the VMM goes on with its guest.
    last = ran if ran.status is not None else end
    if last is end and not end.killed:
        raise GuestLost(
            f"{seen.scenario}: the VMM ended by itself after its guest had reported its end: {end}"
        )
    return Outcome(
        version=version,
        events=_events(printing, ran, end),
        # A count in memory, or where that is new each time, how often it was reported.
        starts=max(found["m"], len(re.findall(rb"m[0-9a-f]{16}\n", guest))),
        returned=found.get("r"),
        refused="g" in found,
        state="" if last is ran else "running",
        exit_code=last.exit_code,
        ended=str(last) if last is ran else GOES_ON,
        seconds=0.0,
        start_seconds=0.0,
        memory=last.memory,
    )


def _version(name: str, printing: Printing, said: Ended) -> str:
    line = first_line(said.output.decode("ascii", "replace"))
    found = printing.version.match(line)
    if said.exit_code != 0 or not found:
        raise GuestLost(
            f"{name}: this program is another one, or cannot start: asked for its version, it printed "
            f"{line[:WORDS_MAX]!r}, then {said}: {last_words(said)}"
        )
    return found[1][:40]


def _events(printing: Printing, *parts: Ended) -> tuple[VmmEvent, ...]:
    text = b"\n".join(stream for one in parts for stream in (one.output, one.errors, one.side))
    found = printing.events.finditer(text.decode("ascii", "replace"))
    events: list[VmmEvent] = []
    for match in found:
        name, *reasons = (group for group in match.groups() if group)
        event = VmmEvent(name[:40], " ".join(reasons)[:40])
        if event not in events and len(events) < _KEPT:
            events.append(event)
    return tuple(events)
