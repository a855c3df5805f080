"""Everything for one target: its kernel's source, its programs compiled, run in its guests, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from sysevent.arches import Architecture, architecture
from sysevent.engine.asker import Asker
from sysevent.images.debian.archive import Archive
from sysevent.images.kernel import resolve
from sysevent.model import Facts, Incident, KernelImage, Progress, Status
from sysevent.peers import compilation, drive, outcome, programs, source
from sysevent.peers import unit_tests as units
from sysevent.peers.drive import Case, Found, Guest, Suite
from sysevent.peers.guests import EngineGuest
from sysevent.peers.source import Source
from sysevent.report import asked, records
from sysevent.report.recorded_peer import Peer
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

SELFTESTS = "selftests"

Write = Callable[[records.Record], None]
"""Stores a record."""


def selftests(
    origin: Source,
    arch: Architecture,
    archive: Archive,
    *,
    jobs: int = 0,
    log: Path | None = None,
    slow: bool = True,
) -> Suite:
    """Return the selftests of a source, compiled.

    jobs, log: see compilation.programs_of(). slow: also those that take tens of seconds. Raises what that and
    compilation.tools() raise.
    """
    tools = compilation.tools(origin, arch, archive)
    compiled = compilation.programs_of(
        origin, arch, tools, archive.cache, archive.progress, jobs=jobs, log=log
    )
    wanted = [test for test in programs.of(arch.name) if slow or not test.slow]
    cases = tuple(_case(test, compiled) for test in wanted)
    return Suite(compiled.source, cases, (compiled.archive,))


def _case(test: programs.Selftest, compiled: compilation.Compiled) -> Case:
    known = None
    if test.name in compiled.absent:
        since = f": it is in Linux {test.since} and later" if test.since else ""
        known = outcome.Outcome(Status.SKIP, f"this source does not have it{since}")
    elif test.name not in compiled.made.programs:
        known = outcome.missed(f"it was not compiled: {compiled.made.failed.get(test.name, '')}")
    return Case(SELFTESTS, test.name, (compilation.path(test.name),), outcome=known)


class Session:
    """One target with one kernel."""

    def __init__(
        self,
        spec: TargetSpec,
        settings: Settings,
        logs: Path,
        write: Write,
        progress: Progress,
        *,
        modules: Path | None = None,
    ) -> None:
        """logs: the directory of this target's logs. modules: of a kernel that is given by path."""
        self.spec, self.arch = spec, architecture(spec.arch)
        self._settings, self._logs, self._write, self._progress = settings, logs, write, progress
        self._modules = modules
        self._recorded = False
        self._guests = 0

    def kernel(self) -> KernelImage:
        """Return the kernel that the target boots; NotApplicable and ImageError as resolve.find() raises them."""
        return resolve.find(self.spec.kernel, self.arch, self._settings, self._progress, self._modules)

    def archive(self) -> Archive:
        """Return the access to Debian's archive."""
        return Archive(self._settings, self._progress, f"sysevent peers --arch {self.arch.name}")

    def suites(self, tree: Path | None, unit_tests: Path | None, jobs: int) -> Iterator[Suite]:
        """Yield the selftests, and kvm-unit-tests if their tree is given, compiled.

        tree: the source of the kernel, if the kernel does not say it. Raises what source.find(), selftests() and
        units.suite() raise.
        """
        archive = self.archive()
        origin = source.find(self.kernel(), tree, self.arch, archive)
        yield selftests(origin, self.arch, archive, jobs=jobs, log=self._logs / "selftests.log")
        if unit_tests is not None:
            yield units.suite(
                unit_tests, self.arch, archive, jobs=jobs, log=self._logs / "kvm-unit-tests.log"
            )

    def run(self, suite: Suite, seconds: float = drive.DEADLINE) -> Iterator[Peer]:
        """Run the programs of a suite; record and yield what each gave."""
        for found in drive.run(suite.cases, partial(self._guest, suite), seconds):
            record = self._record(found, suite)
            self._write(record)
            yield record

    def _guest(self, suite: Suite) -> Guest:
        self._guests += 1
        logs = self._logs if self._guests == 1 else self._logs / f"guest-{self._guests}"
        return EngineGuest(
            self.spec,
            self._settings,
            logs,
            suite.archives,
            self._progress,
            self._incident,
            modules=self._modules,
            on_answer=self._answered,
        )

    def _answered(self, guest: Asker, facts: Facts) -> None:
        if not self._recorded:
            self._recorded = True
            self._write(asked.target(guest, facts))

    def _incident(self, what: Incident) -> None:
        self._write(records.Incident(**msgspec.structs.asdict(what)))
        self._progress(what.reason.splitlines()[0])

    def _record(self, found: Found, suite: Suite) -> Peer:
        seen = found.outcome
        return Peer(
            target=self.spec.id,
            suite=found.case.suite,
            program=found.case.name,
            source=suite.source,
            status=seen.status,
            reason=seen.reason,
            exit=seen.exit_code,
            seconds=round(seen.seconds, 3),
            confirmed=found.confirmed,
            output=seen.output,
        )
