"""Prepares the files of guests while tests are collected: that takes a third of a second, in which a core is idle.

Nothing is downloaded and no guest starts before it is known which tests there are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Protocol

import pytest

from sysevent.hosts.base import Opener
from sysevent.hosts.openers import obstacle, qemu_opener
from sysevent.plugin import options
from sysevent.plugin.mistakes import asks_suites
from sysevent.targets.spec import TargetSpec

# Seconds for the thread to end: it compiles what is not in the cache.
_LAST_COMPILATION = 2.0


class Preparable(Opener, Protocol):
    """An opener of guests in QEMU."""

    def prepare_ahead(self) -> None:
        """Prepare what takes only files of the cache; raise nothing."""


class Ahead:
    """A thread that prepares the files of one target after the other."""

    def __init__(self, specs: Iterable[TargetSpec], opener: Callable[[TargetSpec], Preparable]) -> None:
        """Begin with the first target."""
        self._opener = opener
        self._ready: dict[str, Preparable] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._prepare, args=(tuple(specs),), name="ahead", daemon=True)
        self._thread.start()

    def _prepare(self, specs: tuple[TargetSpec, ...]) -> None:
        for spec in specs:
            if self._stopped.is_set():
                return
            # The import of QEMU's modules, too, is done in this thread.
            self._ready[spec.id] = opener = self._opener(spec)
            opener.prepare_ahead()

    def take(self, spec: TargetSpec) -> Opener | None:
        """The opener of a target, whose prepare() waits for the thread if need be; None if it has not begun with it."""
        return self._ready.pop(spec.id, None)

    def stop(self) -> None:
        """Begin with no further target."""
        self._stopped.set()

    def close(self) -> None:
        """End the thread."""
        self.stop()
        self._thread.join(_LAST_COMPILATION)


AHEAD = pytest.StashKey[Ahead]()


def opener_of(config: pytest.Config, spec: TargetSpec) -> Opener | None:
    """The opener of a target that is being prepared since its tests were collected; None if there is none."""
    return config.stash[AHEAD].take(spec) if AHEAD in config.stash else None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Prepare the selected targets while tests are collected, except in workers of pytest-xdist: each needs a few."""
    config = session.config
    if config.option.collectonly or hasattr(config, "workerinput") or not asks_suites(config):
        return (yield)
    settings, modules = options.of(config), config.getoption("modules")
    specs = [spec for spec in config.stash[options.TARGETS] if spec.booted and not obstacle(spec)]
    config.stash[AHEAD] = ahead = Ahead(
        specs, lambda spec: qemu_opener(spec, settings, Path(modules) if modules else None)
    )
    config.add_cleanup(ahead.close)
    try:
        return (yield)
    finally:
        ahead.stop()
