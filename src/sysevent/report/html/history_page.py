"""The page of a history: what fails now and since when, what was repaired, what is flaky. No I/O but its templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sysevent.model import Status
from sysevent.report.history.collection import History, Point, Series
from sysevent.report.history.trend import Trend, order, trend
from sysevent.report.html import assets, plots

STYLES = ("base.css", "matrix.css", "history.css", "media.css")
SCRIPTS = ("theme.js", "history.js")
_BAD = (Status.FAIL, Status.ERROR, Status.MISS)
# Rows, kernels that each of them lists, and claims or targets that one names.
_LISTED = 400
_KERNELS = 12
_NAMED = 40


def render(history: History) -> str:
    """Return the page of a history."""
    trends = sorted(
        (trend(one, history.points) for one in history.series.values() if _unsteady(one)), key=order
    )
    groups = _grouped(trends)
    values = {
        "sentence": _sentence(history, trends),
        "totals": _totals(history),
        "plots": [plots.not_well(history.days), plots.seconds(history.days)],
        "days": [(day, found, dict(found.verdicts)) for day, found in history.days.items()],
        "statuses": list(Status),
        "rows": [_row(group) for group in groups[:_LISTED]],
        "more": max(len(groups) - _LISTED, 0),
        "steady": len(history.series) - len(trends),
        "kernels": _kernels(history),
        "strip": (plots.STRIP_WIDTH, plots.STRIP_HEIGHT),
    }
    return assets.fill("history.html", values, data={}, styles=STYLES, scripts=SCRIPTS)


def _unsteady(series: Series) -> bool:
    return any(status in series.counts for status in _BAD)


def _sentence(history: History, trends: Sequence[Trend]) -> str:
    failing = [one for one in trends if one.now is Status.FAIL]
    if not history.total:
        return "No claim was judged in these runs."
    if not failing:
        words = "Nothing fails in the newest runs"
        return f"{words}; {_repaired(trends)}." if trends else f"{words}, and nothing ever did."
    places = list(dict.fromkeys(one.series.place for one in failing))
    claims = len({one.series.claim for one in failing})
    where = ", ".join(places) if len(places) <= 3 else f"{len(places)} targets"
    return f"{claims} claim{'s' if claims > 1 else ''} FAIL{'' if claims > 1 else 'S'} now, on {where}."


def _repaired(trends: Sequence[Trend]) -> str:
    repaired = sum(one.repaired is not None for one in trends)
    return f"{repaired} claims on a target failed before and pass again"


def _totals(history: History) -> str:
    days, kernels = list(history.days), {point.kernel for point in history.points}
    span = f"{days[0]} to {days[-1]}" if days else "no day"
    unfinished = sum(day.unfinished for day in history.days.values())
    killed = f", {unfinished} of them without an end (killed)" if unfinished else ""
    return (
        f"{history.runs:,} runs{killed} from {span}: {history.total:,} verdicts on {len(history.series):,} pairs of "
        f"claim and target, {len(kernels):,} kernels."
    )


def _grouped(trends: Sequence[Trend]) -> list[list[Trend]]:
    """Return series with one story together, in their order.

    What fails: the same claim on several targets, from the same day on. What was not asked: all claims of a target with
    the same numbers, as of a board that was down.
    """
    groups: dict[tuple[object, ...], list[Trend]] = {}
    for one in trends:
        if one.first_bad is not None:
            until = one.repaired.day if one.repaired else ""
            key: tuple[object, ...] = (one.series.claim, one.now, one.first_bad.day, until)
        else:
            key = (one.series.place, *one.series.counts.items())
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _row(group: Sequence[Trend]) -> dict[str, Any]:
    found = group[0]
    claims = list(dict.fromkeys(one.series.claim for one in group))
    places = list(dict.fromkeys(one.series.place for one in group))
    bad = [one for one in found.kernels if any(one.counts.get(status) for status in _BAD)]
    return {
        "claim": claims[0] if len(claims) == 1 else f"{len(claims)} claims",
        "place": places[0] if len(places) == 1 else f"{len(places)} targets",
        "more": claims[:_NAMED] if len(claims) > 1 else places[:_NAMED] if len(places) > 1 else [],
        "left": max(len(claims) - _NAMED, len(places) - _NAMED, 0),
        "status": found.now if found.first_bad else next(iter(found.series.counts)),
        "last_good": _where(found.last_good),
        "first_bad": _where(found.first_bad),
        "repaired": _where(found.repaired),
        "flakiness": _flakiness(found),
        "milliseconds": f"{1000 * found.mean_seconds:.1f}",
        "counts": ", ".join(f"{count} {status}" for status, count in found.series.counts.items()),
        "strip": plots.strip(found),
        "kernels": bad[:_KERNELS],
        "more_kernels": max(len(bad) - _KERNELS, 0),
        "next": _next(found),
    }


def _where(point: Point | None) -> tuple[str, str]:
    """Return kernel and day of a point; both empty without one."""
    return (point.kernel or "kernel unknown", point.day) if point else ("", "")


def _flakiness(found: Trend) -> str:
    if found.flaky:
        return f"{found.flaky} of {found.repeated} kernels that were asked again gave both; {found.changes} changes"
    return f"{found.changes} change{'' if found.changes == 1 else 's'}" if found.changes else "none"


def _next(found: Trend) -> str:
    """Return what to do about a failure that is there now; "" if there is none."""
    if found.now is not Status.FAIL or found.first_bad is None:
        return ""
    if found.flaky:
        return "The same kernel passes and fails: run the claim with --repeat on that kernel."
    good = found.last_good
    if good is None or good.kernel == found.first_bad.kernel:
        return "No other kernel passed before: the page of the first failing run has the bytes."
    return f"Between Linux {good.kernel} and {found.first_bad.kernel}: ./sysevent bisect finds the commit."


def _kernels(history: History) -> list[dict[str, Any]]:
    """Return each kernel with its days and the verdicts on it, in the order in which they were first asked."""
    found: dict[str, dict[str, Any]] = {}
    for point in history.points:
        one = found.setdefault(point.kernel, {"first": point.day, "runs": 0, "counts": Counter()})
        one["last"], one["runs"] = point.day, one["runs"] + 1
    for series in history.series.values():
        for number, status in series.verdicts():
            found[history.points[number].kernel]["counts"][status] += 1
    return [{"name": name or "unknown", **one, "counts": dict(one["counts"])} for name, one in found.items()]
