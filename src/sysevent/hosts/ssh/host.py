"""A lab machine as a Host. A thread connects, copies, sends and cleans up; the main thread only receives."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from pathlib import Path

import paramiko

from sysevent import wire
from sysevent.errors import GuestLost, HostUnreachable, InfrastructureError, SyseventError, WrongHost
from sysevent.hosts.base import ENDED, Failure
from sysevent.hosts.framed import FramedHost
from sysevent.hosts.running_kernel import Vmms
from sysevent.hosts.ssh import remote
from sysevent.hosts.ssh.connect import Connection, connect
from sysevent.hosts.ssh.log import Log
from sysevent.hosts.ssh.route import Hop, route
from sysevent.hosts.traits import check_kvm_access, check_traits
from sysevent.hosts.waiting import Waker
from sysevent.model import Progress
from sysevent.targets.spec import TargetSpec
from sysevent.text import escape

# Seconds for the machine to accept data; then it is lost.
_SEND = 30
# Seconds for the VMM to end after BYE.
_BYE = 2
# Seconds to connect for the cleanup, and for the cleanup through one connection.
_OUT = 5
# Seconds for the thread to finish the cleanup: BYE, the old connection, and a new one.
_CLOSE = 18
# Bytes read at a time, so that endless data does not stop the main thread.
_GULP = 1 << 18
# Last lines of the log that are quoted when the machine is lost.
_TAIL = 5
# A shell's exit codes for a program that cannot be executed.
_CANNOT_RUN = (126, 127)


class SshHost(FramedHost):
    """A VMM on a lab machine, over SSH."""

    def __init__(self, spec: TargetSpec, vmms: Vmms, logs: Path, progress: Progress) -> None:
        super().__init__(spec.id, progress, spec.boot, f"connecting to {spec.address}")
        self.log = logs / "ssh.log"
        self._log = Log(self.log)
        self._spec = spec
        self._vmms = vmms
        self._thread: threading.Thread | None = None
        # Data to send; None: end.
        self._work: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        # By which the thread wakes the main thread; None while the thread does not run.
        self._waker: Waker | None = None
        # The thread sets the following before it calls _wake().
        self._connection: Connection | None = None
        self._channel: paramiko.Channel | None = None
        # Why the VMM could not be started.
        self._start_error: InfrastructureError | None = None
        # Why nothing can be sent any more; "" when it can.
        self._broken = ""
        # The VMM's directory on the machine; "" before it exists.
        self._directory = ""

    def start(self) -> None:
        """See hosts/base.py."""
        hops = route(self._spec, Path.home())
        self._began = time.monotonic()
        self._log.create(self._began)
        self._waker = Waker()
        self._log.note(f"the route: {', '.join(f'{hop.user}@{hop}' for hop in hops)}")
        # A daemon, so that a machine that hangs does not keep this process from ending.
        self._thread = threading.Thread(target=self._run, args=(hops,), name=f"ssh {self.name}", daemon=True)
        self._thread.start()

    # The methods below run in the thread.

    def _run(self, hops: tuple[Hop, ...]) -> None:
        try:
            self._open(hops)
        except InfrastructureError as error:
            text = str(error)
            named = text if text.startswith(self.name) else f"{self.name}: {text}"
            self._start_error = type(error)(named)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._start_error = GuestLost(
                f"{self.name}: the connection broke during the start: {_message(error)}"
            )
        except Exception as error:
            # Every exception: the main thread must learn why this thread ends.
            what = "an unexpected error, of the SSH server or of sysevent"
            self._start_error = HostUnreachable(f"{self.name}: {what}: {error!r}")
        self._log.note(f"failed: {self._start_error}" if self._start_error else "the VMM runs")
        self._wake()
        try:
            while (data := self._work.get()) is not None:
                self._send(data)
        finally:
            self._remove_workdir(hops)

    def _open(self, hops: tuple[Hop, ...]) -> None:
        connection = connect(
            self.name,
            hops,
            self._spec.connect,
            on_try=self._on_try,
            on_failure=self._on_failure,
            stop=self._ending,
        )
        transport = connection.transport
        self.traits = remote.read_traits(transport)
        self._log.note(" ".join(f"{name}={value}" for name, value in self.traits.items()))
        check_traits(self._spec, self.traits)
        check_kvm_access(self._spec, self.traits["kvm"], self.traits.get("user", "?"))
        self._directory = remote.create_workdir(transport, self._spec.directory)
        self._log.note(f"created {self._directory}")
        for number, vmm in self._vmms:
            remote.copy(transport, f"{self._directory}/vmm.{number}", vmm)
        channel = transport.open_session(timeout=self._spec.connect)
        channel.settimeout(_SEND)
        channel.exec_command(
            remote.shell_command(remote.serve_script(self._directory, [n for n, _ in self._vmms]))
        )
        # Creates the file descriptor, which from now on is readable when data has arrived.
        channel.fileno()
        self._channel = channel

    def _on_try(self, connection: Connection) -> None:
        self._connection = connection
        if self._ending.is_set():
            connection.close()

    def _on_failure(self, text: str) -> None:
        self.retried.append(text)
        self._log.note(text)
        self._wake()

    def _send(self, data: bytes) -> None:
        if self._broken or self._channel is None:
            return
        try:
            self._channel.sendall(data)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._broken = f"nothing can be sent any more: {_message(error)}"
            self._wake()

    def _remove_workdir(self, hops: tuple[Hop, ...]) -> None:
        """End the VMM and delete its directory, through a new connection if the old one is broken."""
        old = self._connection
        try:
            gone = not self._directory or self._vmm_has_ended()
            if not gone and old is not None and old.alive:
                gone = self._remove(old)
            if not gone:
                self._remove_through(Connection(self.name, hops, min(_OUT, self._spec.connect)))
        finally:
            if old is not None:
                old.close()

    def _remove_through(self, fresh: Connection) -> None:
        try:
            fresh.open()
            self._log.note("a new connection, to clean up")
            if not self._remove(fresh):
                self._report_leftover("it could not be deleted")
        except (OSError, EOFError, paramiko.SSHException, SyseventError) as error:
            self._report_leftover(_message(error))
        finally:
            fresh.close()

    def _vmm_has_ended(self) -> bool:
        """Whether the VMM ended after BYE; its script has then deleted the directory."""
        channel = self._channel
        if channel is None:
            return False
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            channel.settimeout(1)
            if not channel.closed and not self._broken:
                channel.sendall(wire.pack(wire.Frame(wire.Kind.BYE, 0, 0, b""), self._frames.key))
            return remote.ends_by_itself(channel, _BYE)
        return False

    def _remove(self, connection: Connection) -> bool:
        try:
            return remote.remove_workdir(connection.transport, self._directory, _OUT)
        except (OSError, EOFError, paramiko.SSHException, GuestLost, HostUnreachable) as error:
            self._log.note(f"could not clean up: {_message(error)}")
            return False

    def _report_leftover(self, why: str) -> None:
        self._log.note(
            f"{self._directory} may still exist ({why}); the machine itself ends the VMM and deletes it within seconds "
            f"of noticing that the connection has ended, or after {remote.WALL} s"
        )
        self._left = True

    def _wake(self) -> None:
        if (waker := self._waker) is not None:
            waker.wake()

    # The methods below run in the main thread.

    # The cleanup failed.
    _left = False
    # The channel has ended, and everything that arrived before has been read.
    _over = False

    def sources(self) -> list[int]:
        """See hosts/base.py."""
        watched = [self._waker.fileno()] if self._waker is not None else []
        channel = self._channel
        if channel is not None and not self._over:
            watched.append(channel.fileno())
        return watched

    def _take(self) -> tuple[list[wire.Frame], bool]:
        if self._waker is not None:
            self._waker.clear()
        channel, arrived, got = self._channel, b"", False
        if channel is not None and not self._over:
            # Read before the data: nothing arrives after the end.
            ended = channel.eof_received or channel.closed
            while channel.recv_ready() and len(arrived) < _GULP:
                arrived += channel.recv(65536)
            text = channel.recv_stderr(65536) if channel.recv_stderr_ready() else b""
            if text:
                self._log.add(escape(text.decode(errors="replace")))
            got = bool(arrived)
            self._over = bool(ended) and not channel.recv_ready() and not text
        self._note_log(self._log.write())
        frames = self._frames.feed(arrived)
        # Output of the login shell.
        self._frames.non_frame_bytes.clear()
        return frames, got

    def _put(self, data: bytes) -> None:
        # The thread sends: while it waits for the SSH window, this one goes on receiving.
        if self._broken:
            raise BrokenPipeError(self._broken)
        self._work.put(data)

    def failure(self) -> Failure | None:
        """See hosts/base.py."""
        if self._start_error or self._over:
            return ENDED
        return Failure(self._broken) if self._broken else self._flood()

    def loss(self, what: str) -> InfrastructureError:
        """See hosts/base.py."""
        if self._start_error is not None:
            return self._start_error
        channel, connection = self._channel, self._connection
        if self._over and channel is not None:
            remote.ends_by_itself(channel, 1)
            code = channel.exit_status
            if connection is None or not connection.alive or code < 0:
                what = f"the connection to {self._spec.address} broke"
            elif code in _CANNOT_RUN:
                return WrongHost(
                    f"{self.name}: programs cannot be run in {self._spec.directory} (exit code {code}), it may be "
                    "mounted noexec: name another `directory` in the target file"
                )
            else:
                what = f"the VMM there ended with exit code {code}"
        lines = [f"{self.name}: {what}", f"the end of {self.log}:", *self._log.tail(_TAIL)]
        return GuestLost("\n".join(lines))

    def close(self) -> None:
        """See hosts/base.py."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._ending.set()
        self._work.put(None)
        if self._channel is None and self._connection is not None:
            # Ends every wait of the thread.
            self._connection.close()
        thread.join(_CLOSE)
        if thread.is_alive() or self._left:
            self._progress(
                f"{self.name}: deleting {self._directory} there took too long or failed: see {self.log}"
            )
        self._log.close()
        channel, self._channel = self._channel, None
        if channel is not None:
            # Frees its two file descriptors now, not at the next garbage collection.
            channel.close()
        waker, self._waker = self._waker, None
        if waker is not None:
            waker.close()


def _message(error: Exception) -> str:
    """The text of an exception, which is empty for some socket errors."""
    return "it was closed" if isinstance(error, EOFError) else str(error) or repr(error)
