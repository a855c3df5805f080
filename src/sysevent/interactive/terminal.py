"""Connects the shell of a guest with this process's standard streams: a terminal, or pipes."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import termios
import time
import tty
from collections.abc import Iterator

from sysevent.errors import GuestLost
from sysevent.hosts.qemu.shell import NO_PORTS, READY, ShellGuest
from sysevent.qemu.console import trouble
from sysevent.text import last_lines

ESCAPE = b"\x1d"
"""Ctrl-], as in telnet."""
# Bytes that are read at once.
_CHUNK = 65536
# Seconds for a guest to power off after its shell has ended.
_POWER_OFF = 5
# Bytes of the console that are kept, to find out why a guest ended.
_KEPT = 65536
# Lines of the console that an error shows.
_TAIL = 15
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def size() -> tuple[int, int]:
    """Rows and columns of the terminal on standard input; 24 and 80 if it is none."""
    try:
        # Not shutil.get_terminal_size: LINES and COLUMNS do not change with the window.
        found = os.get_terminal_size(sys.stdin.fileno())
    except (OSError, ValueError):
        return 24, 80
    return found.lines or 24, found.columns or 80


@contextlib.contextmanager
def raw(terminal: int) -> Iterator[None]:
    """Set a terminal to raw mode while the context lasts, so that every key goes to the guest.

    Afterwards it is as before, also if a signal of _ENDING ends this process.
    """
    before = termios.tcgetattr(terminal)

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    handlers = {number: signal.signal(number, end) for number in _ENDING}
    try:
        tty.setraw(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


class _Dialogue:
    """What a guest has printed, and what its shell has reported."""

    def __init__(self, guest: ShellGuest) -> None:
        self.guest = guest
        # Read from the port `end`.
        self._reported = b""
        self._console = b""
        self.gone = False

    @property
    def ready(self) -> bool:
        return READY in self._reported.split(b"\n")

    @property
    def code(self) -> int | None:
        """The exit code of its shell; None while it runs."""
        for line in self._reported.split(b"\n")[:-1]:
            if line.isdigit():
                return int(line) & 255
        return None

    def sources(self) -> list[int]:
        """File descriptors that are readable if listen() has something to read, or the guest has ended."""
        return [self.guest.qemu.pidfd, self.guest.console.fileno(), self.guest.ports["end"].fileno()]

    def listen(self) -> bytes:
        """Read what has arrived from the console and the port `end`; returns the bytes of the console."""
        self._reported = (self._reported + received(self.guest.ports["end"]))[-_KEPT:]
        fresh = received(self.guest.console)
        self._console = (self._console + fresh)[-_KEPT:]
        self.gone = self.guest.qemu.ended and not fresh
        return fresh

    def lost(self, reason: str) -> GuestLost:
        """The error of a lost guest: a reason found on its console, else the given one, and the end of the console."""
        text = self._console.decode(errors="replace")
        bad = trouble(text)
        if NO_PORTS in text:
            return GuestLost(f"{NO_PORTS}: type the commands on a terminal, or use another kernel")
        found = f"{bad[0]}: {bad[1]}" if bad else reason
        tail = "\n".join(last_lines(text, _TAIL))
        return GuestLost(f"{found}\nthe end of its console:\n{tail}" if tail else found)

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until its shell runs; GuestLost if it does not within this number of seconds."""
        end = time.monotonic() + seconds
        while not self.ready:
            left = end - time.monotonic()
            if left <= 0:
                raise self.lost(f"no shell within {seconds:.0f} s")
            select.select(self.sources(), [], [], min(left, 1))
            self.listen()
            if self.gone and not self.ready:
                raise self.lost(self.guest.qemu.how_it_ended())


def received(line: socket.socket) -> bytes:
    """The bytes that have arrived on a socket; b"" if there are none, or its other end is closed."""
    found = b""
    while len(found) < _CHUNK:
        try:
            piece = line.recv(_CHUNK)
        except OSError:
            break
        if not piece:
            break
        found += piece
    return found


