"""Which test runs next: one whose answer has arrived, whatever the target. Verdicts come while other guests still work.

pytest has decided on the next test when it runs one, because fixtures end between them: the one after it is chosen. A
worker of pytest-xdist runs what its controller sends, in that order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence

import pytest

from sysevent.contract.exit_claim import ExitClaim
from sysevent.hosts.openers import obstacle
from sysevent.plugin.case import case_of, target_of
from sysevent.plugin.run import RUN


class Order:
    """The tests of one session, whose list it rearranges while pytest walks through it."""

    def __init__(
        self,
        items: list[pytest.Item],
        ready: Callable[[pytest.Item], bool],
        wait: Callable[[Sequence[pytest.Item], Callable[[], bool]], pytest.Item | None],
    ) -> None:
        """ready: whether a test can run without waiting for a guest.

        wait: serves the guests of these tests, until one has answered so that the function returns True. It returns
        earlier if nothing can be waited for; with a test whose guest is why, because it is lost or asked nothing more.

        items: those of one target stand together, and run in their order; a target that comes first is preferred.
        """
        self._items = items
        self._ready = ready
        self._wait = wait
        self._left: dict[str, deque[pytest.Item]] = {}
        for item in items:
            self._left.setdefault(_place(item), deque()).append(item)
        # How many are chosen. pytest takes two at its start.
        self._chosen = 0
        self._ran = 0
        for item in items[:2]:
            self._take(_place(item))

    def advance(self, *, stopping: bool = False) -> None:
        """Choose one more test, after one has run; wait until one is ready, unless the session is stopping.

        A test that waits for itself would wait for its own guest, while those of others become ready.
        """
        self._ran += 1
        if self._chosen == len(self._items):
            return
        current = _place(self._items[self._chosen - 1])
        left = {place: self._left[place][0] for place in (current, *self._left) if self._left.get(place)}

        def ready() -> list[str]:
            return [place for place, item in left.items() if self._ready(item)]

        lost = None if stopping else self._wait(list(left.values()), lambda: bool(ready()))
        # Its guest starts again while the others work.
        self._take(_place(lost) if lost else (ready() or list(left))[0])

    def returns_to(self, target: str) -> bool:
        """Whether a test of a target, by its id, will run after the one that pytest has begun."""
        return bool(self._left.get(target)) or any(
            _place(item) == target for item in self._items[self._ran + 1 : self._chosen]
        )

    def _take(self, place: str) -> None:
        self._items[self._chosen] = self._left[place].popleft()
        self._chosen += 1

    def settle(self) -> None:
        """Put the tests that were not chosen at the end of the list, in their first order: it has each test once."""
        self._items[self._chosen :] = [item for left in self._left.values() for item in left]


ORDER = pytest.StashKey[Order]()


def _place(item: pytest.Item) -> str:
    spec = target_of(item)
    return spec.id if spec else ""


def returns_to(config: pytest.Config, target: str) -> bool:
    """Whether this session runs another test of a target, by its id, after tests of others."""
    return ORDER in config.stash and config.stash[ORDER].returns_to(target)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Rearrange the tests while they run."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly:
        return (yield)
    config.stash[ORDER] = order = Order(session.items, _ready, _wait)
    try:
        return (yield)
    finally:
        order.settle()
        del config.stash[ORDER]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Choose the test after the next one, when a test has run."""
    # Not after an exception: Ctrl-C must not wait for a guest.
    done = yield
    if ORDER in item.config.stash:
        stopping = bool(item.session.shouldstop or item.session.shouldfail)
        item.config.stash[ORDER].advance(stopping=stopping)
    return done


def _ready(item: pytest.Item) -> bool:
    """Whether a test can run without waiting for a guest.

    The tests of a machine that is leased are never interrupted by others, nor those of a target without a guest.
    """
    spec, case = target_of(item), case_of(item)
    if spec is None or RUN not in item.config.stash:
        return True
    guest = item.config.stash[RUN].started(spec.id)
    if guest is None or not spec.booted:
        return not spec.booted or bool(obstacle(spec, item.config.getoption("kernel")))
    if case is not None and isinstance(case.claim, ExitClaim):
        return not guest.awaits(case.claim.asks, case.claim.abi or case.abi)
    return not guest.awaits()


def _wait(items: Sequence[pytest.Item], done: Callable[[], bool]) -> pytest.Item | None:
    """Serve all guests at least once, so that none waits while tests are judged; see Order.

    The deadlines are those of the first guest of these tests that runs. Without one, there is nothing to wait for.
    """
    stash = items[0].config.stash
    if RUN not in stash:
        return None
    stash[RUN].attend()
    if done():
        return None
    for item in items:
        spec = target_of(item)
        guest = stash[RUN].started(spec.id) if spec else None
        if guest is not None and guest.restarts.session is not None:
            return None if guest.wait(done) else item
    return None
