"""A guest's shell brought to this process's standard streams: a terminal, or pipes."""

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

ESCAPE = b"\x1d"  # Ctrl-], as telnet has it
_GULP = 65536
_AFTER = 5  # seconds for a guest to power off, and its last words to arrive
_KEPT = 65536  # bytes of a console, to be searched for the reason of an end
_TAIL = 15  # lines of it that explain one
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def size() -> tuple[int, int]:
    """Rows and columns of the terminal; 24 by 80 where there is none."""
    try:
        found = os.get_terminal_size(
            sys.stdin.fileno()
        )  # not shutil's: LINES and COLUMNS do not change with a window
    except (OSError, ValueError):
        return 24, 80
    return found.lines or 24, found.columns or 80


@contextlib.contextmanager
def raw(terminal: int) -> Iterator[None]:
    """Every key goes to the guest while the context lasts; afterwards the terminal is as it was, also when killed."""
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


class _Talk:
    """What has been said by a guest about itself."""

    def __init__(self, guest: ShellGuest) -> None:
        self.guest = guest
        self._said = b""  # on the port `end`
        self._console = b""
        self.gone = False

    @property
    def ready(self) -> bool:
        return READY in self._said.split(b"\n")

    @property
    def code(self) -> int | None:
        """The exit code of its shell, when it has ended."""
        for line in self._said.split(b"\n")[:-1]:
            if line.isdigit():
                return int(line) & 255
        return None

    def sources(self) -> list[int]:
        """File descriptors that become readable when listen() has something to take in, or the guest has ended."""
        return [self.guest.qemu.pidfd, self.guest.console.fileno(), self.guest.ports["end"].fileno()]

    def listen(self) -> bytes:
        """Take in what has come on the console and on the port `end`; what the console printed."""
        self._said = (self._said + taken(self.guest.ports["end"]))[-_KEPT:]
        fresh = taken(self.guest.console)
        self._console = (self._console + fresh)[-_KEPT:]
        self.gone = self.guest.qemu.ended and not fresh
        return fresh

    def lost(self, what: str) -> GuestLost:
        """Why, with what explains it."""
        text = self._console.decode(errors="replace")
        bad = trouble(text)
        if NO_PORTS in text:
            return GuestLost(f"{NO_PORTS}: give the commands on a terminal, or use another kernel")
        told = f"{bad[0]}: {bad[1]}" if bad else what
        tail = "\n".join(last_lines(text, _TAIL))
        return GuestLost(f"{told}\nthe end of its console:\n{tail}" if tail else told)

    def awaited(self, seconds: float) -> None:
        """Until its shell is there; GuestLost when that does not happen in time."""
        end = time.monotonic() + seconds
        while not self.ready:
            left = end - time.monotonic()
            if left <= 0:
                raise self.lost(f"no shell within {seconds:.0f} s")
            select.select(self.sources(), [], [], min(left, 1))
            self.listen()
            if self.gone and not self.ready:
                raise self.lost(self.guest.qemu.how_it_ended())


def taken(line: socket.socket) -> bytes:
    """What has come on a socket by now; b"" also when its other end is gone."""
    found = b""
    while len(found) < _GULP:
        try:
            piece = line.recv(_GULP)
        except OSError:
            break
        if not piece:
            break
        found += piece
    return found


def on_a_terminal(guest: ShellGuest, boot: float) -> int:
    """The guest's console on ours until its shell ends, or Ctrl-]; the shell's exit code. There is no deadline then.

    A kernel without virtio has a shell, too: there is nothing but the console, and its end is the end.
    """
    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    talk = _Talk(guest)
    end = time.monotonic() + boot
    wake, ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    resized = signal.signal(signal.SIGWINCH, lambda *_: os.write(ring, b"!") and None)
    started = False
    try:
        with raw(keys):
            while talk.code is None and not talk.gone:
                select.select([keys, wake, *talk.sources()], [], [], 1)
                fresh = talk.listen()
                started = started or bool(fresh)
                _write(screen, fresh)
                if not started and time.monotonic() > end:
                    raise talk.lost(f"no sign of life within {boot:.0f} s")
                if select.select([wake], [], [], 0)[0]:
                    os.read(wake, 64)
                    rows, columns = size()
                    _put(guest.ports["size"], b"%d %d\n" % (rows, columns))
                if select.select([keys], [], [], 0)[0]:
                    typed = os.read(keys, 1024)
                    if not typed or ESCAPE in typed:
                        return 0
                    _put(guest.console, typed)
            _write(screen, _rest(talk))
    finally:
        signal.signal(signal.SIGWINCH, resized)
        os.close(wake)
        os.close(ring)
    return _code(talk)


def _rest(talk: _Talk) -> bytes:
    """Until the guest has powered off."""
    end = time.monotonic() + _AFTER
    found = talk.listen()
    while not talk.gone and time.monotonic() < end:
        select.select(talk.sources(), [], [], 0.1)
        found += talk.listen()
    return found


def _code(talk: _Talk) -> int:
    if talk.code is not None:
        return talk.code
    if talk.ready or talk.guest.qemu.crashed:
        raise talk.lost(talk.guest.qemu.how_it_ended())
    return 0  # a kernel without virtio


def on_pipes(guest: ShellGuest, boot: float, timeout: float) -> int:
    """Commands from standard input, their output where it belongs, the shell's exit code."""
    talk = _Talk(guest)
    talk.awaited(boot)
    end = time.monotonic() + timeout
    source, held = sys.stdin.fileno(), b""
    into: socket.socket | None = guest.ports["in"]
    out, err = guest.ports["out"], guest.ports["err"]
    reading = True
    while talk.code is None:
        if time.monotonic() > end:
            raise talk.lost(f"the commands did not end within {timeout:.0f} s: --timeout gives them more")
        wanted = [*talk.sources(), out.fileno(), err.fileno(), *([source] if reading and not held else [])]
        full = [into.fileno()] if into is not None and held else []
        ready, _, _ = select.select(wanted, full, [], 1)
        if source in ready:
            held = os.read(source, _GULP)
            reading = bool(held)
        if into is not None and held:
            try:
                held = held[into.send(held) :]
            except BlockingIOError:
                pass
            except OSError:
                held, reading = b"", False
        if into is not None and not reading and not held:
            # The guest's shell reads that as the end of its input. Not close(): QEMU takes a hang-up for
            # a reason to drop what it has not read yet.
            with contextlib.suppress(OSError):
                into.shutdown(socket.SHUT_WR)
            into = None
        _write(1, taken(out))
        _write(2, taken(err))
        talk.listen()
        if talk.gone and talk.code is None:
            raise talk.lost(guest.qemu.how_it_ended())
    _write(1, taken(out))
    _write(2, taken(err))
    return talk.code


def _put(line: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # a guest that takes nothing: as a terminal whose other end hangs
        line.send(data)


def _write(to: int, data: bytes) -> None:
    while data:
        data = data[os.write(to, data) :]


def attached(line: socket.socket) -> int:
    """The console of a kept guest on our terminal until Ctrl-], or its end: it lives on without us."""
    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    with raw(keys) if os.isatty(keys) else contextlib.nullcontext():
        line.sendall(b"\r")  # what was printed before we came is gone: a new prompt
        while True:
            ready, _, _ = select.select([keys, line], [], [])
            if line in ready:
                fresh = line.recv(_GULP)
                if not fresh:
                    return 0
                _write(screen, fresh)
            if keys in ready:
                typed = os.read(keys, 1024)
                if not typed or ESCAPE in typed:
                    return 0
                line.sendall(typed)
