"""The lives of one target's host: opened, and opened again when it was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from sysevent import wire
from sysevent.errors import BadWire, GuestLost, SyseventError, WrongHost
from sysevent.hosts.base import Host, Others
from sysevent.hosts.kinds import opener
from sysevent.hosts.traits import check_traits
from sysevent.model import Incident, KernelImage, Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

_SAME = (
    "kernel",
    "version",
    "machine",
    "node",
)  # what stays of a machine that was lost: see hosts/traits.py
_BOOTS = 4  # a host that was lost this often is not worth another boot, or another connection


class Life:
    """One target with one kernel, from files on disk to a VMM that has said hello."""

    def __init__(
        self,
        spec: TargetSpec,
        settings: Settings,
        logs: Path,
        progress: Progress,
        on_incident: Callable[[Incident], None],
        modules: Path | None = None,
    ) -> None:
        self.spec = spec
        self.logs = logs
        self.hello: wire.Hello | None = None
        self.others: Others | None = None  # who else is attended to while this one is waited for
        self.origin = ""  # "boot", "snapshot" or "running", once it is ready
        self.seconds_to_boot = 0.0
        self.traits: Mapping[str, str] = {}  # what the machine said of itself
        self.host: Host | None = None  # while one runs
        self._opener = opener(spec, settings, modules)
        self._progress = progress
        self._on_incident = on_incident
        self._restores = settings.snapshots
        # Whoever ends a guest in a debugger does not want another one, stopped at its start and waiting.
        self._most = 1 if settings.debug else _BOOTS
        self._preparing = threading.Lock()
        self._prepared = False
        self._refused: SyseventError | None = None  # why there will never be a host
        self._starts = 0  # for the names of logs
        self._doubted = False  # it was lost: only a boot can tell whether the snapshot had a part in that
        self._boots = 0
        self._log = logs
        self._first: dict[str, str] = {}  # what the host was that was asked first

    @property
    def log(self) -> Path:
        """The directory of the logs of the host that was started last."""
        return self._log

    def kernel(self, progress: Progress | None = None) -> KernelImage | None:
        """What it boots; fetched when it is first asked for. None when its kernel runs already."""
        return self._opener.kernel(progress or self._progress)

    @property
    def prepared(self) -> bool:
        """Whether start() has nothing left to do but to start."""
        return self._prepared

    def prepare(self, progress: Progress | None = None) -> None:
        """Get everything onto disk, once. Touches nothing else, so it may run in a thread of its own.

        What goes wrong is remembered for whoever asks the guest first.
        """
        with self._preparing:
            if not self._prepared:
                try:
                    self._opener.prepare(progress or self._progress)
                except SyseventError as error:
                    self._refused = error
                self._prepared = True

    def start(self) -> None:
        """Start it and return; GuestLost after too many boots, and what stands against it for good."""
        self.prepare()
        if self._refused is not None:
            raise self._refused
        restore = not self._doubted and self._opener.restorable()
        if not restore:
            if self._boots >= self._most:
                times = "once" if self._boots == 1 else f"{self._boots} times"
                raise GuestLost(f"{self.spec.id}: lost {times}, given up")
            self._boots += 1
        self._starts += 1
        self._log = self.logs if self._starts == 1 else self.logs / f"boot-{self._starts}"
        self.origin = "snapshot" if restore else self._opener.origin
        host = self._opener.open(self._log, self._progress, self.others, restore=restore)
        try:
            host.start()
        except SyseventError as error:
            host.close()
            if not isinstance(error, GuestLost):
                self._refused = error  # another try would only cost the same time again, for every scenario
            raise
        self.host, self.hello = host, None

    def running(self) -> Host:
        """A host whose VMM has said hello; one boot that fails is tried once more."""
        for last in (False, False, True) if self._may_restore else (False, True):
            try:
                return self.greet()
            except (GuestLost, BadWire) as error:
                # A snapshot that does not come back to life is no boot: two of those still stand behind it.
                last = last or self._boots >= self._most
                self.lost(error, retried=not last)
                if last:
                    raise
        raise AssertionError

    @property
    def _may_restore(self) -> bool:
        return self._restores and (not self._doubted or self.origin == "snapshot")

    def greet(self) -> Host:
        """Start unless that has been done, and wait for the HELLO; GuestLost when it does not come."""
        if self.host is None:
            self.start()
        assert self.host is not None
        if self.hello is None:
            hello = self._hello(self.host)
            self.seconds_to_boot, self.traits = self.host.seconds_to_ready, self.host.traits
            source = " from a snapshot" if self.origin == "snapshot" else ""
            self._progress(
                f"{self.spec.id}: Linux {hello.release} answers after {self.seconds_to_boot:.1f} s{source}"
            )
            self._opener.greeted(self.host, hello, self._progress)
            self.hello = hello
        return self.host

    def _hello(self, host: Host) -> wire.Hello:
        """Its HELLO, when it is the machine that it should be."""
        try:
            hello = host.hello()
            traits = {**host.traits, "kernel": hello.release, "machine": hello.machine}
            check_traits(self.spec, traits)
            self._check_same({name: traits[name] for name in _SAME if name in traits})
        except SyseventError as error:
            self._tell_retries(host)
            if not isinstance(error, GuestLost | BadWire):
                self._refused = error
                self._incident(str(error), retried=False)
                self.close()
            raise
        self._tell_retries(host)
        return hello

    def _check_same(self, now: dict[str, str]) -> None:
        """WrongHost when a host that was lost comes back as another one: its answers are not the first one's."""
        self._first = self._first or now
        for name, value in now.items():
            if value != self._first.get(name, value):
                raise WrongHost(
                    f"{self.spec.id}: it was lost, and came back with another {name}: {value!r}, and not "
                    f"{self._first[name]!r}, which is asked. Make it boot that, and run again"
                )

    def _tell_retries(self, host: Host) -> None:
        while host.retried:
            self._incident(host.retried.pop(0), retried=True)

    def _incident(self, reason: str, *, retried: bool) -> None:
        self._on_incident(Incident(self.spec.id, reason, str(self._log / self._opener.log), retried))

    def lost(self, error: SyseventError, *, retried: bool) -> None:
        """Record that the running host is no more, and clear up behind it."""
        reason = str(error)
        if self.origin == "snapshot" and self.host is not None:
            told = self._opener.forget(self.hello)
            reason = f"{self.spec.id}: {told}. {reason}" if told else reason
        self._incident(reason, retried=retried)
        self._doubted = True
        self.close()

    @property
    def hopeless(self) -> bool:
        """Lost so often that no further boot is tried."""
        return self._boots >= self._most

    def keep(self) -> int:
        """Let it live on when close() comes: the process id to end it by, or 0."""
        return self.host.keep() if self.host is not None and self.hello is not None else 0

    def close(self) -> None:
        """End it, if it runs."""
        if self.host is not None:
            self.host.close()
            self.host = None
