"""The guests of one run: got ready in a thread, started from this one, never more at a time than cores.

While one guest is asked, the next one boots, and what the one after that boots from is fetched, unpacked and
compiled. All of it happens in attend(), which whoever waits calls: there is one thread that touches guests.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
from collections.abc import Sequence
from typing import Protocol

from sysevent.build import programs
from sysevent.engine.guest import Guest
from sysevent.errors import SyseventError
from sysevent.model import Progress
from sysevent.settings import Settings


class Room(Protocol):
    """Who says whether this machine has room for one more guest, over all runs."""

    def enter(self, guest: Guest) -> bool:
        """Whether a guest may start now, or has been let in already. Never waits."""
        ...

    def leave(self, guest: Guest) -> None:
        """A guest has ended. Any number of times."""
        ...


class _Anywhere:
    """Room for everybody."""

    def enter(self, guest: Guest) -> bool:
        return True

    def leave(self, guest: Guest) -> None:
        """Nobody counts."""


class Fleet:
    """Guests in the order in which they will be wanted. Not thread-safe; use it from the main thread.

    QEMU dies with the thread that starts it (qemu/process.py), so that has to be the one that lives longest.
    """

    def __init__(
        self,
        guests: Sequence[Guest],
        settings: Settings,
        progress: Progress,
        most: int | None = None,
        room: Room | None = None,
    ) -> None:
        # Not started yet. After the first, which is wanted at once, those with most to answer: what is left
        # for the end should be little, since nothing runs beside it.
        self._waiting = [*guests[:1], *sorted(guests[1:], key=lambda guest: -guest.ahead)]
        self._running: list[Guest] = []  # started or about to be, and not done
        self._rested: list[Guest] = []  # ended, and able to start once more
        self._settings = settings
        self._progress = progress
        self._room = room or _Anywhere()
        self._most = most or len(os.sched_getaffinity(0))
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()  # by the thread
        self._bell, self._ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread: threading.Thread | None = None
        for guest in guests:
            guest.life.others = self

    def begin(self) -> None:
        """Start getting guests ready, the first one first."""
        guests = list(self._waiting)
        # A daemon: whoever interrupts a download of 100 MB does not want to wait for its end.
        self._thread = threading.Thread(target=self._prepare, args=(guests,), name="prepare", daemon=True)
        self._thread.start()

    def _prepare(self, guests: list[Guest]) -> None:
        """In the thread: files only, no guest is touched."""
        for guest in guests:
            guest.life.prepare(self._tell)
            self._wake()
        for guest in guests:
            # One that does not compile is the business of the scenarios that need it.
            for path in sorted((programs.PAYLOADS / guest.arch.name).glob("*.S")):
                with contextlib.suppress(SyseventError):
                    programs.payload(guest.arch, path.stem, self._settings)

    def _tell(self, line: str) -> None:
        self._said.put(line)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: nobody needs to be woken twice; closed: nobody is left
            os.write(self._ring, b"!")

    def sources(self) -> list[int]:
        """File descriptors that become readable when attend() has something to do."""
        return [self._bell, *(fd for g in self._running if g.life.host for fd in g.life.host.sources())]

    def attend(self) -> None:
        """Show what the thread has said, start what can be started, and get on with every guest that runs."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._bell, 4096):
                pass
        while not self._said.empty():
            self._progress(self._said.get())
        self._rest()
        while self._waiting and self._waiting[0].life.prepared and len(self._running) < self._most:
            if not self._room.enter(self._waiting[0]):
                break
            guest = self._waiting.pop(0)
            self._running.append(guest)
            # What goes wrong is remembered, and told when the guest is asked.
            # Whoever is asked before its turn has started by itself.
            with contextlib.suppress(SyseventError):
                if guest.life.host is None:
                    guest.life.start()
        for guest in self._running:
            guest.attend()

    def _rest(self) -> None:
        """End guests that have nothing left to answer, where another waits for a place.

        One that is asked something nobody foresaw starts once more, by itself.
        """
        for guest in [g for g in self._running if g.finished and len(self._running) >= self._most]:
            if self._waiting:
                guest.close()
                self._room.leave(guest)
                self._running.remove(guest)
                self._rested.append(guest)

    def wanted(self, guest: Guest) -> None:
        """See to it that a guest may run now, whatever the order was."""
        if guest not in self._running and not guest.finished:
            if guest in self._waiting:
                self._waiting.remove(guest)
            self._waiting.insert(0, guest)
            guest.life.others = self
            while len(self._running) >= self._most:
                # Started too early, by an order of tests that nobody could foresee.
                self._waiting.insert(1, self._take_back())
        while guest in self._waiting and self._thread is not None and self._thread.is_alive():
            if guest.life.prepared:
                break
            self._wait()
        self.attend()

    def _take_back(self) -> Guest:
        """End the guest that was started last, so that another gets its place."""
        early = self._running.pop()
        early.close()
        self._room.leave(early)
        return early

    def retreat(self) -> None:
        """End every guest, as if none had been started yet: whoever waits for other runs holds nothing."""
        while self._running:
            self._waiting.insert(0, self._take_back())

    def _wait(self) -> None:
        select.select(self.sources(), [], [], 0.5)
        self.attend()

    def done(self, guest: Guest) -> None:
        """A guest has been asked everything: it ends. Another takes its place when the next one is wanted.

        Not now: this may be the end of all, on the way out of a Ctrl-C.
        """
        guest.close()
        self._room.leave(guest)
        if guest in self._running:
            self._running.remove(guest)
        if guest in self._waiting:
            self._waiting.remove(guest)

    def close(self) -> None:
        """No guest runs afterwards, and none is started any more."""
        self._waiting.clear()
        for guest in (*self._running, *self._rested):
            guest.close()
            self._room.leave(guest)
        self._running.clear()
        ring, self._ring = self._ring, -1
        os.close(ring)
        os.close(self._bell)
