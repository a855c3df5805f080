"""One run: the directory of its results, its log, and its guests. It is created when a test first needs a target."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from sysevent import interrupts
from sysevent.cache import Cache
from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.contract.log_claim import LogClaim
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.engine.loop import Loop
from sysevent.engine.question import Question
from sysevent.engine.scheduler import Scheduler
from sysevent.engine.stage import CONFIRMING, Stage
from sysevent.errors import SyseventError
from sysevent.hosts.base import Opener
from sysevent.hosts.openers import obstacle, opener
from sysevent.model import Facts, Incident, Observation, Status
from sysevent.plugin import kernel_logs, live, options
from sysevent.plugin import results as results_of
from sysevent.plugin.case import case_of, target_of, targets_of
from sysevent.plugin.leased import Leased
from sysevent.report import asked, records, run_log
from sysevent.settings import Settings
from sysevent.targets.leases.lease import Leases
from sysevent.targets.spec import TargetSpec
from sysevent.text import escape

# Seconds. A restored guest answers after 0.2; one that has less time than this is not tried.
_SHORTEST_TRIAL = 0.5


class Run:
    """What belongs to one pytest session that asks kernels."""

    def __init__(
        self, config: pytest.Config, specs: Sequence[TargetSpec] = (), shared: Path | None = None
    ) -> None:
        """Start preparing the guests of some targets; a target with an obstacle is left out.

        shared: the directory of the results, if other processes write to it as well.
        """
        self.config = config
        self.settings = options.of(config)
        self.results, self.log = results_of.opened(config, shared)
        cache = Cache(self.settings.cache)
        if why := cache.obstacle():
            self.progress(
                f"the cache {cache.root} cannot be written to ({why}): nothing is kept for later runs; SYSEVENT_CACHE "
                "names another one"
            )
        # Those that will be run; empty as long as they are not known.
        self._items: tuple[pytest.Item, ...] = ()
        self._guests: dict[str, Asker] = {}
        # The second guest of each target of which a claim has failed.
        self._seconds: dict[str, Asker] = {}
        # What headers mean, by kernel, as --kernel takes it, and ABI, once a test has asked.
        self.header_facts: dict[tuple[str, str], HeaderFacts | SyseventError] = {}
        self._loop = Loop()
        # Ids of the targets whose record is written.
        self.recorded: set[str] = set()
        # Ids of the targets with a FAIL, ERROR or MISS: --keep=failed keeps their guests.
        self.failed: set[str] = set()
        leases = Leases(self.settings, waiting=self._end_guests)
        self._leased = Leased(leases, self.progress, self._incident, self._end)
        for spec in specs:
            if not obstacle(spec, config.getoption("kernel")):
                self._guest(spec)
        self._scheduler = Scheduler(
            list(self._guests.values()),
            self._loop,
            self.progress,
            slots=self._leased,
            keep=bool(self.settings.keep),
        )
        self._loop.background = live.Watched(self._scheduler, config)
        self._scheduler.begin()

    def foresee(self, items: Sequence[pytest.Item]) -> None:
        """Tell the guests what they will be asked, now that it is known which tests run; end those without a test."""
        # A copy: order.py rearranges the session's.
        self._items = tuple(items)
        asked = {spec.id for spec in targets_of(items)}
        for name, guest in list(self._guests.items()):
            if name in asked:
                self._foresee(guest)
            else:
                self._scheduler.release(self._guests.pop(name))
        self._scheduler.reorder()
        results_of.point_to(self.results)
        if live.LIVE in self.config.stash:
            self.config.stash[live.LIVE].stage = self.stage

    def attend(self) -> None:
        """Take in what guests have answered, and send them what can be sent; waits for nothing."""
        self._loop.attend()

    def start_prepared(self) -> None:
        """Start the guests whose files are prepared; waits for nothing."""
        self._scheduler.start_prepared()

    def progress(self, text: str) -> None:
        """Print a line for the user who waits, although pytest captures output."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None:
            return
        with live.printing(self.config):
            reporter.ensure_newline()
            reporter.write_line(f"  {escape(text)}", light=True)
            # A pipe or a file would have it much later.
            reporter.flush()
        live.refresh(self.config, now=True)

    def stage(self, target: str) -> Stage | None:
        """What a target does at the moment, by its id; None if nothing was started for it."""
        if target in self._seconds:
            return CONFIRMING
        guest = self.started(target)
        return guest.stage if guest else None

    def started(self, target: str) -> Asker | None:
        """The guest of a target, by its id, which is started or about to be; None if it is not."""
        return self._guests.get(target)

    def verdict(self, record: records.Verdict) -> None:
        """Append a verdict to the log. If it cannot be written, end the session with the verdicts so far."""
        self.log.write(record)
        if self.log.failed:
            pytest.exit(escape(self.log.failed))

    def guest(self, spec: TargetSpec) -> Asker:
        """The guest of a target, started, and leased to this run; NotLeased if it cannot be leased."""
        leased = self._leased.take(spec)
        try:
            guest = self._guest(leased)
            self._scheduler.require(guest)
        except BaseException:
            self._leased.release(spec)
            raise
        return guest

    def check(self, spec: TargetSpec) -> None:
        """LeaseLost if the lease of a target has ended: its answers since then are discarded."""
        self._leased.check(spec)

    def _end(self, spec: TargetSpec) -> None:
        """End our guest on a target whose lease was lost: another run may use it."""
        for guests in (self._guests, self._seconds):
            if spec.id in guests:
                guests[spec.id].close()

    def _end_guests(self) -> None:
        """End all guests: this run is about to wait for other runs, which may need their slots."""
        self._scheduler.end_all()

    def second(self, first: Asker) -> Asker:
        """A second guest of a target, to confirm what failed in the first: the same one for all of its claims.

        It is booted, never restored. On a machine whose kernel runs already it is another session.
        """
        name = first.spec.id
        if name not in self._seconds:
            # A name of its own: it may have a slot beside the first one.
            spec = msgspec.structs.replace(first.spec, name=f"{first.spec.name}/confirmation")
            own = msgspec.structs.replace(self.settings, snapshots=False, keep=0)

            def incident(what: Incident) -> None:
                self._incident(msgspec.structs.replace(what, target=name))

            self.progress(f"{name}: a claim failed; it is asked again in another guest")
            # Without observations: run.jsonl has the first's.
            listeners = Listeners(self.progress, incident, lambda *_: None)
            logs = run_log.logs_in(self.results, name) / "confirmation"
            found = Asker(spec, self._opener(spec, own), own, logs, listeners, loop=self._loop)
            self._seconds[name] = found
            self._scheduler.add_second(first, found)
        return self._seconds[name]

    def done(self, guest: Asker) -> None:
        """End the guests that no further test needs, or leave the first to the user if --keep says so."""
        self._keep(guest)
        for ended in (self._seconds.pop(guest.spec.id, None), guest):
            if ended is not None:
                self._scheduler.release(ended)
        self._leased.release(guest.spec)
        # labgrid gives another machine the next time.
        if not guest.spec.booted:
            self._guests.pop(guest.spec.id, None)

    def _keep(self, guest: Asker) -> None:
        """Let a guest run on after this run if --keep says so, and record how to reach it."""
        name = guest.spec.id
        if not self.settings.keep or (self.config.getoption("keep") == "failed" and name not in self.failed):
            return
        pid = guest.restarts.keep()
        if pid:
            directory = str(guest.restarts.log)
            self.log.write(records.Kept(target=name, pid=pid, directory=directory, limit=self.settings.keep))

    def _guest(self, spec: TargetSpec) -> Asker:
        if spec.id not in self._guests:
            self._guests[spec.id] = Asker(
                spec,
                self._opener(spec, self.settings),
                self.settings,
                run_log.logs_in(self.results, spec.id),
                Listeners(self.progress, self._incident, self._observation),
                loop=self._loop,
            )
            if self._items:
                self._foresee(self._guests[spec.id])
        return self._guests[spec.id]

    def _foresee(self, guest: Asker) -> None:
        """Let a guest be asked every scenario that its tests will ask, except those of claims that do not apply."""
        spec = guest.spec
        items = [item for item in self._items if (at := target_of(item)) and at.id == spec.id]
        cases = [case for item in items if (case := case_of(item))]

        def plan(facts: Facts) -> Iterator[Question]:
            terms = options.terms(self.config)
            for case in cases:
                if isinstance(case.claim, LogClaim):
                    for claim in catalogue.load().applicable(spec.arch, case.abi, facts, terms):
                        yield Question(claim.asks, claim.abi or case.abi)
                elif isinstance(case.claim, ExitClaim) and case.claim.applies(facts, terms):
                    yield Question(case.claim.asks, case.claim.abi or case.abi)

        guest.foresee(
            plan,
            # A test without a claim may ask any scenario, so the plan does not foresee all questions.
            complete=not any("guest" in getattr(i, "fixturenames", ()) for i in items if not case_of(i)),
            weight=len({(c.claim.asks.name, c.abi) for c in cases if isinstance(c.claim, ExitClaim)}),
        )

    def _opener(self, spec: TargetSpec, settings: Settings) -> Opener:
        modules = self.config.getoption("modules")
        return opener(spec, settings, Path(modules) if modules else None, self.config.getoption("vmm") or "")

    def record_incident(self, target: str, reason: str) -> None:
        """Record what happened, without a log and without another try."""
        self._incident(Incident(target, reason, "", retried=False))

    def _incident(self, incident: Incident) -> None:
        self.log.write(records.Incident(**msgspec.structs.asdict(incident)))
        what = incident.reason.splitlines()[0]
        self.progress(f"{what}{' - trying once more' if incident.retried else ''}")

    def _observation(self, target: str, seen: Observation) -> None:
        self.log.write(records.Observation.of(target, seen))

    def record_target(self, guest: Asker, facts: Facts) -> None:
        """Record what a target is; once."""
        spec = guest.spec
        if spec.id in self.recorded:
            return
        self.recorded.add(spec.id)
        self.log.write(asked.target(guest, facts, kernel_logs.unreadable(guest)))

    def discard(self) -> None:
        """End every guest, and remove the results: nothing was asked."""
        self.leave()
        results_of.discard(self.results, [run_log.logs_in(self.results, name) for name in self._guests])

    def leave(self) -> None:
        """End every guest and close the log; other processes go on with this run."""
        try:
            self._scheduler.close()
        except SyseventError as error:
            self.progress(str(error))
        self._leased.close()
        self.log.close()

    def try_snapshots(self, seconds: float) -> None:
        """Restore each snapshot that this run has saved, for so many seconds together; after close().

        What is not tried then is tried by the run that uses it, which boots if it must.
        """
        end = time.monotonic() + seconds
        for guest in self._guests.values():
            within = end - time.monotonic()
            if within > _SHORTEST_TRIAL and not interrupts.reason():
                guest.restarts.try_snapshot(within)

    def close(self, exit_code: int, counts: dict[Status, int]) -> None:
        """Write the last record, end every guest and close the log."""
        self.log.write(records.End(counts=counts, exit=exit_code, reason=interrupts.reason()))
        self.leave()


RUN = pytest.StashKey[Run]()
