"""A guest under this machine's QEMU: booted or restored, asked over its channel, told apart in the ways it dies."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from pathlib import Path

import msgspec

from sysevent import wire
from sysevent.errors import GuestLost
from sysevent.hosts.base import AHEAD, Others
from sysevent.hosts.channel import Conversation, wait_for
from sysevent.hosts.qemu import keep
from sysevent.hosts.qemu.bundle import Boot
from sysevent.hosts.qemu.snapshots import Snapshot
from sysevent.model import Progress
from sysevent.qemu import gdb
from sysevent.qemu.argv import Lines, argv
from sysevent.qemu.console import Console
from sysevent.qemu.monitor import Monitor
from sysevent.qemu.process import QemuProcess

_LAST_WORDS = 1.0  # seconds a dying guest is listened to
_RESTORE = (
    4  # seconds for a restored guest to answer; it takes 0.2, and when it takes longer a boot is no loss
)
_KVM = 60  # seconds for a boot under KVM, which takes 2: one that does not come is no matter of load
_INIT = b"sysevent: init"  # guests/init/init.c
_PING = 0xFFFF_FFFF  # sequence of the one PING, apart from those of requests


class QemuGuest(Conversation):
    """One L1 guest. start() returns at once, so that several can boot at the same time."""

    def __init__(
        self,
        boot: Boot,
        logs: Path,
        progress: Progress,
        others: Others | None = None,
        snapshot: Snapshot | None = None,
        *,
        saved: bool = False,
    ) -> None:
        """Restored from a snapshot, or booted; and so that it can be saved."""
        super().__init__(boot.spec.id, progress, others)
        self._boot = boot
        self._logs = logs
        self.log = logs / "console.log"
        self._snapshot = snapshot
        self._saved = saved
        self.memory = 0  # the file that QEMU shares with us as the guest's memory, of one that can be saved
        # Of a restored guest only the answer to our PING counts: it must take part in a conversation.
        self._hello_sequence = _PING if snapshot else 0
        self._frames = wire.FrameReader()
        self._console_frames = wire.FrameReader()
        # Known, or found out when the HELLO comes there.
        self.on_console = snapshot.taken.on_console if snapshot else not boot.machine.virtio
        self.seconds_to_init = 0.0  # from QEMU's start, when the kernel is told sysevent_trace=1
        self._closing = contextlib.ExitStack()
        self._channel: socket.socket | None = None
        self._whole: list[bool] = []  # of the snapshot, when the thread that reads it has ended
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Begin to boot, or to be restored. From the thread that lives longest: see qemu/process.py."""
        self._logs.mkdir(parents=True, exist_ok=True)
        theirs: list[socket.socket] = []

        def pair() -> socket.socket:
            ours, other = socket.socketpair()
            theirs.append(other)
            return self._closing.enter_context(ours)

        monitor, console, self._channel = pair(), pair(), pair()
        lines, port = Lines(*(end.fileno() for end in theirs)), 0
        if self._boot.machine.debug:
            theirs.append(gdb.listening())
            lines, port = msgspec.structs.replace(lines, gdb=theirs[-1].fileno()), theirs[-1].getsockname()[1]
        if self._boot.machine.keep:
            theirs.append(keep.listening(self._logs))
            lines = msgspec.structs.replace(lines, attach=theirs[-1].fileno())
        fds = [end.fileno() for end in theirs]
        self._began = time.monotonic()
        try:
            if self._snapshot is not None or self._saved:
                lines = msgspec.structs.replace(lines, memory=self._open_memory())
                fds.append(lines.memory)
            command = argv(self._boot.machine, lines, restored=self._snapshot is not None)
            self._qemu = QemuProcess(command, fds, self._logs / "qemu.log", self._boot.keep)
        finally:
            for end in theirs:
                end.close()
        self._closing.callback(self._qemu.close)
        self._console = Console(console, self.log)
        self._closing.callback(self._console.close)
        self.monitor = Monitor(monitor)
        self._closing.callback(self.monitor.close)
        if port:
            kernel, arch = self._boot.kernel, self._boot.machine.arch
            self._progress(f"{self.name}: stopped before its first instruction. In another terminal:")
            self._progress(f"    {gdb.line(arch, port, gdb.symbols(kernel))}")
            self._progress("and `continue` there; no deadline runs out meanwhile, Ctrl-C here ends it")
        if self._snapshot is not None:
            # Meanwhile: QEMU reads the same pages.
            self._reader = threading.Thread(target=self._read_snapshot, name="snapshot", daemon=True)
            self._reader.start()
            self._snapshot.restore(self.monitor)
            self._put(wire.pack(wire.Frame(wire.Kind.PING, 0, _PING, b"")))

    def _open_memory(self) -> int:
        if self._snapshot is None:
            self.memory = os.memfd_create("sysevent: memory of a guest")
            os.ftruncate(self.memory, self._boot.machine.memory << 20)
        else:
            try:
                # QEMU wants to write, even into a copy of its own.
                self.memory = os.open(self._snapshot.state, os.O_RDWR)
            except OSError as error:
                raise GuestLost(f"{self.name}: its snapshot cannot be opened: {error}") from error
        self._closing.callback(os.close, self.memory)
        return self.memory

    def _read_snapshot(self) -> None:
        assert self._snapshot is not None
        with contextlib.suppress(OSError):
            self._whole.append(self._snapshot.whole())

    @property
    def pid(self) -> int:
        """Of the running QEMU."""
        return self._qemu.pid

    @property
    def room(self) -> int:
        """See hosts/base.py."""
        # A serial line loses what the guest does not take in time.
        return 1 if self.on_console else AHEAD

    def hello(self) -> wire.Hello:
        """See hosts/base.py."""
        spec = self._boot.spec
        doing = "restoring" if self._snapshot else "booting"
        seconds = min(_RESTORE, spec.boot) if self._snapshot else spec.boot
        if self._boot.machine.accel == "kvm":
            seconds = min(_KVM, seconds)
        hello = self._greeting(seconds, f"{doing} {self._boot.kernel.spec}")
        if self._snapshot is not None and hello != self._snapshot.taken.hello:
            raise GuestLost(f"{self.name}: its snapshot is of another guest: {hello.release}")
        self.monitor.pump()
        self.traits |= {"qemu": self.monitor.version, "accel": self._boot.machine.accel}
        self.traits["fallback"] = self._boot.fallback
        return hello

    def reply(self, number: int, deadline: float) -> wire.Reply:
        """See hosts/base.py. No answer counts before all of the snapshot has been read, and is what was saved."""
        if self._reader is not None:
            self._reader.join()
            self._reader = None
            if self._whole != [True]:
                raise GuestLost(f"{self.name}: its snapshot is damaged, it is not what was saved")
        return super().reply(number, deadline)

    def _await(self, kind: wire.Kind, sequence: int, seconds: float, doing: str) -> wire.Frame:
        # How long a person looks at a stopped guest is not ours to say, and no sign of life is worth a line to them.
        # The VMM's own deadlines go by the guest's clock, which stands still with it.
        if self._boot.machine.debug:
            seconds, doing = math.inf, ""
        return super()._await(kind, sequence, seconds, doing)

    def _put(self, data: bytes) -> None:
        if self.on_console or self._channel is None:
            self._console.send(data)
        else:
            self._channel.sendall(data)

    def _trouble(self) -> str | None:
        bad = self._console.trouble()
        if bad:
            return f"{bad[0]}: {bad[1]}"
        return "" if self._qemu.ended else None

    def sources(self) -> list[int]:
        """See hosts/base.py."""
        watched: list[int] = [] if self._qemu.ended else [self._qemu.pidfd]
        if self._console.open:
            watched.append(self._console.fileno())
        if self._channel is not None:
            watched.append(self._channel.fileno())
        return watched

    def _take(self) -> tuple[list[wire.Frame], bool]:
        arrived: list[wire.Frame] = []
        got = False
        if self._console.open:
            text = self._console.pump()
            got = bool(text)
            if not self.seconds_to_init and _INIT in text:
                self.seconds_to_init = time.monotonic() - self._began
            # Frames come here from a kernel that has no virtio_console; then requests must go here, too.
            frames = self._console_frames.feed(text)
            self.on_console = self.on_console or bool(frames)
            arrived += frames
            self._console.note(bytes(self._console_frames.non_frame_bytes))
            self._console_frames.non_frame_bytes.clear()
        if self._channel is not None:
            try:
                data = self._channel.recv(262144, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return arrived, got
            except ConnectionError:
                data = b""
            got = got or bool(data)
            if data:
                arrived += self._frames.feed(data)
                self._frames.non_frame_bytes.clear()
            else:
                self._channel = None
        return arrived, got

    def _lost(self, what: str) -> GuestLost:
        end = time.monotonic() + _LAST_WORDS
        while time.monotonic() < end and not self._qemu.ended:
            wait_for(self.sources(), 0.1)
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
        return GuestLost(f"{self.name}: {what}{shown}")

    def keep(self) -> int:
        """See hosts/base.py."""
        return self._qemu.abandon() if self._boot.keep and not self._qemu.ended else 0

    def close(self) -> None:
        """QEMU is gone when this returns, unless it is kept."""
        self._closing.close()
