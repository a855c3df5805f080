"""One run: where its results go, its log, and its guests. Nothing exists before the first test needs a target."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import sysevent
from sysevent.checkout import ROOT
from sysevent.errors import SyseventError
from sysevent.model import Facts, Observation
from sysevent.plugin import options
from sysevent.probe.guest import Guest, Incident
from sysevent.qemu import version as qemu_version
from sysevent.report import recorded
from sysevent.report.runlog import SCHEMA, RunLog
from sysevent.targets.spec import TargetSpec


class Run:
    """What belongs to one pytest session that asks kernels."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.settings = options.of(config)
        start = datetime.now(UTC)
        self.results = _results(config.getoption("results"), start)
        self.log = RunLog(self.results / "run.jsonl")
        self.log.write(
            "run",
            schema=SCHEMA,
            id=f"{start:%Y%m%dT%H%M%SZ}-{os.getpid()}",
            start=start.isoformat(timespec="seconds"),
            argv=sys.argv,
            versions={
                "sysevent": sysevent.__version__,
                "python": platform.python_version(),
                "pytest": pytest.__version__,
            },
        )
        self._guests: list[Guest] = []
        self._told: set[str] = set()

    def progress(self, text: str) -> None:
        """One line for the person who waits, whatever pytest captures."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        capture = self.config.pluginmanager.get_plugin("capturemanager")
        if reporter is None:
            return
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            reporter.ensure_newline()
            reporter.write_line(f"  {text}", light=True)

    def guest(self, spec: TargetSpec) -> Guest:
        """A guest of a target, not yet booted."""
        modules = self.config.getoption("modules")
        guest = Guest(
            spec,
            self.settings,
            self.results / spec.id.replace("/", "_"),
            self.progress,
            self._incident,
            self._observation,
            Path(modules) if modules else None,
        )
        self._guests.append(guest)
        return guest

    def _incident(self, incident: Incident) -> None:
        self.log.write(
            "incident",
            target=incident.target,
            reason=incident.reason,
            log=incident.log,
            retried=incident.retried,
        )
        what = incident.reason.splitlines()[0]
        self.progress(f"{what}{' - booting once more' if incident.retried else ''}")

    def _observation(self, target: str, seen: Observation) -> None:
        self.log.write("observation", target=target, **recorded.observation(seen))

    def tell_target(self, guest: Guest, facts: Facts) -> None:
        """Record what a target is, once."""
        spec = guest.spec
        if spec.id in self._told:
            return
        self._told.add(spec.id)
        self.log.write(
            "target",
            name=spec.id,
            arch=spec.arch,
            where=spec.accel,
            kernel=facts.release,
            spec=spec.kernel,
            package=guest.kernel.version,
            qemu=qemu_version.version(guest.arch),
            vmm=facts.build_id,
            capabilities=facts.capabilities,
            features=facts.features,
            seconds_to_boot=round(guest.seconds_to_boot, 3),
        )

    def close(self, exit_code: int, counts: dict[str, int]) -> None:
        """Every guest ended, and the last record written."""
        for guest in self._guests:
            try:
                guest.close()
            except SyseventError as error:
                self.progress(str(error))
        self.log.write("end", counts=counts, exit=exit_code)
        self.log.close()


def _results(asked: str | None, start: datetime) -> Path:
    """A directory of this run's own, and results/latest pointing there when the place is ours to choose."""
    if asked:
        path = Path(asked)
        if (path / "run.jsonl").exists():
            raise pytest.UsageError(f"--results {asked} holds another run's results: name a new directory")
        path.mkdir(parents=True, exist_ok=True)
        return path.resolve()
    base = ROOT / "results"
    base.mkdir(exist_ok=True)
    name = f"{start:%Y-%m-%dT%H-%M-%S}"
    for suffix in ("", *(f"-{n}" for n in range(2, 100))):
        path = base / f"{name}{suffix}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        _point(base / "latest", path.name)
        return path
    raise pytest.UsageError(f"{base} cannot take another run of this second")


def _point(link: Path, to: str) -> None:
    part = link.with_name(f".latest-{os.getpid()}")
    part.unlink(missing_ok=True)
    part.symlink_to(to)
    part.replace(link)
