"""The sessions of one target: the first, and another one after each loss, up to a limit."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from sysevent.arches import ARCHITECTURES
from sysevent.engine.identity import identify
from sysevent.engine.kernel_logs import KernelLogs
from sysevent.engine.kvm_mode import UNKNOWN, why_no_kvm
from sysevent.engine.listeners import Listeners
from sysevent.engine.same_machine import SameMachine
from sysevent.engine.session import Session
from sysevent.errors import BadWire, GuestLost, SyseventError, WrongKernel, copy_of, of_this_machine
from sysevent.hosts.base import Opener
from sysevent.hosts.traits import MODE
from sysevent.model import ExpectedKernel, Incident, KernelIdentity, KernelImage, Observation, Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec
from sysevent.wire import Hello

# Boots, or connections, of one target; a host that was lost this often would be lost again.
_MAX_BOOTS = 4
# Lost hosts that do not count, because one scenario, asked by VMMs of two ABIs for instance, explains them.
_MAX_EXCUSED = 6


def _late_traits(found: KernelIdentity) -> dict[str, str]:
    """Return the traits of a machine that only its VMM finds out."""
    return {"build_id": found.build_id, **dict.fromkeys(MODE, UNKNOWN), **found.mode}


class Restarts:
    """Opens the hosts of one target: chooses between boot and snapshot, limits boots, checks which kernel answers."""

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
        # Which kernel answers, of the last host that was asked; None before the first answer.
        self.identity: KernelIdentity | None = None
        # What that kernel said if its KVM refused to run.
        self.why_no_kvm = ""
        self.seconds_to_boot = 0.0
        self.arch = ARCHITECTURES[spec.arch]
        self._spec = spec
        self.opener = opener
        self._logs = logs
        self._listeners = listeners
        self._snapshots = settings.snapshots
        # With --gdb, boot once only.
        self._max_boots = 1 if settings.debug else _MAX_BOOTS
        # Of all hosts of the target, whose kernel is the same.
        self.kernel_logs = KernelLogs(lambda text: self._incident(f"{spec.id}: {text}", retried=False))
        self._preparing = threading.Lock()
        self._prepared = False
        # Why no host can be started, now or later.
        self._refused: SyseventError | None = None
        # Counted for the names of logs.
        self._starts = 0
        self._boots = 0
        # Lost hosts that one scenario explains, and for how many of them _boots was lowered.
        self._explained = 0
        self._excused = 0
        # True after a loss: only a boot shows whether the snapshot caused it.
        self._restore_disabled = False
        self._machine = SameMachine(spec)

    @property
    def name(self) -> str:
        """The id of the target."""
        return self._spec.id

    def refuse(self, error: SyseventError) -> None:
        """Start no host any more: start() raises this error from now on."""
        self._refused = error

    def kernel(self, progress: Progress | None = None) -> KernelImage | None:
        """The image that the target boots, fetched on the first call; None if its kernel runs already. ImageError."""
        return self.opener.kernel(progress or self._listeners.progress)

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
                    self.opener.prepare(progress or self._listeners.progress)
                except SyseventError as error:
                    self._refused = error
                except (OSError, MemoryError) as error:
                    self._refused = of_this_machine(f"{self._spec.id}: its files cannot be prepared", error)
                self._prepared = True

    def require_startable(self) -> None:
        """Raise the error of start() if no host will be started any more: it is no further loss."""
        self.prepare()
        if self._refused is not None:
            raise copy_of(self._refused)
        if self.exhausted and (self._restore_disabled or not self.opener.restorable()):
            lost = self._boots + self._excused
            times = "once" if lost == 1 else f"{lost} times"
            raise GuestLost(f"{self._spec.id}: lost {times}; no further boot is tried")

    def start(self) -> None:
        """Start a host and return.

        GuestLost after too many boots, and if another try may help; any other SyseventError is raised by every
        later call as well.
        """
        self.require_startable()
        restore = not self._restore_disabled and self.opener.restorable()
        if not restore:
            self._boots += 1
        self._starts += 1
        self.log = self._logs if self._starts == 1 else self._logs / f"boot-{self._starts}"
        self.origin = "snapshot" if restore else self.opener.origin
        progress = self._listeners.progress
        host = self.opener.open(self.log, progress, restore=restore)
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
        self.session = session

    @property
    def tries(self) -> int:
        """How often to try to get a host that is ready: two boots, and before them one restore if it is possible."""
        may_restore = self._snapshots and (not self._restore_disabled or self.origin == "snapshot")
        return 3 if may_restore else 2

    def explain_losses(self) -> None:
        """Record that one scenario explains the loss of the last two hosts."""
        self._explained = 2

    def excuse_losses(self) -> None:
        """Do not count losses that are explained, now that another scenario has its answer. A few times only."""
        if self._explained and self._excused < _MAX_EXCUSED:
            self._excused += self._explained
            self._boots = max(1, self._boots - self._explained)
        self._explained = 0

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
        if session.refused is not None:
            raise copy_of(session.refused)
        if session.hello is not None:
            return True
        try:
            hello = session.receive_hello()
            if hello is not None:
                self._machine.check(session.traits, hello)
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
        trouble = self.opener.hello_received(session.host, hello, self._listeners.progress)
        if trouble:
            self._incident(trouble, retried=False)
        return True

    def expected(self) -> ExpectedKernel | None:
        """What the kernel of the host that runs must say of itself; None if it is not asked."""
        return self.opener.expected()

    def identify(self, answer: Observation | SyseventError) -> None:
        """Take the answer to BUILD, which comes before every other one.

        GuestLost if the guest was lost, or if a restored one is not the expected kernel: then it boots. WrongKernel if
        that is so for a booted one, WrongHost if the target file expects another build ID.
        """
        session, expected = self.session, self.opener.expected()
        assert session is not None
        assert session.hello is not None
        assert expected is not None
        try:
            if isinstance(answer, GuestLost):
                raise answer
            if isinstance(answer, SyseventError):
                raise WrongKernel(f"{self._spec.id}: which kernel answers could not be read: {answer}")
            found = identify(self._spec.id, expected, session.hello.release, answer)
            self._machine.check(session.traits, session.hello, **_late_traits(found))
        except SyseventError as error:
            session.refused = error
            if isinstance(error, WrongKernel):
                if session.origin == "snapshot":
                    session.refused = GuestLost(f"{error}. It came from a snapshot, which is discarded")
                    self._machine.forget()
                else:
                    self.opener.forget(session.hello)
            self._refuse(session.refused)
            raise copy_of(session.refused) from None
        wanted = ARCHITECTURES[self._spec.arch].kvm_modules
        self.identity, self.why_no_kvm = found, why_no_kvm(wanted, expected, found.modules, answer.answers)

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

    def lost(self, error: SyseventError, *, retried: bool) -> None:
        """Record that the host is lost, and close it. No snapshot is used from now on: it may have caused the loss."""
        reason = str(error)
        if self.session is not None and self.session.origin == "snapshot":
            incident_text = self.opener.forget(self.session.hello)
            reason = f"{self._spec.id}: {incident_text}. {reason}" if incident_text else reason
        self._incident(reason, retried=retried)
        self._restore_disabled = True
        self.close()

    def _record_retries(self, session: Session) -> None:
        while session.host.retried:
            self._listeners.incident(self._as_incident(session.host.retried.pop(0), retried=True))
        while session.host.incidents:
            self._listeners.incident(self._as_incident(session.host.incidents.pop(0), retried=False))

    def _incident(self, reason: str, *, retried: bool) -> None:
        if self.session is not None:
            self._record_retries(self.session)
        self._listeners.incident(self._as_incident(reason, retried=retried))

    def _as_incident(self, reason: str, *, retried: bool) -> Incident:
        return Incident(self._spec.id, reason, str(self.log / self.opener.log), retried)

    def keep(self) -> int:
        """Let the host run on after close(); the process id to end it by, or 0 if it cannot be kept. No errors."""
        return self.session.host.keep() if self.session is not None and self.ready else 0

    def try_snapshot(self, within: float) -> None:
        """Try the snapshot that this run has saved, if there is one: see Opener. Call it after close()."""
        self.opener.try_snapshot(within)

    def close(self) -> None:
        """End the host, if one runs."""
        session, self.session = self.session, None
        if session is not None:
            session.close()
