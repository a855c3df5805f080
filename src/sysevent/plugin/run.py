"""One run: where its results go, its log, and its guests. Nothing exists before the first test needs a target."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.terms import Terms
from sysevent.engine.fleet import Fleet
from sysevent.engine.guest import Guest
from sysevent.errors import NotApplicable, SyseventError
from sysevent.hosts.kinds import obstacle
from sysevent.model import Facts, Incident, Observation, Status
from sysevent.plugin import options
from sysevent.plugin import results as results_of
from sysevent.plugin.case import case_of, target_of
from sysevent.plugin.leased import Leased
from sysevent.report import records
from sysevent.scenario.facts import BUILD, FACTS
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
        self._guests: dict[str, Guest] = {}
        self._told: set[str] = set()
        self.failed: set[str] = set()  # ids of targets with a verdict that somebody may want to look into
        self._leased = Leased(self.settings, self.progress, self._incident, self._retreat, self._let_alone)
        self._fleet = self._start(items)

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

    def _start(self, items: Sequence[pytest.Item]) -> Fleet:
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
        fleet = Fleet(list(self._guests.values()), self.settings, self.progress, None, self._leased)
        fleet.begin()
        return fleet

    def guest(self, spec: TargetSpec) -> Guest:
        """The guest of a target, on its way if it is not there yet, and no other run's; NotLeased else."""
        leased = self._leased.take(spec)
        try:
            guest = self._guest(leased)
            self._fleet.wanted(guest)
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
        self._fleet.retreat()

    def done(self, guest: Guest) -> None:
        """No further test needs this guest: it ends, or is left to whoever wants to look at it."""
        self._keep(guest)
        self._fleet.done(guest)
        self._leased.release(guest.spec)
        if not guest.spec.booted:  # labgrid gives another machine the next time
            self._guests.pop(guest.spec.id, None)

    def _keep(self, guest: Guest) -> None:
        name = guest.spec.id
        if not self.settings.keep or (self.config.getoption("keep") == "failed" and name not in self.failed):
            return
        pid = guest.life.keep()
        if pid:
            directory = str(guest.life.log)
            self.log.write(records.Kept(target=name, pid=pid, directory=directory, limit=self.settings.keep))

    def _guest(self, spec: TargetSpec) -> Guest:
        if spec.id in self._guests:
            return self._guests[spec.id]
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
        self._guests[spec.id] = guest
        self._plan(guest)
        return guest

    def _plan(self, guest: Guest) -> None:
        """Send ahead what will be asked in any case."""
        native = guest.arch.abis[0].name
        guest.plan((scenario, native) for scenario in FACTS[guest.spec.arch])

    def plan_claims(self, guest: Guest, facts: Facts) -> None:
        """Send ahead every scenario that a test of this guest will ask, as far as its claim applies."""
        terms = options.terms(self.config)
        for item in self._items:
            case, spec = case_of(item), target_of(item)
            if case is None or spec is None or spec.id != guest.spec.id:
                continue
            if not isinstance(case.claim, ExitClaim):
                guest.plan([(BUILD[spec.arch], guest.arch.abis[0].name)])
            elif applies(case.claim, facts, terms):
                guest.plan([(case.claim.asks, case.claim.abi or case.abi)])
        # A guest that may be kept must not end before its last test, to make room for another.
        guest.foreseen = not self.settings.keep

    def _incident(self, incident: Incident) -> None:
        self.log.write(records.Incident(**msgspec.structs.asdict(incident)))
        what = incident.reason.splitlines()[0]
        self.progress(f"{what}{' - trying once more' if incident.retried else ''}")

    def _observation(self, target: str, seen: Observation) -> None:
        self.log.write(records.Observation.of(target, seen))

    def tell_target(self, guest: Guest, facts: Facts) -> None:
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
                where=guest.life.traits.get("accel") or spec.where,
                fallback=guest.life.traits.get("fallback", ""),
                kernel=facts.release,
                spec=kernel.spec if kernel else "",
                package=kernel.version if kernel else "",
                qemu=guest.life.traits.get("qemu", ""),
                vmm=facts.build_id,
                capabilities=facts.capabilities,
                features=facts.features,
                origin=guest.life.origin,
                seconds_to_boot=round(guest.seconds_to_boot, 3),
            )
        )

    def leave(self) -> None:
        """Every guest ended; others go on with this run."""
        try:
            self._fleet.close()
        except SyseventError as error:
            self.progress(str(error))
        self._leased.close()
        signal.signal(signal.SIGTERM, self._signals)
        self.log.close()

    def close(self, exit_code: int, counts: dict[Status, int]) -> None:
        """Every guest ended, and the last record written."""
        self.log.write(records.End(counts=counts, exit=exit_code))
        self.leave()