def on_a_terminal(guest: ShellGuest, boot: float) -> int:
    """Connect the guest's console with the terminal until the shell ends, or Ctrl-]; returns the shell's exit code.

    The guest must print something within boot seconds; afterwards there is no deadline. A kernel without virtio
    reports no exit code: then the end of the guest is the end of the shell, and the result is 0.
    """
    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    dialogue = _Dialogue(guest)
    end = time.monotonic() + boot
    wake, ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    resized = signal.signal(signal.SIGWINCH, lambda *_: os.write(ring, b"!") and None)
    started = False
    try:
        with raw(keys):
            while dialogue.code is None and not dialogue.gone:
                select.select([keys, wake, *dialogue.sources()], [], [], 1)
                fresh = dialogue.listen()
                started = started or bool(fresh)
                _write(screen, fresh)
                if not started and time.monotonic() > end:
                    raise dialogue.lost(f"it printed nothing within {boot:.0f} s")
                if select.select([wake], [], [], 0)[0]:
                    os.read(wake, 64)
                    rows, columns = size()
                    _put(guest.ports["size"], b"%d %d\n" % (rows, columns))
                if select.select([keys], [], [], 0)[0]:
                    typed = os.read(keys, 1024)
                    if not typed or ESCAPE in typed:
                        return 0
                    _put(guest.console, typed)
            _write(screen, _rest(dialogue))
    finally:
        signal.signal(signal.SIGWINCH, resized)
        os.close(wake)
        os.close(ring)
    return _code(dialogue)


def _rest(dialogue: _Dialogue) -> bytes:
    """What the console prints until the guest has powered off."""
    end = time.monotonic() + _POWER_OFF
    found = dialogue.listen()
    while not dialogue.gone and time.monotonic() < end:
        select.select(dialogue.sources(), [], [], 0.1)
        found += dialogue.listen()
    return found


def _code(dialogue: _Dialogue) -> int:
    if dialogue.code is not None:
        return dialogue.code
    if dialogue.ready or dialogue.guest.qemu.crashed:
        raise dialogue.lost(dialogue.guest.qemu.how_it_ended())
    # A kernel without virtio.
    return 0


def on_pipes(guest: ShellGuest, boot: float, timeout: float) -> int:
    """Run the commands of standard input in the guest, with their output on ours; returns the shell's exit code.

    boot and timeout are seconds: until the shell runs, and until the commands have ended. GuestLost after either.
    """
    dialogue = _Dialogue(guest)
    dialogue.wait_until_ready(boot)
    end = time.monotonic() + timeout
    source, held = sys.stdin.fileno(), b""
    into: socket.socket | None = guest.ports["in"]
    out, err = guest.ports["out"], guest.ports["err"]
    reading = True
    while dialogue.code is None:
        if time.monotonic() > end:
            raise dialogue.lost(
                f"the commands did not end within {timeout:.0f} s: set --timeout to allow more"
            )
        wanted = [
            *dialogue.sources(),
            out.fileno(),
            err.fileno(),
            *([source] if reading and not held else []),
        ]
        full = [into.fileno()] if into is not None and held else []
        ready, _, _ = select.select(wanted, full, [], 1)
        if source in ready:
            held = os.read(source, _CHUNK)
            reading = bool(held)
        if into is not None and held:
            try:
                held = held[into.send(held) :]
            except BlockingIOError:
                pass
            except OSError:
                held, reading = b"", False
        if into is not None and not reading and not held:
            # The guest's shell reads this as the end of its input. Not close(): QEMU drops what it has not read yet
            # when the other end is closed.
            with contextlib.suppress(OSError):
                into.shutdown(socket.SHUT_WR)
            into = None
        _write(1, received(out))
        _write(2, received(err))
        dialogue.listen()
        if dialogue.gone and dialogue.code is None:
            raise dialogue.lost(guest.qemu.how_it_ended())
    _write(1, received(out))
    _write(2, received(err))
    return dialogue.code


def _put(line: socket.socket, data: bytes) -> None:
    # A guest that reads nothing loses keys, as a terminal does whose other end hangs.
    with contextlib.suppress(OSError):
        line.send(data)


def _write(to: int, data: bytes) -> None:
    while data:
        data = data[os.write(to, data) :]


def attached(line: socket.socket) -> int:
    """Connect the console of a kept guest with the terminal until Ctrl-], after which the guest runs on, or its end."""
    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    with raw(keys) if os.isatty(keys) else contextlib.nullcontext():
        # What was printed before is lost: ask for a new prompt.
        line.sendall(b"\r")
        while True:
            ready, _, _ = select.select([keys, line], [], [])
            if line in ready:
                fresh = line.recv(_CHUNK)
                if not fresh:
                    return 0
                _write(screen, fresh)
            if keys in ready:
                typed = os.read(keys, 1024)
                if not typed or ESCAPE in typed:
                    return 0
                line.sendall(typed)
