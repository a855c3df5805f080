"""A guest under this machine's QEMU: booted, asked over its channel, and told apart in the ways it dies."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from sysevent.arches import ARCHITECTURES, CHANNEL_MODULES
from sysevent.errors import GuestLost
from sysevent.images import initramfs
from sysevent.model import KernelImage, Progress
from sysevent import wire
from sysevent.qemu.argv import Machine, argv
from sysevent.qemu.console import Console
from sysevent.qemu.monitor import Monitor
from sysevent.qemu.process import QemuProcess
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

_HEARTBEAT = 5  # seconds between two signs of life while a guest boots
_LAST_WORDS = 1.0  # seconds a dying guest is listened to


class QemuGuest:
    """One L1 guest. start() returns at once, so that several can boot at the same time."""

    def __init__(
        self,
        spec: TargetSpec,
        kernel: KernelImage,
        logs: Path,
        settings: Settings,
        progress: Progress,
    ) -> None:
        self._spec = spec
        self._kernel = kernel
        self._logs = logs
        self._settings = settings
        self._progress = progress
        self._frames = wire.FrameReader()
        self._console_frames = wire.FrameReader()
        self._on_console = spec.channel == "serial"  # or found out, when the HELLO comes there
        self._arrived: list[wire.Frame] = []
        self._sequence = 0
        self._started = 0.0
        self.seconds_to_boot = 0.0
        self._closing = contextlib.ExitStack()
        self._channel: socket.socket | None = None

    def start(self, files: Mapping[str, bytes]) -> None:
        """Begin to boot, with these programs in the guest's first file system."""
        arch = ARCHITECTURES[self._spec.arch]
        modules = (*CHANNEL_MODULES, *arch.kvm_modules)
        archive = initramfs.build(self._kernel, arch, files, modules, self._settings, self._progress)
        self._logs.mkdir(parents=True, exist_ok=True)
        theirs: list[socket.socket] = []

        def pair() -> socket.socket:
            ours, other = socket.socketpair()
            theirs.append(other)
            return ours

        monitor, console = pair(), pair()
        if not self._on_console:
            self._channel = self._closing.enter_context(pair())
        machine = Machine(
            arch=arch,
            accel=self._spec.accel,
            cpu=self._spec.cpu,
            memory=self._spec.memory,
            kernel=self._kernel.image,
            initramfs=archive,
            monitor=theirs[0].fileno(),
            console=theirs[1].fileno(),
            channel=theirs[2].fileno() if self._channel else None,
        )
        self._started = time.monotonic()
        try:
            self._qemu = QemuProcess(argv(machine), [s.fileno() for s in theirs], self._logs / "qemu.log")
        finally:
            for end in theirs:
                end.close()
        self._closing.callback(self._qemu.close)
        self._console = Console(console, self._logs / "console.log")
        self._closing.callback(self._console.close)
        self._monitor = Monitor(monitor)
        self._closing.callback(self._monitor.close)

    def put(self, files: Mapping[str, bytes]) -> wire.Hello:
        """Boot, unless start() already did, until the VMM in the guest has said HELLO."""
        if not self._started:
            self.start(files)
        frame = self._await(wire.Kind.HELLO, 0, self._spec.boot, "booting")
        self.seconds_to_boot = time.monotonic() - self._started
        return wire.unpack_hello(frame.body)

    def run(self, request: bytes, abi: int, deadline: float) -> wire.Reply:
        """See hosts/protocol.py."""
        self._sequence += 1
        data = wire.pack(wire.Frame(wire.Kind.REQUEST, abi, self._sequence, request))
        try:
            if self._on_console or self._channel is None:
                self._console.send(data)
            else:
                self._channel.sendall(data)
        except OSError as error:
            raise self._lost(f"the channel broke: {error}") from error
        return wire.unpack_reply(self._await(wire.Kind.REPLY, self._sequence, deadline, "").body)

    def _await(self, kind: wire.Kind, sequence: int, seconds: float, doing: str) -> wire.Frame:
        """The next frame of a kind; everything else that can happen meanwhile is GuestLost."""
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
            if doing and now > beat:
                self._progress(f"{self._spec.id}: {doing} {self._kernel.spec}, {now - begin:.0f} s")
                beat += _HEARTBEAT
            self._listen(min(begin + seconds, beat) - now)
            bad = self._console.trouble()
            if bad:
                raise self._lost(f"{bad[0]}: {bad[1]}")
            if self._qemu.ended and not self._listen(0):
                raise self._lost("")

    def _listen(self, seconds: float) -> bool:
        """Take in what comes within so many seconds; False when there was nothing."""
        watched: list[int] = [] if self._qemu.ended else [self._qemu.pidfd]
        if self._console.open:
            watched.append(self._console.fileno())
        if self._channel is not None and self._channel.fileno() >= 0:
            watched.append(self._channel.fileno())
        ready, _, _ = select.select(watched, [], [], max(0.0, seconds))
        got = False
        if self._console.open and self._console.fileno() in ready:
            text = self._console.pump()
            got = bool(text)
            # Frames come here from a kernel that has no virtio_console; then requests must go here, too.
            frames = self._console_frames.feed(text)
            self._on_console = self._on_console or bool(frames)
            self._arrived += frames
            self._console.note(bytes(self._console_frames.rubbish))
            self._console_frames.rubbish.clear()
        if self._channel is not None and self._channel.fileno() in ready:
            try:
                data = self._channel.recv(262144)
            except ConnectionError:
                data = b""
            got = got or bool(data)
            if data:
                self._arrived += self._frames.feed(data)
                self._frames.rubbish.clear()
            else:
                self._channel.close()
        return got

    def _lost(self, what: str) -> GuestLost:
        """What happened, in one sentence, with the end of the console behind it."""
        end = time.monotonic() + _LAST_WORDS
        while time.monotonic() < end and not self._qemu.ended:
            self._listen(0.1)
        while self._listen(0):
            pass
        bad = self._console.trouble()
        reason = self._monitor.stop_reason()
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
        return GuestLost(f"{self._spec.id}: {what}{shown}")

    def close(self) -> None:
        """QEMU is gone when this returns."""
        self._closing.close()
