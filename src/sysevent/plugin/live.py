"""What is on the screen while tests run: a line for each target on a terminal, else a line now and then.

It takes the place of pytest's dots. With -v, with a debugger, and with fixtures shown, pytest's own lines stay.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import pytest

from sysevent.engine.loop import Awaited, Background
from sysevent.engine.stage import Stage
from sysevent.model import Status
from sysevent.plugin import block, status_lines
from sysevent.plugin.case import HEADERS, place, place_of, status_of
from sysevent.plugin.options import TARGETS
from sysevent.plugin.status_lines import TargetState

# Seconds between two drawings, and between two lines where nothing is redrawn.
_REDRAW, _HEARTBEAT = 0.1, 10.0
# Lines of the terminal that are left to other output.
_ABOVE = 2

# Category, letter and word of an outcome.
_Shown = tuple[str, str, str | tuple[str, dict[str, bool]]]


@contextlib.contextmanager
def printing(config: pytest.Config) -> Iterator[None]:
    """Print to the terminal within this context, although pytest captures output."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        yield


class Live:
    """The states of all targets, and when they were shown last."""

    def __init__(self, config: pytest.Config, reporter: pytest.TerminalReporter) -> None:
        self._config = config
        self._reporter = reporter
        # By target, in order, and the target of each test.
        self._totals: dict[str, int] = {}
        self._targets: dict[str, str] = {}
        self._counts: dict[str, Counter[Status]] = {}
        self._done: Counter[str] = Counter()
        # Set by the run, which has the guests.
        self.stage: Callable[[str], Stage | None] = lambda _: None
        # Output of tests that is not captured would be between the lines, and be erased.
        draws = reporter.isatty() and config.option.capture == "fd" and block.size() is not None
        writer = config.get_terminal_writer()
        self._block = block.Block(writer, block.columns) if draws else None
        self._begun = time.monotonic()
        self._next = 0.0 if draws else self._begun + _HEARTBEAT
        # -q asks for fewer lines, not for none that vanishes.
        self._silent = config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) < 0
        # No names of files, which pytest prints before the dots.
        reporter.showfspath = False

    def expect(self, tests: Iterable[tuple[str, str]]) -> None:
        """Count these tests, by node id and target; those that are known already count once."""
        for nodeid, target in tests:
            if nodeid not in self._targets:
                self._targets[nodeid] = target
                self._totals[target] = self._totals.get(target, 0) + 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test whose outcome is known."""
        target = self._targets.get(report.nodeid)
        if target is None or report.when == "teardown" or (report.when == "setup" and report.passed):
            return
        self._done[target] += 1
        if status := status_of(report):
            self._counts.setdefault(target, Counter())[status] += 1
        if self._block is None and not self._silent and self._done[target] == self._totals[target]:
            self._print(f"{target}: {status_lines.text(self._state(target))}")
        self.refresh()

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, _Shown, _Shown]:
        """Print no letter for a test; it is counted all the same."""
        category, _, _ = yield
        return category, "", ""

    def pytest_enter_pdb(self) -> None:
        """Redraw nothing any more, and leave the lines where they are: the debugger has printed below them."""
        if self._block:
            self._block.forget()
        self._end_block()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Count the tests that a worker has collected; all workers collect the same."""
        targets = self._config.stash[TARGETS]
        places = ((nodeid, place(nodeid, targets)[0]) for nodeid in ids)
        self.expect((nodeid, found.id if found else HEADERS) for nodeid, found in places)

    def refresh(self, *, now: bool = False) -> None:
        """Show how far every target is, if it is time for it; now: if lines are redrawn, at once."""
        if time.monotonic() < self._next and not (now and self._block):
            return
        states = [self._state(target) for target in self._totals]
        if self._block is None:
            self._next = time.monotonic() + _HEARTBEAT
            if not self._silent and not all(state.finished for state in states):
                self._print(status_lines.heartbeat(states, time.monotonic() - self._begun))
            return
        self._next = time.monotonic() + _REDRAW
        with printing(self._config):
            size = block.size()
            if size:
                self._block.draw(status_lines.block(states, size.columns, size.lines - _ABOVE))

    def end(self) -> None:
        """Erase what was drawn, and let pytest print as usual. Call nothing after it."""
        self._end_block()
        self._reporter.showfspath = None

    def _end_block(self) -> None:
        if self._block:
            with printing(self._config):
                self._block.close()
            self._block, self._next = None, time.monotonic() + _HEARTBEAT

    def _state(self, target: str) -> TargetState:
        counts, done = self._counts.get(target, Counter()), self._done[target]
        return TargetState(target, done, self._totals[target], counts, self.stage(target))

    def _print(self, line: str) -> None:
        with printing(self._config):
            self._reporter.ensure_newline()
            self._reporter.write_line(f"  {line}", light=True)
            self._reporter.flush()


LIVE = pytest.StashKey[Live]()


class Watched:
    """The background of a wait, after each turn of which the screen is refreshed."""

    def __init__(self, background: Background, config: pytest.Config) -> None:
        self._background = background
        self._config = config

    def sources(self) -> list[int]:
        """See Background."""
        return self._background.sources()

    def attend(self, awaited: Awaited | None) -> None:
        """See Background."""
        self._background.attend(awaited)
        refresh(self._config)


def refresh(config: pytest.Config, *, now: bool = False) -> None:
    """Refresh what is shown of this session, if anything is."""
    if LIVE in config.stash:
        config.stash[LIVE].refresh(now=now)


def _wanted(session: pytest.Session) -> bool:
    """Whether this session asks targets, and pytest's dots would be its only sign of life."""
    option: Any = session.config.option
    if option.collectonly or option.usepdb or option.trace or getattr(option, "setupshow", False):
        return False
    if session.config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) > 0 or hasattr(
        session.config, "workerinput"
    ):
        return False
    return _distributed(session.config) or any(place_of(item) for item in session.items)


def _distributed(config: pytest.Config) -> bool:
    """Whether pytest-xdist runs the tests in other processes."""
    return bool(config.pluginmanager.has_plugin("dsession"))


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Show how far the targets are, until the last test has run or the session is interrupted."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not _wanted(session):
        return (yield)
    live = session.config.stash[LIVE] = Live(session.config, reporter)
    session.config.pluginmanager.register(live)
    live.expect((item.nodeid, target) for item in session.items if (target := place_of(item)))
    try:
        return (yield)
    finally:
        live.end()
        session.config.pluginmanager.unregister(live)
        del session.config.stash[LIVE]
