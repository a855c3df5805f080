"""A guest under this machine's QEMU: booted or restored, asked over its channel, told apart in the ways it dies."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from pathlib import Path

from sysevent import wire
from sysevent.errors import GuestLost
from sysevent.hosts.boot import Boot
from sysevent.hosts.protocol import Nobody, Others
from sysevent.hosts.snapshots import Snapshot
from sysevent.model import Progress
from sysevent.qemu.argv import Lines, argv
from sysevent.qemu.console import Console
from sysevent.qemu.monitor import Monitor
from sysevent.qemu.process import QemuProcess

_HEARTBEAT = 5  # seconds between two signs of life while a guest boots
_LAST_WORDS = 1.0  # seconds a dying guest is listened to
_RESTORE = (
    5  # seconds for a restored guest to answer; it takes 0.3, and when it takes longer a boot is no loss
)
_INIT = b"sysevent: init"  # guests/init/init.c
_PING = 0xFFFF_FFFF  # sequence of the one PING, apart from those of requests


class QemuGuest:
    """One L1 guest. start() returns at once, so that several can boot at the same time."""

    def __init__(
        self,
        boot: Boot,
        logs: Path,
        progress: Progress,
        others: Others | None = None,
        snapshot: Snapshot | None = None,
    ) -> None:
        self._boot = boot
        self._id = boot.spec.id
        self._logs = logs
        self._progress = progress
        self._others = others or Nobody()
        self._snapshot = snapshot
        self._frames = wire.FrameReader()
        self._console_frames = wire.FrameReader()
        # Known, or found out when the HELLO comes there.
        self.on_console = snapshot.taken.on_console if snapshot else not boot.machine.virtio
        self._arrived: list[wire.Frame] = []
        self._sequence = 0
        self._started = 0.0
        self.awaited = False  # somebody is inside _await(), to whom the next frames belong
        self.seconds_to_ready = 0.0  # from QEMU's start to its HELLO
        self.seconds_to_init = 0.0  # likewise, when the kernel is told sysevent_trace=1
        self._closing = contextlib.ExitStack()
        self._channel: socket.socket | None = None

    def start(self) -> None:
        """Begin to boot, or to be restored. From the thread that lives longest: see qemu/process.py."""
        self._logs.mkdir(parents=True, exist_ok=True)
        theirs: list[socket.socket] = []

        def pair() -> socket.socket:
            ours, other = socket.socketpair()
            theirs.append(other)
            return ours

        monitor, console, channel = pair(), pair(), pair()
        self._channel = self._closing.enter_context(channel)
        lines = Lines(*(end.fileno() for end in theirs))
        command = argv(self._boot.machine, lines, self._snapshot.state if self._snapshot else None)
        self._started = time.monotonic()
        try:
            self._qemu = QemuProcess(command, [s.fileno() for s in theirs], self._logs / "qemu.log")
        finally:
            for end in theirs:
                end.close()
        self._closing.callback(self._qemu.close)
        self._console = Console(console, self._logs / "console.log")
        self._closing.callback(self._console.close)
        self.monitor = Monitor(monitor)
        self._closing.callback(self.monitor.close)
        if self._snapshot is not None:
            self._write(wire.pack(wire.Frame(wire.Kind.PING, 0, _PING, b"")))

    @property
    def pid(self) -> int:
        """Of the running QEMU."""
        return self._qemu.pid

    @property
    def greeted(self) -> bool:
        """Whether hello() would return at once. False, too, when the guest is lost: hello() tells."""
        return any(self._is_hello(frame) for frame in self._arrived)

    def _is_hello(self, frame: wire.Frame) -> bool:
        # Of a restored guest only the answer to our PING counts: it must take part in a conversation.
        wanted = _PING if self._snapshot else 0
        return frame.kind == wire.Kind.HELLO and frame.sequence == wanted

    def hello(self) -> wire.Hello:
        """See hosts/protocol.py."""
        spec = self._boot.spec
        doing = "restoring" if self._snapshot else "booting"
        frame = self._await(
            wire.Kind.HELLO,
            _PING if self._snapshot else 0,
            min(_RESTORE, spec.boot) if self._snapshot else spec.boot,
            f"{doing} {self._boot.kernel.spec}",
        )
        self.seconds_to_ready = self.seconds_to_ready or time.monotonic() - self._started
        return wire.unpack_hello(frame.body)

    def send(self, request: bytes, abi: int) -> int:
        """See hosts/protocol.py."""
        self._sequence += 1
        data = wire.pack(wire.Frame(wire.Kind.REQUEST, abi, self._sequence, request))
        try:
            self._write(data)
        except OSError as error:
            raise self._lost(f"the channel broke: {error}") from error
        return self._sequence

    def _write(self, data: bytes) -> None:
        if self.on_console or self._channel is None:
            self._console.send(data)
        else:
            self._channel.sendall(data)

    def answered(self, number: int) -> bool:
        """Whether reply() would return at once."""
        return any(f.kind == wire.Kind.REPLY and f.sequence == number for f in self._arrived)

    def reply(self, number: int, deadline: float) -> wire.Reply:
        """See hosts/protocol.py."""
        return wire.unpack_reply(self._await(wire.Kind.REPLY, number, deadline, "").body)

    def _await(self, kind: wire.Kind, sequence: int, seconds: float, doing: str) -> wire.Frame:
        """The next frame of a kind; everything else that can happen meanwhile is GuestLost."""
        self.awaited = True
        try:
            return self._await_frame(kind, sequence, seconds, doing)
        finally:
            self.awaited = False

    def _await_frame(self, kind: wire.Kind, sequence: int, seconds: float, doing: str) -> wire.Frame:
        begin = time.monotonic()
        beat = begin + _HEARTBEAT
        while True:
            for index, frame in enumerate(self._arrived):
                if frame.kind == kind and frame.sequence == sequence:
                    del self._arrived[: index + 1]
                    return frame
            now = time.monotonic()
            if now - begin > seconds:
                raise self._lost(f"silent: no answer within {seconds:.0f} s")
            if now > beat:
                if doing:
                    self._progress(f"{self._id}: {doing}, {now - begin:.0f} s")
                beat = now + _HEARTBEAT
            self._wait(min(begin + seconds, beat) - now)
            self.listen()
            self._others.attend()
            bad = self._console.trouble()
            if bad:
                raise self._lost(f"{bad[0]}: {bad[1]}")
            if self._qemu.ended and not self.listen():
                raise self._lost("")

    def sources(self) -> list[int]:
        """File descriptors that become readable when listen() has something to take in."""
        watched: list[int] = [] if self._qemu.ended else [self._qemu.pidfd]
        if self._console.open:
            watched.append(self._console.fileno())
        if self._channel is not None:
            watched.append(self._channel.fileno())
        return watched

    def _wait(self, seconds: float) -> None:
        select.select([*self.sources(), *self._others.sources()], [], [], max(0.0, seconds))

    def listen(self) -> bool:
        """Take in what has come, without waiting; False when there was nothing."""
        got = False
        if self._console.open:
            text = self._console.pump()
            got = bool(text)
            if not self.seconds_to_init and _INIT in text:
                self.seconds_to_init = time.monotonic() - self._started
            # Frames come here from a kernel that has no virtio_console; then requests must go here, too.
            frames = self._console_frames.feed(text)
            self.on_console = self.on_console or bool(frames)
            self._arrived += frames
            self._console.note(bytes(self._console_frames.rubbish))
            self._console_frames.rubbish.clear()
        if self._channel is not None:
            try:
                data = self._channel.recv(262144, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return got
            except ConnectionError:
                data = b""
            got = got or bool(data)
            if data:
                self._arrived += self._frames.feed(data)
                self._frames.rubbish.clear()
            else:
                self._channel = None
        if not self.seconds_to_ready and self.greeted:
            self.seconds_to_ready = time.monotonic() - self._started
        return got

    def _lost(self, what: str) -> GuestLost:
        """What happened, in one sentence, with the end of the console behind it."""
        end = time.monotonic() + _LAST_WORDS
        while time.monotonic() < end and not self._qemu.ended:
            select.select(self.sources(), [], [], 0.1)
            self.listen()
        while self.listen():
            pass
        bad = self._console.trouble()
        reason = self.monitor.stop_reason()
        if bad:
            what = f"{bad[0]}: {bad[1]}"
        elif self._qemu.crashed:
            what = self._qemu.how_it_ended()
        elif reason == "guest-reset":
            what = "the guest rebooted"
        elif reason == "guest-shutdown":
            what = "the guest powered off"
        elif not what:
            what = self._qemu.how_it_ended()
        tail = self._console.tail()
        shown = f"\nthe end of its console ({self._console.log}):\n{tail}" if tail else ""
        return GuestLost(f"{self._id}: {what}{shown}")

    def close(self) -> None:
        """QEMU is gone when this returns."""
        self._closing.close()
