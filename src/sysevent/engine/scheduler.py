"""The targets of one run: prepared in a thread, started from the main thread, one guest more than cores at most.

While scenarios run on one guest, the next one boots, and the files of the one after that are fetched, unpacked and
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
from sysevent.hosts.waiting import Waker
from sysevent.model import Progress
from sysevent.targets.spec import TargetSpec

# Seconds between two checks whether a target is prepared.
_POLL = 0.5
# Seconds for the thread to end. A download may take longer, and is not waited for.
_LAST_COMPILATION = 2.0


def at_a_time() -> int:
    """How many guests run at a time: one more than this process has cores.

    A guest that waits for its next request leaves its core idle: with three targets on two cores that is a fifth of
    the time of a run.
    """
    return len(os.sched_getaffinity(0)) + 1


class GuestSlots(Protocol):
    """The slots of this machine for guests, shared by all runs."""

    def try_take(self, spec: TargetSpec) -> bool:
        """Take a slot for the guest of a target; True if it has one now, or had one. Does not wait."""

    def release(self, spec: TargetSpec) -> None:
        """Release the slot of a guest that has ended; without effect if it has none."""


class _Unlimited:
    """A slot for every guest."""

    def try_take(self, spec: TargetSpec) -> bool:
        return True

    def release(self, spec: TargetSpec) -> None:
        """Slots are not counted."""


class Scheduler:
    """Starts and ends guests, in the order in which they will be required. Not thread-safe: for the main thread only.

    QEMU dies with the thread that starts it (qemu/process.py), so this has to be the thread that lives longest.
    """

    def __init__(
        self,
        askers: Sequence[Asker],
        loop: Loop,
        progress: Progress,
        *,
        max_running: int | None = None,
        slots: GuestSlots | None = None,
        keep: bool = False,
    ) -> None:
        """The loop must be the one that the askers have. Nothing starts yet.

        max_running: guests that may run at a time; None: at_a_time().
        slots: limits the guests of all runs on this machine together; None: no such limit.
        keep: True if only release() may end a guest, and not the start of another one.
        """
        # Not started yet.
        self._waiting = list(askers)
        self.reorder()
        # Started or about to be, and not released.
        self._running: list[Asker] = []
        # Ended before release(), and able to start once more.
        self._ended: list[Asker] = []
        self._loop = loop
        self._progress = progress
        self._slots = slots or _Unlimited()
        self._max_running = max_running or at_a_time()
        self._keep = keep
        # Progress lines of the thread.
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._waker = Waker()
        # The targets that the thread prepares.
        self._preparing: list[Asker] = []
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        loop.background = self

    def reorder(self) -> None:
        """Let those targets wait longest that have the fewest questions, since no other guest runs beside the last one.

        Except for the first, which is required at once.
        """
        self._waiting[1:] = sorted(self._waiting[1:], key=lambda asker: -asker.weight)

    def begin(self) -> None:
        """Start preparing targets, the first one first."""
        self._preparing = list(self._waiting)
        # A daemon: Ctrl-C during a download of 100 MB must not wait for its end.
        self._thread = threading.Thread(
            target=self._prepare, args=(self._preparing,), name="prepare", daemon=True
        )
        self._thread.start()

    def _prepare(self, askers: list[Asker]) -> None:
        """Prepare the files of targets. Runs in the thread; touches no guest."""
        for asker in askers:
            asker.restarts.prepare(self._say)
            self._waker.wake()
        for asker in askers:
            asker.payloads.compile_all(self._closing.is_set)

    def _say(self, line: str) -> None:
        self._said.put(line)
        self._waker.wake()

    def sources(self) -> list[int]:
        """See Background in engine/loop.py."""
        return [self._waker.fileno(), *(fd for asker in self._running for fd in asker.sources())]

    def attend(self, awaited: Awaited | None = None) -> None:
        """Print the thread's progress lines, start targets that can start, and serve every guest that runs."""
        self._waker.clear()
        while not self._said.empty():
            self._progress(self._said.get())
        self._end_finished()
        self.start_prepared()
        for asker in self._running:
            asker.attend(awaited)

    def start_prepared(self) -> None:
        """Start targets that are prepared, as long as slots are free. Nothing is sent or received."""
        while (asker := self._next()) is not None:
            if not self._slots.try_take(asker.spec):
                break
            self._waiting.remove(asker)
            self._running.append(asker)
            # An error is stored, and raised by the next observe(). A target that was observed before its turn has
            # started by itself.
            with contextlib.suppress(SyseventError):
                if asker.restarts.session is None:
                    asker.restarts.start()

    def _next(self) -> Asker | None:
        """The next target to start: in their order, except that one which is prepared need not wait for a free place.

        There is one as long as each target before it has a place, too.
        """
        free = self._waiting[: max(0, self._max_running - len(self._running))]
        return next((asker for asker in free if asker.restarts.prepared), None)

    def _end_finished(self) -> None:
        """End guests that have answered all questions, if another one waits for a slot.

        An ended guest starts once more, by itself, when a question arrives that was not planned.
        """
        for asker in [a for a in self._running if a.finished and len(self._running) >= self._max_running]:
            if self._waiting and not self._keep:
                self._end_guest(asker)
                self._ended.append(asker)

    def require(self, asker: Asker) -> None:
        """Move the target to the front; end another guest if needed."""
        if asker not in self._running and not asker.finished:
            if asker in self._waiting:
                self._waiting.remove(asker)
            self._waiting.insert(0, asker)
            while len(self._running) >= self._max_running:
                # It was started too early: the order of the tests was not known.
                self._waiting.insert(1, self._end_latest())
        if self._thread is not None and asker in self._preparing:
            thread = self._thread
            self._loop.wait_in_background(
                lambda: asker.restarts.prepared or asker not in self._waiting or not thread.is_alive(), _POLL
            )
        self.attend()

    def _end_latest(self) -> Asker:
        """End the guest that was started last, and return its target."""
        latest = self._running[-1]
        self._end_guest(latest)
        return latest

    def end_all(self) -> None:
        """End every guest, and start them again in order later: a run that waits for other runs must not hold slots."""
        while self._running:
            self._waiting.insert(0, self._end_latest())

    def add_second(self, first: Asker, second: Asker) -> None:
        """Make place for a second guest of a target, which starts by itself: that of the first one if no other is free.

        The first one starts once more, by itself, if it is asked again. With keep it is not ended in any case.
        """
        beside = first.spec.booted and len(self._running) < self._max_running
        if (beside and self._slots.try_take(second.spec)) or first not in self._running or self._keep:
            self._running.append(second)
        else:
            first.wait()
            first.close()
            self._ended.append(first)
            self._running[self._running.index(first)] = second

    def release(self, asker: Asker) -> None:
        """End a target that no further question is for. The next require() or attend() starts another one.

        Not this method: it may be called at the end of the run, during Ctrl-C.
        """
        self._end_guest(asker)
        if asker in self._waiting:
            self._waiting.remove(asker)

    def _end_guest(self, asker: Asker) -> None:
        asker.close()
        self._slots.release(asker.spec)
        if asker in self._running:
            self._running.remove(asker)

    def close(self) -> None:
        """End every guest, and start none any more."""
        self._waiting.clear()
        self._closing.set()
        for asker in (*self._running, *self._ended):
            self._end_guest(asker)
        self._loop.background = None
        if self._thread is not None:
            # A compiler that outlives this process leaves its temporary files behind.
            self._thread.join(_LAST_COMPILATION)
        self._waker.close()
