"""One run: where its results go, its log, and its guests. Nothing exists before the first test needs a target."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.terms import Terms
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.engine.loop import Loop
from sysevent.engine.question import Question
from sysevent.engine.scheduler import Scheduler
from sysevent.errors import NotApplicable, SyseventError
from sysevent.hosts.kinds import obstacle, opener
from sysevent.model import Facts, Incident, Observation, Status
from sysevent.plugin import options
from sysevent.plugin import results as results_of
from sysevent.plugin.case import case_of, target_of
from sysevent.plugin.leased import Leased
from sysevent.report import records
from sysevent.scenario.facts import BUILD
from sysevent.targets.leases.lease import Leases
from sysevent.targets.spec import TargetSpec


def applies(claim: ExitClaim, facts: Facts, terms: Terms) -> bool:
    """Whether a claim will be asked of a kernel."""
    try:
        claim.require_applicable(facts, terms)
    except NotApplicable:
        return False
    return True


class Run:
    """What belongs to one pytest session that asks kernels."""

    def __init__(
        self, config: pytest.Config, items: Sequence[pytest.Item] = (), shared: Path | None = None
    ) -> None:
        self.config = config
        self.settings = options.of(config)
        self.results, self.log = results_of.opened(config, shared)
        self._items = items
        # What a CI system, systemd or `timeout` ends a run with: guests end, and the log gets its end, as with Ctrl-C.
        self._signals = signal.signal(signal.SIGTERM, signal.default_int_handler)
        self._guests: dict[str, Asker] = {}
        self._loop = Loop()
        self._told: set[str] = set()
        self.failed: set[str] = set()  # ids of targets with a verdict that somebody may want to look into
        leases = Leases(self.settings, waiting=self._retreat)
        self._leased = Leased(leases, self.progress, self._incident, self._let_alone)
        self._scheduler = self._start(items)

    def progress(self, text: str) -> None:
        """One line for the person who waits, whatever pytest captures."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        capture = self.config.pluginmanager.get_plugin("capturemanager")
        if reporter is None:
            return
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            reporter.ensure_newline()
            reporter.write_line(f"  {text}", light=True)

    def verdict(self, record: records.Verdict) -> None:
        """Write a verdict down. One that cannot be is the last: the session ends, with what it has."""
        self.log.write(record)
        if self.log.failed:
            pytest.exit(self.log.failed)

    def _start(self, items: Sequence[pytest.Item]) -> Scheduler:
        """Get the guests going that these tests need, in their order.

        A worker of pytest-xdist runs a part of its tests, and nobody knows yet which.
        """
        if hasattr(self.config, "workerinput"):
            items = ()
        for item in items:
            spec = target_of(item)
            if spec is None or not (case_of(item) or "guest" in getattr(item, "fixturenames", ())):
                continue
            if not spec.booted:  # not ours before it is wanted: others may want it meanwhile
                continue
            if not obstacle(spec, self.config.getoption("kernel")):
                self._guest(spec)
        scheduler = Scheduler(
            list(self._guests.values()),
            self._loop,
            self.progress,
            room=self._leased,
            keep=bool(self.settings.keep),
        )
        scheduler.begin()
        return scheduler

    def guest(self, spec: TargetSpec) -> Asker:
        """The guest of a target, on its way if it is not there yet, and no other run's; NotLeased else."""
        leased = self._leased.take(spec)
        try:
            guest = self._guest(leased)
            self._scheduler.wanted(guest)
        except BaseException:
            self._leased.release(spec)
            raise
        return guest

    def check(self, spec: TargetSpec) -> None:
        """LeaseLost when a target is not ours any more: it is let alone, and what it said is no verdict."""
        self._leased.check(spec)

    def _let_alone(self, spec: TargetSpec) -> None:
        """Somebody else may have it: nothing of ours may run there."""
        if spec.id in self._guests:
            self._guests[spec.id].close()

    def _retreat(self) -> None:
        """We are about to wait for other runs: let them have what we hold meanwhile."""
        self._scheduler.retreat()

    def done(self, guest: Asker) -> None:
        """No further test needs this guest: it ends, or is left to whoever wants to look at it."""
        self._keep(guest)
        self._scheduler.done(guest)
        self._leased.release(guest.spec)
        if not guest.spec.booted:  # labgrid gives another machine the next time
            self._guests.pop(guest.spec.id, None)

    def _keep(self, guest: Asker) -> None:
        name = guest.spec.id
        if not self.settings.keep or (self.config.getoption("keep") == "failed" and name not in self.failed):
            return
        pid = guest.restarts.keep()
        if pid:
            directory = str(guest.restarts.log)
            self.log.write(records.Kept(target=name, pid=pid, directory=directory, limit=self.settings.keep))

    def _guest(self, spec: TargetSpec) -> Asker:
        if spec.id not in self._guests:
            self._guests[spec.id] = self._asker(spec)
        return self._guests[spec.id]

    def _asker(self, spec: TargetSpec) -> Asker:
        """A target with a plan: every scenario that one of its tests will ask, as far as its claim applies."""
        items = [item for item in self._items if (target := target_of(item)) and target.id == spec.id]
        cases = [case for item in items if (case := case_of(item))]

        def plan(facts: Facts) -> Iterator[Question]:
            terms = options.terms(self.config)
            for case in cases:
                if not isinstance(case.claim, ExitClaim):
                    yield Question(BUILD[spec.arch], recorded=False)
                elif applies(case.claim, facts, terms):
                    yield Question(case.claim.asks, case.claim.abi or case.abi)

        modules = self.config.getoption("modules")
        return Asker(
            spec,
            opener(spec, self.settings, Path(modules) if modules else None),
            self.settings,
            self.results / spec.id.replace("/", "_"),
            Listeners(self.progress, self._incident, self._observation),
            plan=plan,
            # A test without a claim may ask anything.
            complete=not any("guest" in getattr(i, "fixturenames", ()) for i in items if not case_of(i)),
            weight=len({(c.claim.asks.name, c.abi) for c in cases if isinstance(c.claim, ExitClaim)}),
            loop=self._loop,
        )

    def _incident(self, incident: Incident) -> None:
        self.log.write(records.Incident(**msgspec.structs.asdict(incident)))
        what = incident.reason.splitlines()[0]
        self.progress(f"{what}{' - trying once more' if incident.retried else ''}")

    def _observation(self, target: str, seen: Observation) -> None:
        self.log.write(records.Observation.of(target, seen))

    def tell_target(self, guest: Asker, facts: Facts) -> None:
        """Record what a target is, once."""
        spec = guest.spec
        if spec.id in self._told:
            return
        self._told.add(spec.id)
        kernel = guest.kernel  # None: this machine, or a lab's, with the kernel that runs there
        self.log.write(
            records.Target(
                name=spec.id,
                arch=spec.arch,
                where=guest.restarts.traits.get("accel") or spec.where,
                fallback=guest.restarts.traits.get("fallback", ""),
                kernel=facts.release,
                spec=kernel.spec if kernel else "",
                package=kernel.version if kernel else "",
                qemu=guest.restarts.traits.get("qemu", ""),
                vmm=facts.build_id,
                capabilities=facts.capabilities,
                features=facts.features,
                origin=guest.restarts.origin,
                seconds_to_boot=round(guest.restarts.seconds_to_boot, 3),
            )
        )

    def leave(self) -> None:
        """Every guest ended; others go on with this run."""
        try:
            self._scheduler.close()
        except SyseventError as error:
            self.progress(str(error))
        self._leased.close()
        signal.signal(signal.SIGTERM, self._signals)
        self.log.close()

    def close(self, exit_code: int, counts: dict[Status, int]) -> None:
        """Every guest ended, and the last record written."""
        self.log.write(records.End(counts=counts, exit=exit_code))
        self.leave()
