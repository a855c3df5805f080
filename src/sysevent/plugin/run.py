"""One run: where its results go, its log, and its guests. Nothing exists before the first test needs a target."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sysevent.engine.fleet import Fleet
from sysevent.engine.guest import Guest
from sysevent.errors import SyseventError
from sysevent.hosts.kinds import obstacle
from sysevent.model import Facts, Incident, Observation
from sysevent.plugin import options
from sysevent.plugin import results as results_of
from sysevent.plugin.leased import Leased
from sysevent.report import recorded
from sysevent.scenario import catalog
from sysevent.targets.spec import TargetSpec

_ASKED = "sysevent/asked"  # in pytest's cache: which scenarios each test asked for


def _target(item: pytest.Item) -> TargetSpec | None:
    spec = getattr(getattr(item, "callspec", None), "params", {}).get("target")
    return spec if isinstance(spec, TargetSpec) else None


class Run:
    """What belongs to one pytest session that asks kernels."""

    ASKED = "sysevent_asked"  # in what a worker of pytest-xdist hands back

    def __init__(
        self, config: pytest.Config, items: Sequence[pytest.Item] = (), shared: Path | None = None
    ) -> None:
        self.config = config
        self.settings = options.of(config)
        self.results, self.log = results_of.opened(config, shared)
        cache = getattr(config, "cache", None)
        self._before: dict[str, list[list[str]]] = cache.get(_ASKED, {}) if cache else {}
        self._items = items
        # What a CI system, systemd or `timeout` ends a run with: guests end, and the log gets its end, as with Ctrl-C.
        self._signals = signal.signal(signal.SIGTERM, signal.default_int_handler)
        self._guests: dict[str, Guest] = {}
        self._told: set[str] = set()
        self.failed: set[str] = set()  # ids of targets with a verdict that somebody may want to look into
        self._asked: dict[str, list[list[str]]] = {}  # by test: its scenarios, each with an ABI
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

    def verdict(self, **fields: Any) -> None:
        """Write a verdict down. One that cannot be is the last: the session ends, with what it has."""
        self.log.write("verdict", **fields)
        if self.log.failed:
            pytest.exit(self.log.failed)

    def _start(self, items: Sequence[pytest.Item]) -> Fleet:
        """Get the guests going that these tests need, in their order.

        A worker of pytest-xdist runs a part of its tests, and nobody knows yet which.
        """
        if hasattr(self.config, "workerinput"):
            items = ()
        for item in items:
            spec = _target(item)
            if spec is None or "guest" not in getattr(item, "fixturenames", ()):
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

    def asks(self, item: pytest.Item, scenario: str, abi: str) -> None:
        """Remember that a test asks a scenario, so that the next run can send it ahead."""
        self._asked.setdefault(item.nodeid, []).append([scenario, abi])

    def ran(self, item: pytest.Item) -> None:
        """Remember that a test was run, and that what asks() was told is all it asked."""
        self._asked.setdefault(item.nodeid, [])

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
            self.log.write(
                "kept", target=name, pid=pid, directory=str(guest.life.log), limit=self.settings.keep
            )

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
        """Let it know what its tests asked the last time."""
        native = guest.arch.abis[0].name
        guest.plan((name, native) for name in catalog.FACTS[guest.spec.arch])
        foreseen = True
        for item in self._items:
            spec = _target(item)
            if spec is None or spec.id != guest.spec.id:
                continue
            if "btf" in getattr(item, "fixturenames", ()):
                guest.plan([(catalog.BUILD[spec.arch], native)])
            # Only names: what they mean today stands in the catalog, and unknown ones are ignored.
            guest.plan((str(name), str(abi)) for name, abi in self._before.get(item.nodeid, ()))
            foreseen = foreseen and item.nodeid in self._before
        # One that may be kept must not end before its last test, to make room for another.
        guest.foreseen = foreseen and not self.settings.keep

    def _incident(self, incident: Incident) -> None:
        self.log.write(
            "incident",
            target=incident.target,
            reason=incident.reason,
            log=incident.log,
            retried=incident.retried,
        )
        what = incident.reason.splitlines()[0]
        self.progress(f"{what}{' - trying once more' if incident.retried else ''}")

    def _observation(self, target: str, seen: Observation) -> None:
        self.log.write("observation", target=target, **recorded.observation(seen))

    def tell_target(self, guest: Guest, facts: Facts) -> None:
        """Record what a target is, once."""
        spec = guest.spec
        if spec.id in self._told:
            return
        self._told.add(spec.id)
        kernel = guest.kernel  # None: this machine, or a lab's, with the kernel that runs there
        self.log.write(
            "target",
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

    def remember(self, asked: dict[str, list[list[str]]]) -> None:
        """What the tests of other processes have asked, for the next run."""
        self._asked.update(asked)

    def leave(self) -> None:
        """Every guest ended; others go on with this run."""
        try:
            self._fleet.close()
        except SyseventError as error:
            self.progress(str(error))
        self._leased.close()
        signal.signal(signal.SIGTERM, self._signals)
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput[self.ASKED] = self._asked
        self.log.close()

    def close(self, exit_code: int, counts: dict[str, int]) -> None:
        """Every guest ended, and the last record written."""
        self.log.write("end", counts=counts, exit=exit_code)
        self.leave()
        cache = getattr(self.config, "cache", None)
        if cache is not None and self._asked:
            cache.set(_ASKED, {**cache.get(_ASKED, {}), **self._asked})
