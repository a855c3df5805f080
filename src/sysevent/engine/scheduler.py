"""The targets of one run: prepared in a thread, started from this one, never more guests at a time than cores.

While one guest is asked, the next one boots, and what the one after that boots from is fetched, unpacked and
compiled. All of it happens in attend(), which the loop calls: only one thread touches guests.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Sequence
from typing import Protocol

from sysevent.engine.asker import Asker
from sysevent.engine.loop import Awaited, Loop
from sysevent.errors import SyseventError
from sysevent.model import Progress

# Seconds between two looks at whether a target is prepared.
_LOOK = 0.5


class Room(Protocol):
    """Whether this machine has room for one more guest, over all runs."""

    def enter(self, asker: Asker) -> bool:
        """Whether a guest may start now, or has been let in already. Never waits."""

    def leave(self, asker: Asker) -> None:
        """A guest has ended. Any number of times."""


class _Unlimited:
    """Room for every guest."""

    def enter(self, asker: Asker) -> bool:
        return True

    def leave(self, asker: Asker) -> None:
        """Nothing is counted."""


class Scheduler:
    """Targets in the order in which they will be wanted. Not thread-safe; use it from the main thread.

    QEMU dies with the thread that starts it (qemu/process.py), so that has to be the one that lives longest.
    """

    def __init__(
        self,
        askers: Sequence[Asker],
        loop: Loop,
        progress: Progress,
        *,
        most: int | None = None,
        room: Room | None = None,
        keep: bool = False,
    ) -> None:
        """The loop must be the one that the askers have. Nothing starts yet.

        most: guests that may run at a time; None: one for each core.
        keep: True if a guest must not end before it is done(), to make room for another one.
        """
        # Not started yet. After the first, which is wanted at once, those with most to answer: what is left
        # for the end should be little, since nothing runs beside it.
        self._waiting = [*askers[:1], *sorted(askers[1:], key=lambda asker: -asker.weight)]
        # Started or about to be, and not done.
        self._running: list[Asker] = []
        # Ended, and able to start once more.
        self._rested: list[Asker] = []
        self._loop = loop
        self._progress = progress
        self._room = room or _Unlimited()
        self._most = most or len(os.sched_getaffinity(0))
        self._keep = keep
        # By the thread.
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._bell, self._ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # What the thread prepares.
        self._preparing: list[Asker] = []
        self._thread: threading.Thread | None = None
        loop.background = self

    def begin(self) -> None:
        """Start preparing targets, the first one first."""
        self._preparing = list(self._waiting)
        # A daemon: Ctrl-C during a download of 100 MB must not wait for its end.
        self._thread = threading.Thread(
            target=self._prepare, args=(self._preparing,), name="prepare", daemon=True
        )
        self._thread.start()

    def _prepare(self, askers: list[Asker]) -> None:
        """In the thread: files only, no guest is touched."""
        for asker in askers:
            asker.restarts.prepare(self._say)
            self._wake()
        for asker in askers:
            asker.compile_payloads()

    def _say(self, line: str) -> None:
        self._said.put(line)
        self._wake()

    def _wake(self) -> None:
        # When the pipe is full, the loop wakes up anyway; when it is closed, nothing waits for it.
        with contextlib.suppress(OSError):
            os.write(self._ring, b"!")

    def sources(self) -> list[int]:
        """See Background in engine/loop.py."""
        return [self._bell, *(fd for asker in self._running for fd in asker.sources())]

    def attend(self, awaited: Awaited | None = None) -> None:
        """Show what the thread has said, start what can be started, and get on with every guest that runs."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._bell, 4096):
                pass
        while not self._said.empty():
            self._progress(self._said.get())
        self._rest()
        self._start()
        for asker in self._running:
            asker.attend(awaited)

    def _start(self) -> None:
        """Start targets in their order, as long as there is room."""
        while self._waiting and self._waiting[0].restarts.prepared and len(self._running) < self._most:
            if not self._room.enter(self._waiting[0]):
                break
            asker = self._waiting.pop(0)
            self._running.append(asker)
            # What goes wrong is remembered, and raised when the target is asked. One that was asked before its
            # turn has started by itself.
            with contextlib.suppress(SyseventError):
                if asker.restarts.session is None:
                    asker.restarts.start()

    def _rest(self) -> None:
        """End guests that have answered everything, where another one waits for a place.

        One that is asked something that was not planned starts once more, by itself.
        """
        for asker in [a for a in self._running if a.finished and len(self._running) >= self._most]:
            if self._waiting and not self._keep:
                self._leave(asker)
                self._rested.append(asker)

    def wanted(self, asker: Asker) -> None:
        """See to it that a target may run now, whatever the order was."""
        if asker not in self._running and not asker.finished:
            if asker in self._waiting:
                self._waiting.remove(asker)
            self._waiting.insert(0, asker)
            while len(self._running) >= self._most:
                # Started too early, by an order of tests that could not be foreseen.
                self._waiting.insert(1, self._take_back())
        if self._thread is not None and asker in self._preparing:
            thread = self._thread
            self._loop.wait_in_background(
                lambda: asker.restarts.prepared or asker not in self._waiting or not thread.is_alive(), _LOOK
            )
        self.attend()

    def _take_back(self) -> Asker:
        """End the guest that was started last, so that another one gets its place."""
        early = self._running[-1]
        self._leave(early)
        return early

    def retreat(self) -> None:
        """End every guest, as if none had been started yet: a run that waits for other runs holds nothing."""
        while self._running:
            self._waiting.insert(0, self._take_back())

    def done(self, asker: Asker) -> None:
        """A target has been asked everything: it ends. Another one takes its place when the next one is wanted.

        Not now: this may be the end of the run, on the way out of a Ctrl-C.
        """
        self._leave(asker)
        if asker in self._waiting:
            self._waiting.remove(asker)

    def _leave(self, asker: Asker) -> None:
        asker.close()
        self._room.leave(asker)
        if asker in self._running:
            self._running.remove(asker)

    def close(self) -> None:
        """No guest runs afterwards, and none is started any more."""
        self._waiting.clear()
        for asker in (*self._running, *self._rested):
            self._leave(asker)
        self._loop.background = None
        ring, self._ring = self._ring, -1
        os.close(ring)
        os.close(self._bell)
