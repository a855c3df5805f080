"""What is not well, on the screen: each cause once, the first of its claims in full, and the others by name.

pytest would print the whole text of every failure, and each again in its short summary.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

import pytest

from sysevent.model import Status
from sysevent.plugin.case import STATUS
from sysevent.plugin.run import RUN
from sysevent.plugin.summary import OBSERVED, markup, written
from sysevent.report import records
from sysevent.report.grouping import Cause, causes, others_of
from sysevent.text import escape_line

# pytest's categories of reports, those of summary.py among them.
_CATEGORIES = ("failed", "error", "missed")
# Causes of each status that are shown in full, names of other claims, and lines of a text, which can hold a guest's
# console; -v has no such limits.
_IN_FULL = 5
_NAMED = 12
_LINES = 60
# How lines begin that are to be pasted.
_PASTED = ("logs ", "again ")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    """Print what is not well by cause, and keep pytest from printing it claim by claim."""
    if RUN not in config.stash:
        return (yield)
    stats = terminalreporter.stats
    kept = {name: stats[name] for name in _CATEGORIES if name in stats}
    # Teardowns, and tests without a claim, are left to pytest.
    texts = {
        report.nodeid: report
        for reports in kept.values()
        for report in reports
        if any(name == STATUS for name, _ in getattr(report, "user_properties", ()))
    }
    if config.option.tbstyle != "no" and not terminalreporter.no_summary:
        verdicts = [
            record for record in written(config.stash[RUN], OBSERVED) if isinstance(record, records.Verdict)
        ]
        _print(terminalreporter, verdicts, texts, verbose=config.option.verbose > 0)
    for name, reports in kept.items():
        stats[name] = [report for report in reports if texts.get(report.nodeid) is not report]
    try:
        return (yield)
    finally:
        # pytest's closing line counts them.
        stats.update(kept)


def _print(
    reporter: pytest.TerminalReporter,
    verdicts: list[records.Verdict],
    texts: dict[str, pytest.TestReport],
    *,
    verbose: bool,
) -> None:
    found = causes(one for one in verdicts if one.status in (Status.FAIL, Status.ERROR, Status.MISS))
    if not found:
        return
    # A script reads whole lines.
    width = reporter._tw.fullwidth if reporter.isatty() else None
    reporter.section("what is not well, by cause")
    count: Counter[Status] = Counter()
    for cause in found:
        if count.total():
            reporter.write_line("")
        count[cause.status] += 1
        for line in wrapped(escape_line(str(cause)), width):
            reporter.write_line(line, **markup(cause.status))
        report = texts.get(cause.verdicts[0].nodeid)
        if report is not None and (verbose or count[cause.status] <= _IN_FULL):
            for line in shown(cause, report.longreprtext, None if verbose else _LINES):
                reporter.write_line("\n".join(wrapped(f"  {line}", width)))
            for title, content in report.sections:
                reporter.write_line(f"  {title}:\n{content}")
        named = others_of(cause, verdicts, None if verbose else _NAMED)
        if named:
            reporter.write_line("\n".join(wrapped(f"  {escape_line(named)}", width)))


def wrapped(line: str, width: int | None) -> list[str]:
    """A line in lines of a width, broken between words and indented; one to paste, and one for a pipe, stay whole."""
    indent = len(line) - len(line.lstrip())
    if width is None or len(line) <= width or line.lstrip().startswith(_PASTED):
        return [line]
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * (indent + 4),
        break_long_words=False,
        break_on_hyphens=False,
    )


def shown(cause: Cause, text: str, most: int | None) -> list[str]:
    """The lines of the text of a cause's first claim, at most so many, without what the line above them says."""
    lines = [line.removeprefix("  ") for line in text.splitlines()]
    if lines and (not cause.shared or len(cause.tests) == 1):
        del lines[0]
    elif lines:
        lines[0] = lines[0].replace(f": {cause.shared}. ", ": ", 1)
    if most is None or len(lines) <= most:
        return lines
    # The last two are the logs and the command.
    return [*lines[: most - 2], f"({len(lines) - most} more lines: -v)", *lines[-2:]]
