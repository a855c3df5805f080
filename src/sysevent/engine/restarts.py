"""The sessions of one target: the first, and another whenever one was lost, up to a limit."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from sysevent.engine.listeners import Listeners
from sysevent.engine.session import Session
from sysevent.errors import BadWire, GuestLost, SyseventError, WrongHost
from sysevent.hosts.base import Opener
from sysevent.hosts.traits import check_traits
from sysevent.model import Incident, KernelImage, Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec
from sysevent.wire import Hello

# What must not change when a machine that was lost comes back: see hosts/traits.py.
_SAME = ("kernel", "version", "machine", "node")
# A host that was lost this often is not worth another boot, or another connection.
_BOOTS = 4


class Restarts:
    """How one target's host is opened: from a snapshot or not, how often, and whether it is still the same."""

    def __init__(
        self, spec: TargetSpec, opener: Opener, settings: Settings, logs: Path, listeners: Listeners
    ) -> None:
        # The directory of the logs of the host that was started last.
        self.log = logs
        # While a host runs.
        self.session: Session | None = None
        # "boot", "snapshot" or "running": how the last host was started.
        self.origin = ""
        # Of the last host that said hello.
        self.hello: Hello | None = None
        self.traits: Mapping[str, str] = {}
        self.seconds_to_boot = 0.0
        self._spec = spec
        self._opener = opener
        self._logs = logs
        self._listeners = listeners
        self._snapshots = settings.snapshots
        # With --gdb, boot once only.
        self._most = 1 if settings.debug else _BOOTS
        self._preparing = threading.Lock()
        self._prepared = False
        # Why there will never be a host.
        self._refused: SyseventError | None = None
        # For the names of logs.
        self._starts = 0
        self._boots = 0
        # A host was lost: only a boot can tell whether the snapshot caused that.
        self._doubted = False
        # Traits of the host that was asked first.
        self._first: dict[str, str] = {}

    def kernel(self, progress: Progress | None = None) -> KernelImage | None:
        """What it boots; fetched when it is first asked for. None when its kernel runs already."""
        return self._opener.kernel(progress or self._listeners.progress)

    @property
    def prepared(self) -> bool:
        """Whether prepare() has ended."""
        return self._prepared

    def prepare(self, progress: Progress | None = None) -> None:
        """Get everything onto disk, once. Touches nothing else, so it may run in a thread of its own.

        start() raises what went wrong.
        """
        with self._preparing:
            if not self._prepared:
                try:
                    self._opener.prepare(progress or self._listeners.progress)
                except SyseventError as error:
                    self._refused = error
                self._prepared = True

    def start(self) -> None:
        """Start a host and return.

        GuestLost after too many boots, and when another try may help; any other error is raised by every later
        call, too.
        """
        self.prepare()
        if self._refused is not None:
            raise self._refused
        restore = not self._doubted and self._opener.restorable()
        if not restore:
            if self.exhausted:
                times = "once" if self._boots == 1 else f"{self._boots} times"
                raise GuestLost(f"{self._spec.id}: lost {times}, given up")
            self._boots += 1
        self._starts += 1
        self.log = self._logs if self._starts == 1 else self._logs / f"boot-{self._starts}"
        self.origin = "snapshot" if restore else self._opener.origin
        progress = self._listeners.progress
        host = self._opener.open(self.log, progress, restore=restore)
        session = Session(self._spec.id, host, self.log, self.origin, progress)
        try:
            session.start()
        except GuestLost:
            raise
        except SyseventError as error:
            # Another try would only cost the same time again, for every scenario.
            self._refused = error
            raise
        self.session = session

    @property
    def attempts(self) -> tuple[bool, ...]:
        """For each try to get a host that says hello: whether it is the last one.

        One boot that fails is tried once more. A failed restore does not count as a boot.
        """
        may_restore = self._snapshots and (not self._doubted or self.origin == "snapshot")
        return (False, False, True) if may_restore else (False, True)

    @property
    def exhausted(self) -> bool:
        """Whether it was lost so often that no further boot is tried."""
        return self._boots >= self._most

    @property
    def ready(self) -> bool:
        """Whether a host runs that has said hello."""
        return self.session is not None and self.session.hello is not None

    def poll(self) -> bool:
        """Take in what has arrived; True once the host has said hello, and is the machine that it should be.

        GuestLost and BadWire when another try may help; WrongHost, and what is not different the next time.
        """
        session = self.session
        if session is None:
            return False
        session.listen()
        self._tell_retries(session)
        if session.hello is not None:
            return True
        try:
            hello = session.greet()
            if hello is not None:
                self._check(session, hello)
        except SyseventError as error:
            self._refuse(error)
            raise
        if hello is None:
            return False
        self.hello, self.traits, self.seconds_to_boot = hello, session.traits, session.host.seconds_to_ready
        source = " from a snapshot" if session.origin == "snapshot" else ""
        self._listeners.progress(
            f"{self._spec.id}: Linux {hello.release} answers after {self.seconds_to_boot:.1f} s{source}"
        )
        self._opener.greeted(session.host, hello, self._listeners.progress)
        return True

    def check(self) -> None:
        """Raise what stands against waiting any longer: see Session.check()."""
        assert self.session is not None
        try:
            self.session.check()
        except SyseventError as error:
            if self.session.hello is None:
                self._refuse(error)
            raise

    def _refuse(self, error: SyseventError) -> None:
        """Unless another try may help, remember why there is no host, and record that."""
        if isinstance(error, GuestLost | BadWire):
            return
        self._refused = error
        self._incident(str(error), retried=False)
        self.close()

    def _check(self, session: Session, hello: Hello) -> None:
        """WrongHost when the host is not what the target file says, or not the one that was asked before."""
        traits = {**session.traits, "kernel": hello.release, "machine": hello.machine}
        check_traits(self._spec, traits)
        now = {name: traits[name] for name in _SAME if name in traits}
        self._first = self._first or now
        for name, value in now.items():
            if value != self._first.get(name, value):
                raise WrongHost(
                    f"{self._spec.id}: it was lost, and came back with another {name}: {value!r}, and not "
                    f"{self._first[name]!r}, which is asked. Make it boot that, and run again"
                )

    def lost(self, error: SyseventError, *, retried: bool) -> None:
        """Record that the host is lost, and close it. Boot from now on: the snapshot may have caused it."""
        reason = str(error)
        if self.session is not None and self.session.origin == "snapshot":
            told = self._opener.forget(self.session.hello)
            reason = f"{self._spec.id}: {told}. {reason}" if told else reason
        self._incident(reason, retried=retried)
        self._doubted = True
        self.close()

    def _tell_retries(self, session: Session) -> None:
        while session.host.retried:
            reason = session.host.retried.pop(0)
            self._listeners.incident(self._as_incident(reason, retried=True))

    def _incident(self, reason: str, *, retried: bool) -> None:
        if self.session is not None:
            self._tell_retries(self.session)
        self._listeners.incident(self._as_incident(reason, retried=retried))

    def _as_incident(self, reason: str, *, retried: bool) -> Incident:
        return Incident(self._spec.id, reason, str(self.log / self._opener.log), retried)

    def keep(self) -> int:
        """Let the host live on when close() is called: the process id to end it by, or 0."""
        return self.session.host.keep() if self.session is not None and self.ready else 0

    def close(self) -> None:
        """End the host, if one runs."""
        session, self.session = self.session, None
        if session is not None:
            session.close()
