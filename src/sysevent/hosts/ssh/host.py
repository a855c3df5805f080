"""A lab machine as a Host: a thread connects, copies, sends and clears up; the main thread only ever listens."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from pathlib import Path

import paramiko

from sysevent import wire
from sysevent.errors import GuestLost, HostUnreachable, InfrastructureError, SyseventError, WrongHost
from sysevent.hosts import identity
from sysevent.hosts.base import Others
from sysevent.hosts.channel import Conversation
from sysevent.hosts.running import Vmms
from sysevent.hosts.ssh import remote
from sysevent.hosts.ssh.connect import Connection, connect
from sysevent.hosts.ssh.route import Hop, route
from sysevent.model import Progress
from sysevent.targets.spec import TargetSpec
from sysevent.text import escape

_SEND = 30  # seconds; a machine that takes nothing for so long is lost
_BYE = 2  # seconds for the VMM to end when it is told to
_OUT = 10  # seconds to clear up through one connection
_CLOSE = 30  # seconds for the thread to be done with that
_GULP = 1 << 18  # bytes taken in at a time: a machine that never stops talking must not keep us
_LOG = 1 << 20  # bytes of a log; what it says beyond is not kept
_TAIL = 5  # lines of its log that explain a loss
_CANNOT_RUN = (126, 127)  # of a shell


class SshHost(Conversation):
    """A VMM on a machine that is reached over SSH."""

    def __init__(
        self, spec: TargetSpec, vmms: Vmms, logs: Path, progress: Progress, others: Others | None = None
    ) -> None:
        super().__init__(spec.id, progress, others)
        self.log = logs / "ssh.log"
        self._spec = spec
        self._vmms = vmms
        self._frames = wire.FrameReader()
        self._thread: threading.Thread | None = None
        self._work: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # to send; None: end
        self._ending = threading.Event()
        self._bell, self._ring = -1, -1
        # Set by the thread, before it rings.
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()  # for the log
        self._connection: Connection | None = None
        self._channel: paramiko.Channel | None = None
        self._failure: InfrastructureError | None = None  # why there is no VMM
        self._broken = ""  # why nothing can be sent any more
        self._directory = ""  # ours on the machine; "" when there is nothing to remove

    def start(self) -> None:
        """See hosts/base.py."""
        hops = route(self._spec, Path.home())
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")
        self._bell, self._ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._began = time.monotonic()
        self._note(f"the way there: {', '.join(f'{hop.user}@{hop}' for hop in hops)}")
        # A daemon: a machine that hangs must not keep this process from ending.
        self._thread = threading.Thread(target=self._live, args=(hops,), name=f"ssh {self.name}", daemon=True)
        self._thread.start()

    def hello(self) -> wire.Hello:
        """See hosts/base.py."""
        return self._greeting(self._spec.boot, f"connecting to {self._spec.address}")

    # In the thread.

    def _live(self, hops: tuple[Hop, ...]) -> None:
        try:
            self._open(hops)
        except InfrastructureError as error:
            text = str(error)
            named = text if text.startswith(self.name) else f"{self.name}: {text}"
            self._failure = type(error)(named)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._failure = GuestLost(f"{self.name}: the connection broke while moving in: {_words(error)}")
        except Exception as error:  # at the end of a thread: nobody else would ever hear of it
            told = f"{self.name}: the server talks nonsense, or we made a mistake: {error!r}"
            self._failure = HostUnreachable(told)
        self._note(f"failed: {self._failure}" if self._failure else "the VMM runs")
        self._wake()
        try:
            while (data := self._work.get()) is not None:
                self._send(data)
        finally:
            self._move_out(hops)

    def _open(self, hops: tuple[Hop, ...]) -> None:
        connection = connect(
            self.name,
            hops,
            self._spec.connect,
            began=self._began_with,
            told=self._retry,
            ending=self._ending,
        )
        transport = connection.transport
        self.traits = remote.look(transport)
        self._note(" ".join(f"{name}={value}" for name, value in self.traits.items()))
        identity.check(self._spec, self.traits)
        identity.check_kvm(self._spec, self.traits["kvm"], self.traits.get("user", "?"))
        self._directory = remote.move_in(transport, self._spec.directory)
        self._note(f"moved into {self._directory}")
        for number, path in self._vmms:
            remote.copy(transport, f"{self._directory}/vmm.{number}", path.read_bytes())
        channel = transport.open_session(timeout=self._spec.connect)
        channel.settimeout(_SEND)
        channel.exec_command(remote.command(remote.serve(self._directory, [n for n, _ in self._vmms])))
        channel.fileno()  # from now on it is readable when there is something
        self._channel = channel

    def _began_with(self, connection: Connection) -> None:
        self._connection = connection
        if self._ending.is_set():
            connection.close()

    def _retry(self, text: str) -> None:
        self.retried.append(text)
        self._note(text)
        self._wake()

    def _send(self, data: bytes) -> None:
        if self._broken or self._channel is None:
            return
        try:
            self._channel.sendall(data)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._broken = f"nothing can be sent any more: {_words(error)}"
            self._wake()

    def _move_out(self, hops: tuple[Hop, ...]) -> None:
        """Nothing of ours is there afterwards; through a new connection if the old one is dead."""
        old = self._connection
        try:
            gone = not self._directory or self._left_by_itself()
            if not gone and old is not None and old.alive:
                gone = self._remove(old)
            if not gone:
                self._remove_anew(Connection(self.name, hops, min(_OUT, self._spec.connect)))
        finally:
            if old is not None:
                old.close()

    def _remove_anew(self, fresh: Connection) -> None:
        try:
            fresh.open()
            self._note("a new connection, to clear up")
            if not self._remove(fresh):
                self._abandon("it did not go away")
        except (OSError, EOFError, paramiko.SSHException, SyseventError) as error:
            self._abandon(_words(error))
        finally:
            fresh.close()

    def _left_by_itself(self) -> bool:
        channel = self._channel
        if channel is None:
            return False
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            channel.settimeout(1)
            if not channel.closed and not self._broken:
                channel.sendall(wire.pack(wire.Frame(wire.Kind.BYE, 0, 0, b"")))
            return remote.wait(channel, _BYE)
        return False

    def _remove(self, connection: Connection) -> bool:
        try:
            return remote.move_out(connection.transport, self._directory, _OUT)
        except (OSError, EOFError, paramiko.SSHException, GuestLost, HostUnreachable) as error:
            self._note(f"could not clear up: {_words(error)}")
            return False

    def _abandon(self, why: str) -> None:
        self._note(
            f"{self._directory} may still be there ({why}); the machine itself ends the VMM and removes it "
            f"within seconds, should it not see that we are gone within {remote.WALL} s"
        )
        self._left = True

    def _note(self, text: str) -> None:
        self._said.put(f"{time.monotonic() - self._began:8.3f} {text}\n")

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: nobody needs to be woken twice; closed: nobody is left
            os.write(self._ring, b"!")

    # In the main thread.

    _left = False
    _over = False  # the channel has ended, and all that came before has been taken

    def sources(self) -> list[int]:
        """See hosts/base.py."""
        watched = [self._bell] if self._bell >= 0 else []
        channel = self._channel
        if channel is not None and not self._over:
            watched.append(channel.fileno())
        return watched

    def _take(self) -> tuple[list[wire.Frame], bool]:
        if self._bell >= 0:
            with contextlib.suppress(BlockingIOError):
                os.read(self._bell, 4096)
        channel, arrived, got = self._channel, b"", False
        if channel is not None and not self._over:
            ended = channel.eof_received or channel.closed  # asked first: afterwards nothing comes any more
            while channel.recv_ready() and len(arrived) < _GULP:
                arrived += channel.recv(65536)
            text = channel.recv_stderr(65536) if channel.recv_stderr_ready() else b""
            if text:
                self._said.put(escape(text.decode(errors="replace")))
            got = bool(arrived)
            self._over = bool(ended) and not channel.recv_ready() and not text
        self._write_log()
        frames = self._frames.feed(arrived)
        self._frames.non_frame_bytes.clear()  # what a login shell prints when it starts
        return frames, got

    def _write_log(self) -> None:
        with contextlib.suppress(OSError), self.log.open("a") as file:
            while not self._said.empty():
                text = self._said.get()
                if file.tell() < _LOG:
                    file.write(text)

    def _put(self, data: bytes) -> None:
        # Not from this thread: one that waits for a window does not listen meanwhile.
        if self._broken:
            raise BrokenPipeError(self._broken)
        self._work.put(data)

    def _trouble(self) -> str | None:
        if self._failure or self._over:
            return ""
        return self._broken or None

    def _lost(self, what: str) -> InfrastructureError:
        if self._failure is not None:
            return self._failure
        channel, connection = self._channel, self._connection
        if self._over and channel is not None:
            remote.wait(channel, 1)
            code = channel.exit_status
            if connection is None or not connection.alive or code < 0:
                what = f"the connection to {self._spec.address} broke"
            elif code in _CANNOT_RUN:
                return WrongHost(
                    f"{self.name}: programs cannot be run in {self._spec.directory} (exit code {code}): it may be "
                    "mounted noexec: name another `directory` in the target file"
                )
            else:
                what = f"the VMM there ended with exit code {code}"
        self._write_log()
        said = self.log.read_text(errors="replace").splitlines()[-_TAIL:]
        return GuestLost("\n".join([f"{self.name}: {what}", f"the end of {self.log}:", *said]))

    def close(self) -> None:
        """See hosts/base.py."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._ending.set()
        self._work.put(None)
        if self._channel is None and self._connection is not None:
            self._connection.close()  # whatever it waits for there
        thread.join(_CLOSE)
        if thread.is_alive() or self._left:
            self._progress(
                f"{self.name}: clearing up {self._directory} there took too long or failed: {self.log}"
            )
        self._write_log()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()  # else its two file descriptors stay until somebody collects garbage
        bell, ring, self._bell, self._ring = self._bell, self._ring, -1, -1
        os.close(ring)
        os.close(bell)


def _words(error: Exception) -> str:
    """What an exception says; those of a socket often say nothing."""
    return "it was closed" if isinstance(error, EOFError) else str(error) or repr(error)
