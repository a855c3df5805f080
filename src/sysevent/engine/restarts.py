"""The sessions of one target: the first, and another one after each loss, up to a limit."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from sysevent.engine.listeners import Listeners
from sysevent.engine.session import Session
from sysevent.errors import BadWire, GuestLost, SyseventError, WrongHost, of_this_machine
from sysevent.hosts.base import Opener
from sysevent.hosts.traits import check_traits
from sysevent.model import Incident, KernelImage, Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec
from sysevent.wire import Hello

# The traits that must not change when a lost machine answers again: see hosts/traits.py.
_SAME = ("kernel", "version", "machine", "node")
# Boots, or connections, of one target; a host that was lost this often would be lost again.
_MAX_BOOTS = 4


class Restarts:
    """Opens the hosts of one target: chooses between boot and snapshot, limits the boots, checks the traits."""

    def __init__(
        self, spec: TargetSpec, opener: Opener, settings: Settings, logs: Path, listeners: Listeners
    ) -> None:
        # The directory of the logs of the host that was started last.
        self.log = logs
        # None while no host runs.
        self.session: Session | None = None
        # "boot", "snapshot" or "running": how the last host was started.
        self.origin = ""
        # Of the last host whose HELLO was received.
        self.hello: Hello | None = None
        self.traits: Mapping[str, str] = {}
        self.seconds_to_boot = 0.0
        self._spec = spec
        self._opener = opener
        self._logs = logs
        self._listeners = listeners
        self._snapshots = settings.snapshots
        # With --gdb, boot once only.
        self._max_boots = 1 if settings.debug else _MAX_BOOTS
        self._preparing = threading.Lock()
        self._prepared = False
        # Why no host can be started, now or later.
        self._refused: SyseventError | None = None
        # Counted for the names of logs.
        self._starts = 0
        self._boots = 0
        # True after a loss: only a boot shows whether the snapshot caused it.
        self._restore_disabled = False
        # Traits of the first host.
        self._first_traits: dict[str, str] = {}

    def kernel(self, progress: Progress | None = None) -> KernelImage | None:
        """The image that the target boots, fetched on the first call; None if its kernel runs already. ImageError."""
        return self._opener.kernel(progress or self._listeners.progress)

    @property
    def prepared(self) -> bool:
        """Whether prepare() has ended."""
        return self._prepared

    def prepare(self, progress: Progress | None = None) -> None:
        """Put all files that a host needs on disk, once. Touches nothing else, so it may run in any thread.

        An error is raised by start().
        """
        with self._preparing:
            if not self._prepared:
                try:
                    self._opener.prepare(progress or self._listeners.progress)
                except SyseventError as error:
                    self._refused = error
                except OSError as error:
                    self._refused = of_this_machine(f"{self._spec.id}: its files cannot be prepared", error)
                self._prepared = True

    def start(self) -> None:
        """Start a host and return.

        GuestLost after too many boots, and if another try may help; any other SyseventError is raised by every
        later call as well.
        """
        self.prepare()
        if self._refused is not None:
            raise self._refused
        restore = not self._restore_disabled and self._opener.restorable()
        if not restore:
            if self.exhausted:
                times = "once" if self._boots == 1 else f"{self._boots} times"
                raise GuestLost(f"{self._spec.id}: lost {times}; no further boot is tried")
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
            session.close()
            raise
        except SyseventError as error:
            # Another try would only cost the same time again, for every scenario.
            self._refused = error
            session.close()
            raise
        except OSError as error:
            session.close()
            self._refused = refused = of_this_machine(f"{self._spec.id}: it cannot be started", error)
            raise refused from None
        self.session = session

    @property
    def tries(self) -> int:
        """How often to try to get a host that is ready: two boots, and before them one restore if it is possible."""
        may_restore = self._snapshots and (not self._restore_disabled or self.origin == "snapshot")
        return 3 if may_restore else 2

    @property
    def exhausted(self) -> bool:
        """True if hosts were lost so often that no further boot is tried."""
        return self._boots >= self._max_boots

    @property
    def ready(self) -> bool:
        """True if a host runs and its HELLO was received."""
        return self.session is not None and self.session.hello is not None

    def poll(self) -> bool:
        """Take in what has arrived; True once the HELLO was received, and the machine has the expected traits.

        GuestLost and BadWire if another try may help; WrongHost and other errors that would be the same the next time.
        """
        session = self.session
        if session is None:
            return False
        session.listen()
        self._record_retries(session)
        if session.hello is not None:
            return True
        try:
            hello = session.receive_hello()
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
        self._opener.hello_received(session.host, hello, self._listeners.progress)
        return True

    def check(self) -> None:
        """Raise GuestLost if the host is lost or a deadline has passed; other errors as Host.loss() gives them."""
        assert self.session is not None
        try:
            self.session.check()
        except SyseventError as error:
            if self.session.hello is None:
                self._refuse(error)
            raise

    def _refuse(self, error: SyseventError) -> None:
        """Unless another try may help, store the error for later calls of start(), and record it as an incident."""
        if isinstance(error, GuestLost | BadWire):
            return
        self._refused = error
        self._incident(str(error), retried=False)
        self.close()

    def _check(self, session: Session, hello: Hello) -> None:
        """WrongHost if the host does not match the target file, or is another one than before the loss."""
        traits = {**session.traits, "kernel": hello.release, "machine": hello.machine}
        check_traits(self._spec, traits)
        now = {name: traits[name] for name in _SAME if name in traits}
        self._first_traits = self._first_traits or now
        for name, value in now.items():
            if value != self._first_traits.get(name, value):
                raise WrongHost(
                    f"{self._spec.id}: {name} changed from {self._first_traits[name]!r} to {value!r} after the "
                    f"connection was lost; boot {self._first_traits[name]!r} and run again"
                )

    def lost(self, error: SyseventError, *, retried: bool) -> None:
        """Record that the host is lost, and close it. No snapshot is used from now on: it may have caused the loss."""
        reason = str(error)
        if self.session is not None and self.session.origin == "snapshot":
            incident_text = self._opener.forget(self.session.hello)
            reason = f"{self._spec.id}: {incident_text}. {reason}" if incident_text else reason
        self._incident(reason, retried=retried)
        self._restore_disabled = True
        self.close()

    def _record_retries(self, session: Session) -> None:
        while session.host.retried:
            reason = session.host.retried.pop(0)
            self._listeners.incident(self._as_incident(reason, retried=True))

    def _incident(self, reason: str, *, retried: bool) -> None:
        if self.session is not None:
            self._record_retries(self.session)
        self._listeners.incident(self._as_incident(reason, retried=retried))

    def _as_incident(self, reason: str, *, retried: bool) -> Incident:
        return Incident(self._spec.id, reason, str(self.log / self._opener.log), retried)

    def keep(self) -> int:
        """Let the host run on after close(); the process id to end it by, or 0 if it cannot be kept. No errors."""
        return self.session.host.keep() if self.session is not None and self.ready else 0

    def close(self) -> None:
        """End the host, if one runs."""
        session, self.session = self.session, None
        if session is not None:
            session.close()
