"""A guest under this machine's QEMU as a Host: booted or restored, asked over a virtio port or its console."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import time
from pathlib import Path

import msgspec

from sysevent import wire
from sysevent.errors import GuestLost
from sysevent.hosts.base import ENDED, WINDOW, Failure
from sysevent.hosts.framed import FramedHost
from sysevent.hosts.qemu.bundle import Bundle
from sysevent.hosts.qemu.lines import Lines
from sysevent.hosts.qemu.restore import Restore
from sysevent.hosts.qemu.snapshots import Snapshot
from sysevent.hosts.waiting import until_readable
from sysevent.images.kernel.held import for_restore
from sysevent.model import Progress
from sysevent.qemu import gdb, launch
from sysevent.qemu.console import Console
from sysevent.qemu.monitor import Monitor
from sysevent.qemu.process import QemuProcess

# Seconds for the last messages of a lost guest to arrive.
_LAST_MESSAGES = 1.0
# Seconds for a restored guest to answer. 0.2 is usual; after 4 a boot would be as fast.
_RESTORE = 4
# Seconds for a boot under KVM. 2 are usual, so a busy machine does not explain 60.
_KVM = 60
# The line that guests/init/init.c prints with sysevent_trace=1.
_INIT = b"sysevent: init"
_DAMAGED = "its snapshot is damaged"
# QEMU's reasons for a SHUTDOWN event (qapi/run-state.json), in words.
_STOPS = {"guest-reset": "the guest rebooted", "guest-shutdown": "the guest powered off"}


class QemuGuest(FramedHost):
    """One L1 guest. start() returns at once, so that several can boot at the same time."""

    def __init__(
        self,
        bundle: Bundle,
        logs: Path,
        progress: Progress,
        snapshot: Snapshot | None = None,
        *,
        saved: bool = False,
    ) -> None:
        """snapshot: restore the guest from it; None: boot. saved: True: snapshots of the guest will be taken."""
        hello_timeout = min(
            bundle.spec.boot,
            _RESTORE if snapshot else math.inf,
            _KVM if bundle.config.accel == "kvm" else math.inf,
        )
        activity = f"{'restoring' if snapshot else 'booting'} {bundle.kernel.spec}"
        super().__init__(bundle.spec.id, progress, hello_timeout, activity)
        self._bundle = bundle
        self._logs = logs
        self.log = logs / "console.log"
        self._snapshot = snapshot
        self._saved = saved
        # File descriptor of the guest's memory, which QEMU shares; 0 unless snapshots are used.
        self.memory = 0
        self._console_frames = wire.FrameReader()
        # True: frames travel on the console. Without virtio_console this shows only when HELLO arrives there.
        self.on_console = snapshot.note.on_console if snapshot else not bundle.config.virtio
        # From QEMU's start to the first line of init; 0 without sysevent_trace=1 on the kernel's command line.
        self.seconds_to_init = 0.0
        # Why kill() was called; "" before.
        self._killed = ""
        self._closing = contextlib.ExitStack()
        self._channel: socket.socket | None = None
        # None if the guest was booted.
        self._restore: Restore | None = None

    def start(self) -> None:
        """See hosts/base.py. Call it from the longest-living thread: QEMU ends with it, see process.py."""
        self._create_folder(self._logs)
        lines = Lines(self.name, self._bundle.config, self._logs)
        self._closing.callback(lines.close)
        self._channel = lines.channel
        self.stretch = launch.confine(self._bundle.config).stretch
        self.hello_timeout *= self.stretch
        self._began = time.monotonic()
        try:
            self._qemu = self._start_qemu(lines)
        finally:
            lines.started()
        self._closing.callback(self._qemu.close)
        self._console = Console(lines.console, self.log)
        self._note_log(self._qemu.log_failure)
        self._closing.callback(self._console.close)
        self.monitor = Monitor(lines.monitor)
        self._closing.callback(self.monitor.close)
        if lines.gdb_port:
            self._announce_debugger(lines.gdb_port)
        if self._snapshot is not None:
            self._begin_restore(self._snapshot)

    def _start_qemu(self, lines: Lines) -> QemuProcess:
        """Start QEMU with its lines, and the files that it shares with this process."""
        fds, inherit = lines.fds, lines.inherited
        if self._snapshot is not None or self._saved:
            fds = msgspec.structs.replace(fds, memory=self._open_memory())
            inherit.append(fds.memory)
        kernel = self._bundle.content
        if kernel is not None:
            kernel = for_restore(kernel) if self._snapshot else kernel
            fds = msgspec.structs.replace(fds, kernel=kernel.fd)
            inherit.append(fds.kernel)
        return launch.start(
            self._bundle.config,
            fds,
            inherit,
            self._logs / "qemu.log",
            restored=self._snapshot is not None,
            keep=self._bundle.keep,
        )

    def _announce_debugger(self, port: int) -> None:
        kernel, arch = self._bundle.kernel, self._bundle.config.arch
        self._progress(f"{self.name}: stopped before its first instruction. In another terminal:")
        self._progress(f"    {gdb.command_line(arch, port, gdb.symbol_file(kernel))}")
        self._progress("then type `continue` there; no deadline applies, Ctrl-C here ends the guest")

    def _begin_restore(self, snapshot: Snapshot) -> None:
        try:
            self._restore = Restore(self.monitor, snapshot)
        except OSError as error:
            raise GuestLost(f"{self.name}: its snapshot cannot be restored: {error}") from error
        # What an earlier key begins, which may still be in a buffer, does not count.
        self._hand_over_key()

    def _open_memory(self) -> int:
        if self._snapshot is None:
            self.memory = os.memfd_create("sysevent: memory of a guest")
            os.ftruncate(self.memory, self._bundle.config.memory << 20)
        else:
            try:
                self.memory = self._snapshot.open()
            except OSError as error:
                raise GuestLost(f"{self.name}: its snapshot cannot be opened: {error}") from error
        self._closing.callback(os.close, self.memory)
        return self.memory

    @property
    def pid(self) -> int:
        """The process number of the running QEMU."""
        return self._qemu.pid

    @property
    def window(self) -> int:
        """See hosts/base.py."""
        # A serial line drops bytes that the guest does not read in time.
        return 1 if self.on_console else WINDOW

    @property
    def has_deadlines(self) -> bool:
        """See hosts/base.py. The VMM's own deadlines use the guest's clock, which a debugger stops with the guest."""
        return not self._bundle.config.debug

    def hello(self) -> wire.Hello | None:
        """See hosts/base.py."""
        hello = super().hello()
        if hello is None:
            return None
        if self._snapshot is not None and hello != self._snapshot.note.hello:
            raise GuestLost(f"{self.name}: the restored guest is not the one that was saved: {hello.release}")
        self.monitor.pump()
        self.traits |= {"qemu": self.monitor.version, "accel": self._bundle.config.accel}
        self.traits["fallback"] = self._bundle.fallback
        return hello

    def reply(self, number: int) -> wire.Reply | None:
        """See hosts/base.py. Of a restored guest no reply counts until its snapshot has been read and is intact."""
        if (
            self._restore is not None
            and self._replies.get(number) is not None
            and not self._restore.is_intact()
        ):
            raise GuestLost(f"{self.name}: {_DAMAGED}")
        return super().reply(number)

    def _put(self, data: bytes) -> None:
        if self.on_console or self._channel is None:
            self._console.send(data)
        else:
            self._channel.sendall(data)

    @property
    def _has_damaged_snapshot(self) -> bool:
        return self._restore is not None and self._restore.found_damage

    def failure(self) -> Failure | None:
        """See hosts/base.py."""
        if self._has_damaged_snapshot:
            return Failure(_DAMAGED)
        bad = self._console.trouble()
        if bad:
            return Failure(f"{bad[0]}: {bad[1]}")
        return ENDED if self._qemu.ended else self._flood()

    def _readers(self) -> tuple[wire.FrameReader, ...]:
        return self._frames, self._console_frames

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
            self._note_log(self._console.log_failure)
            got = bool(text)
            if not self.seconds_to_init and _INIT in text:
                self.seconds_to_init = time.monotonic() - self._began
            # A guest without virtio_console sends its frames here, so requests must also go here.
            frames = self._console_frames.feed(text)
            self.on_console = self.on_console or (bool(frames) and not self._has_key)
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

    def loss(self, what: str) -> GuestLost:
        """See hosts/base.py."""
        if self._killed or self._has_damaged_snapshot:
            # Messages would not tell more.
            return GuestLost(f"{self.name}: {self._killed or _DAMAGED}")
        self._drain()
        bad = self._console.trouble()
        if bad:
            what = f"{bad[0]}: {bad[1]}"
        elif self._qemu.crashed:
            what = self._qemu.how_it_ended()
        else:
            what = _STOPS.get(self.monitor.stop_reason()) or what or self._qemu.how_it_ended()
        if tail := self._console.tail():
            what = f"{what}\nthe end of its console ({self._console.log}):\n{tail}"
        return GuestLost(f"{self.name}: {what}")

    def kill(self, why: str) -> None:
        """End a guest that is of no use any more. why: the reason of its loss."""
        self._killed = why
        self._qemu.kill()

    def _drain(self) -> None:
        """Take in the last messages of a lost guest, for a limited time; it may send without end."""
        end = time.monotonic() + _LAST_MESSAGES
        while not self._qemu.ended and time.monotonic() < end and not self._flood():
            until_readable(self.sources(), 0.1)
            self.listen()
        # What a QEMU that has ended left behind.
        end = time.monotonic() + _LAST_MESSAGES
        while self.listen() and time.monotonic() < end and not self._flood():
            pass
        self._console_frames.give_up()
        self._console.note(bytes(self._console_frames.non_frame_bytes))

    def keep(self) -> int:
        """See hosts/base.py."""
        return self._qemu.abandon() if self._bundle.keep and not self._qemu.ended else 0

    def close(self) -> None:
        """See hosts/base.py. A kept QEMU goes on."""
        self._closing.close()
