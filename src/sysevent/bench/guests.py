"""One guest measured from the start of its QEMU to its last scenario."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice, repeat
from pathlib import Path

import msgspec

from sysevent.contract import catalogue
from sysevent.engine.guest import Guest
from sysevent.errors import HarnessError
from sysevent.hosts.qemu.guest import QemuGuest
from sysevent.model import Incident, Observation
from sysevent.scenario.steps import Scenario
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

# One event on one vCPU, as short as a scenario can be.
SHORT = {
    "arm64": "arm64.psci.off",
    "riscv64": "riscv64.srst.shutdown.0x0",
    "x86_64": "x86_64.hyperv.reset",
}
_MEMORY = ("MemFree", "Slab", "AnonPages")  # of the guest's /proc/meminfo


def silent(_text: object) -> None:
    """Nobody is told: the clock is running."""


def guest(spec: TargetSpec, settings: Settings, *, fresh: bool, logs: Path) -> Guest:
    """A guest that is booted, or restored when there is a snapshot of it; an incident spoils a measurement."""

    def incident(what: Incident) -> None:
        raise HarnessError(f"not a measurement: {what.reason}")

    return Guest(
        spec, msgspec.structs.replace(settings, snapshots=not fresh), logs, silent, incident, _forget
    )


def _forget(_target: str, _seen: Observation) -> None:
    """Kept nowhere."""


def milestones(spec: TargetSpec, settings: Settings, *, fresh: bool) -> dict[str, float]:
    """Seconds from the start of QEMU to each step, what it used, and how it was made ready.

    The kernel's start is reckoned from its uptime, which has hundredths of seconds.
    """
    if fresh:
        spec = msgspec.structs.replace(spec, append=f"{spec.append} sysevent_trace=1".strip())
    scenario = catalogue.load().scenarios[SHORT[spec.arch]]
    with tempfile.TemporaryDirectory(prefix="sysevent-bench-") as folder:
        found = guest(spec, settings, fresh=fresh, logs=Path(folder))
        try:
            found.life.prepare()
            begin = time.monotonic()
            found.life.start()
            started = time.monotonic() - begin
            host = _qemu(found)
            row = {"qemu": started, "hello": found.seconds_to_boot}
            for name, _ in zip(("first record", "last record"), range(2), strict=True):
                next(found.stream((scenario,), "native"))
                row[name] = time.monotonic() - begin
            if fresh:
                if host.seconds_to_init:  # its line may come in two pieces, and is then not recognised
                    row["init"] = host.seconds_to_init
                up = float(found.file("/proc/uptime").split()[0])
                row["kernel"] = max(0.0, time.monotonic() - begin - up)
            row |= used(host.pid)
            return row
        finally:
            found.close()


def _qemu(found: Guest) -> QemuGuest:
    host = found.life.running()
    if not isinstance(host, QemuGuest):
        raise HarnessError(f"{found.spec.id} is no guest of this machine: there is no QEMU to be measured")
    return host


def used(pid: int) -> dict[str, float]:
    """CPU seconds and MiB of memory of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return {"CPU": (int(fields[11]) + int(fields[12])) / ticks, "MiB": resident / 1024}


def growth(found: Guest, counts: Iterable[int]) -> Iterator[tuple[int, dict[str, float]]]:
    """Milliseconds per scenario in a warm guest, and memory, for growing numbers of scenarios.

    Memory is QEMU's in MiB, and the guest's in KiB by its own account.
    """
    scenario = catalogue.load().scenarios[SHORT[found.arch.name]]
    host = _qemu(found)
    _run(found, scenario, 50)  # QEMU translates code when it is first run
    for count in counts:
        before = used(host.pid)
        begin = time.monotonic()
        _run(found, scenario, count)
        seconds = time.monotonic() - begin
        after = used(host.pid)
        row = {
            "ms": seconds / count * 1000,
            "CPU ms": (after["CPU"] - before["CPU"]) / count * 1000,
            "QEMU MiB": after["MiB"],
        }
        yield count, row | memory(found.file("/proc/meminfo").decode("ascii", "replace"))


def memory(meminfo: str) -> dict[str, float]:
    """What /proc/meminfo says, in KiB."""
    rows = (line.split() for line in meminfo.splitlines())
    return {row[0][:-1]: float(row[1]) for row in rows if len(row) > 1 and row[0][:-1] in _MEMORY}


def _run(found: Guest, scenario: Scenario, count: int) -> None:
    for _ in found.stream(islice(repeat(scenario), count), "native"):
        pass
