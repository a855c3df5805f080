"""The end of a run on the screen: what is not well, families by target, and in the last lines the answer.

With -v, all that `sysevent report` shows. On a terminal, lines that only add details are cut at its width.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from sysevent.checkout import typed
from sysevent.model import Status
from sysevent.plugin.options import TARGETS
from sysevent.plugin.run import RUN
from sysevent.plugin.summary import OBSERVED, markup, unmet_requirements, written
from sysevent.report import (
    dimensions,
    errata_seen,
    families,
    kernels,
    live_readings,
    next_step,
    readers_table,
    records,
    skips,
)
from sysevent.report.exit_code import judged
from sysevent.report.grouping import noteworthy
from sysevent.report.matrix import lines, matrix, summary
from sysevent.text import escape_line

# Lines about FAIL, ERROR and MISS below the table, which must not push the table off the screen.
_BELOW = 6


class _Screen(msgspec.Struct, frozen=True):
    """Where the lines go."""

    reporter: pytest.TerminalReporter
    # Columns of the terminal; None if the output is not a terminal.
    width: int | None

    def write(self, line: str, **style: bool) -> None:
        """Print a line, escaped: it can hold what guests and target files wrote."""
        self.reporter.write_line(escape_line(line), **style)

    def detail(self, line: str, **style: bool) -> None:
        """Print a line that `sysevent report` has in full; on a terminal it is cut."""
        line = escape_line(line)
        if self.width is not None and len(line) > self.width:
            line = f"{line[: self.width - 1]}…"
        self.reporter.write_line(line, **style)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    """Print the end of the run, from the records on disk, behind all that pytest and other plugins print."""
    try:
        return (yield)
    finally:
        if RUN in config.stash:
            width = config.get_terminal_writer().fullwidth if terminalreporter.isatty() else None
            _print(_Screen(terminalreporter, width), config)


def _print(screen: _Screen, config: pytest.Config) -> None:
    run = config.stash[RUN]
    everything = written(run, () if config.option.verbose > 0 else OBSERVED)
    report = f"{typed()} report" + (
        f" {shlex.quote(str(run.results))}" if config.getoption("results") else ""
    )
    if config.option.verbose > 0:
        _details(screen, everything)
    if config.option.verbose >= 0:
        _context(screen, everything, verbose=config.option.verbose > 0)
        table = families.table(families.families(everything), screen.width)
        if table.rows:
            screen.reporter.section(f"claims by target: {table.legend}")
        for row in table.rows:
            screen.write(row.text, **(markup(row.worst) if row.worst else {"bold": True}))
    bad = [(status, line) for status, line in noteworthy(everything) if status is not Status.DONE]
    for status, line in bad[:_BELOW]:
        # Each is in full among pytest's failures.
        screen.detail(line, **markup(status))
    if len(bad) > _BELOW:
        screen.write(f"and {len(bad) - _BELOW} lines more: {report}")
    _answer(screen, config, everything, report)


def _answer(screen: _Screen, config: pytest.Config, everything: list[records.Record], report: str) -> None:
    """Print what makes the run fail besides verdicts, the counts, what to look at next, and where the results are."""
    run = config.stash[RUN]
    verdicts = [record for record in everything if isinstance(record, records.Verdict)]
    for line in unmet_requirements(verdicts, config.getoption("require")):
        screen.write(f"required, so that this run fails: {line}", red=True)
    if run.log.failed:
        screen.write(run.log.failed, red=True, bold=True)
    if not judged(verdicts):
        screen.write("no claim was judged: the run fails", yellow=True)
    for line in _kept(everything):
        screen.write(line)
    asked = {spec.id for spec in config.stash[TARGETS]} & {record.target for record in verdicts}
    counts = summary(matrix(everything))
    screen.write(f"{len(asked)} target{'' if len(asked) == 1 else 's'} asked: {counts}", bold=True)
    if verdicts:
        screen.write(next_step.line(everything, str(run.results), report, typed()))
    screen.write(f"results: {run.results}")


def _details(screen: _Screen, everything: Sequence[records.Record]) -> None:
    """Print what only -v shows."""
    screen.reporter.section("claims one by one")
    for line, worst in lines(matrix(everything)):
        screen.write(line, **(markup(worst) if worst else {"bold": True}))
    for line in dimensions.lines(everything):
        screen.write(line)
    readings = readers_table.read(everything)
    live = live_readings.read(everything, readings)
    table = readers_table.lines(readers_table.table(readings, live))
    if table:
        screen.reporter.section("how each generation of userspace reads these events")
        for line in (*table, *(text for _, text in live_readings.notes(live))):
            screen.write(line)


def _context(screen: _Screen, everything: Sequence[records.Record], *, verbose: bool) -> None:
    """Print which kernels answered, and what is not an alarm: DONE and SKIP."""
    lines = [
        *((line, {}) for line in kernels.lines(everything)),
        *((line, markup(status)) for status, line in noteworthy(everything) if status is Status.DONE),
        *((line, {}) for line in errata_seen.lines(everything)),
        *((line, markup(Status.SKIP)) for line in skips.lines(everything)),
    ]
    if lines:
        screen.reporter.section("kernels, notes, and what does not apply")
    for line, style in lines:
        (screen.write if verbose else screen.detail)(line, **style)


def _kept(everything: Sequence[records.Record]) -> Iterator[str]:
    """How to reach each guest that runs on, and how to end it."""
    for kept in (record for record in everything if isinstance(record, records.Kept)):
        yield f"kept: {kept.target} pid {kept.pid}, which ends {kept.limit} s after it was started"
        yield f"  attach with: {typed()} shell --attach {shlex.quote(kept.directory)}"
        yield f"  end it with: kill {kept.pid}"
