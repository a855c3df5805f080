"""Exceptions in every phase of a pytest session are shown by their message, without the values in their frames.

pytest shows the arguments of failing functions. outcome.py does the same for the phases of tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sysevent.tracebacks import ours, with_frames

# How a test ends itself: pytest.skip(), pytest.fail(), pytest.xfail().
_OUTCOMES = (pytest.skip.Exception, pytest.fail.Exception, pytest.xfail.Exception)


def foreign(error: BaseException | None) -> bool:
    """Whether an exception comes from an error of a program, not from the end of a test that was intended."""
    return error is not None and not ours(error) and not isinstance(error, _OUTCOMES)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Iterator[None]:  # the wrapper's return value is the report
    """Show an exception of ours that ends the collection of a file by its message."""
    report: pytest.CollectReport = yield  # type: ignore[assignment]
    # Reports that --last-failed makes have none.
    call = getattr(report, "call", None)
    excinfo = call.excinfo if call is not None else None
    if excinfo is not None and ours(excinfo.value):
        report.longrepr = with_frames(excinfo.value)
    return report  # type: ignore[return-value]


@pytest.hookimpl(tryfirst=True)
def pytest_internalerror(excrepr: object, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Show an exception of ours that ends the session by its message. pytest prints excrepr afterwards."""
    if ours(excinfo.value):
        text = with_frames(excinfo.value)
        # An attribute of this object, in front of the method of its class.
        vars(excrepr)["toterminal"] = lambda writer: writer.line(text)
