"""Measurements of one guest, from the start of its QEMU to its last scenario."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice, repeat
from pathlib import Path

import msgspec

from sysevent.contract import catalogue
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.engine.question import Plan
from sysevent.errors import HarnessError
from sysevent.hosts.openers import opener
from sysevent.hosts.qemu.guest import QemuGuest
from sysevent.model import Incident, Observation
from sysevent.scenario.steps import Scenario
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

# The shortest scenario of each architecture: one event on one vCPU.
SHORT = {
    "arm64": "arm64.psci.off",
    "riscv64": "riscv64.srst.shutdown.0x0",
    "x86_64": "x86_64.hyperv.reset",
}
# Rows of the guest's /proc/meminfo.
_MEMORY = ("MemFree", "Slab", "AnonPages")


def silent(_text: object) -> None:
    """Discard a progress message: printing would be measured, too."""


def guest(
    spec: TargetSpec, settings: Settings, *, fresh: bool, logs: Path, plan: Plan | None = None
) -> Asker:
    """A guest of a target, to be closed by the caller. fresh: True: boot it; False: restore it if there is a snapshot.

    plan: gives questions to send ahead; None: nothing is asked by itself. The guest raises HarnessError on any
    incident, because a retry would distort the measurement.
    """

    def incident(what: Incident) -> None:
        raise HarnessError(f"not a measurement: {what.reason}")

    own = msgspec.structs.replace(settings, snapshots=not fresh)
    asked = Asker(spec, opener(spec, own), own, logs, Listeners(silent, incident, _forget))
    if plan is not None:
        asked.foresee(plan)
    return asked


def _forget(_target: str, _seen: Observation) -> None:
    """Discard an observation."""


def milestones(spec: TargetSpec, settings: Settings, *, fresh: bool) -> dict[str, float]:
    """Seconds from the start of QEMU to each milestone of a new guest, and the CPU seconds and MiB that QEMU used.

    fresh: True: the guest boots, and has the milestones "kernel" and "init"; False: it is restored if there is a
    snapshot. "kernel" is computed from the uptime, which has a resolution of 10 ms.
    """
    if fresh:
        spec = msgspec.structs.replace(spec, append=f"{spec.append} sysevent_trace=1".strip())
    scenario = catalogue.load().scenarios[SHORT[spec.arch]]
    with tempfile.TemporaryDirectory(prefix="sysevent-bench-") as folder:
        found = guest(spec, settings, fresh=fresh, logs=Path(folder))
        try:
            found.restarts.prepare()
            begin = time.monotonic()
            found.restarts.start()
            started = time.monotonic() - begin
            host = _qemu(found)
            row = {"qemu": started, "hello": found.restarts.seconds_to_boot}
            for name, _ in zip(("first record", "last record"), range(2), strict=True):
                next(found.stream((scenario,)))
                row[name] = time.monotonic() - begin
            if fresh:
                # 0 when init's line arrived in two pieces.
                if host.seconds_to_init:
                    row["init"] = host.seconds_to_init
                up = float(found.file("/proc/uptime").split()[0])
                row["kernel"] = max(0.0, time.monotonic() - begin - up)
            row |= process_usage(host.pid)
            return row
        finally:
            found.close()


def _qemu(found: Asker) -> QemuGuest:
    host = found.running().host
    if not isinstance(host, QemuGuest):
        raise HarnessError(f"{found.spec.id} is not a guest of this machine's QEMU: it cannot be measured")
    return host


def process_usage(pid: int) -> dict[str, float]:
    """What a process has used: "CPU" in seconds, resident "MiB" of memory."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return {"CPU": (int(fields[11]) + int(fields[12])) / ticks, "MiB": resident / 1024}


def scenario_costs(found: Asker, counts: Iterable[int]) -> Iterator[tuple[int, dict[str, float]]]:
    """For each count: the count, and the cost of that many scenarios in a warm guest.

    "ms" and "CPU ms" are per scenario; "QEMU MiB" is QEMU's resident memory afterwards, and the rows of guest_memory()
    are KiB.
    """
    scenario = catalogue.load().scenarios[SHORT[found.arch.name]]
    host = _qemu(found)
    # Warms it up: QEMU translates code when it first runs.
    _run(found, scenario, 50)
    for count in counts:
        before = process_usage(host.pid)
        begin = time.monotonic()
        _run(found, scenario, count)
        seconds = time.monotonic() - begin
        after = process_usage(host.pid)
        row = {
            "ms": seconds / count * 1000,
            "CPU ms": (after["CPU"] - before["CPU"]) / count * 1000,
            "QEMU MiB": after["MiB"],
        }
        yield count, row | guest_memory(found.file("/proc/meminfo").decode("ascii", "replace"))


def guest_memory(meminfo: str) -> dict[str, float]:
    """Free memory, slab and anonymous pages in a /proc/meminfo, in KiB."""
    rows = (line.split() for line in meminfo.splitlines())
    return {row[0][:-1]: float(row[1]) for row in rows if len(row) > 1 and row[0][:-1] in _MEMORY}


def _run(found: Asker, scenario: Scenario, count: int) -> None:
    for _ in found.stream(islice(repeat(scenario), count)):
        pass
