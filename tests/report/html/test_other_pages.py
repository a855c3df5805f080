"""The pages of a history and of a difference, as text."""

import re

from html_runs import MARKUP, RECORDINGS

from sysevent.bench import simulated_runs
from sysevent.report import run_log
from sysevent.report.difference import Difference, RunComparison, by_target, compare
from sysevent.report.history import collection, stream
from sysevent.report.html import difference_page, history_page


def history(folder, runs=40, claims=60):
    simulated_runs.write(folder, runs, claims)
    return collection.collect(map(stream.parts, sorted(stream.logs([folder]))))


def test_the_page_of_a_history(tmp_path):
    """Claims that were never bad are counted, not listed; a story that several targets share is one row."""
    text = history_page.render(history(tmp_path))
    assert "40 runs" in text
    assert re.search(r"\d+ other pairs of claim and target never had", text)
    assert text.count("<script") == 2
    assert "case42" in text


def test_a_history_without_verdicts():
    assert "No claim was judged in these runs." in history_page.render(collection.collect([]))


def test_hostile_names_in_a_history():
    start = stream.RunStart(id=MARKUP, start=MARKUP, schema=1)
    bad = stream.Judged(MARKUP, MARKUP, MARKUP, MARKUP, False, "FAIL", 1.0)
    text = history_page.render(collection.collect([[start, bad]]))
    assert text.count("<script") == 2
    assert "<img" not in text


def test_the_page_of_a_difference():
    before, after = (by_target(run_log.read(RECORDINGS / f"debian-{name}.jsonl")) for name in ("5.10", "6.1"))
    found = compare(before, after)
    text = difference_page.render(found, ("5.10", "6.1"), ({"arm64-tcg": "5.10.0"}, {"arm64-tcg": "6.1.0"}))
    assert f"{len(found.differences)} differences in" in text
    assert "ndata" in text
    assert "Linux 5.10.0" in text


def test_nothing_differs():
    assert "Nothing differs in 7 scenarios." in difference_page.render(
        RunComparison(compared=7), ("a", "b"), ({}, {})
    )


def test_hostile_differences():
    one = Difference(MARKUP, MARKUP, MARKUP, MARKUP, MARKUP, MARKUP)
    text = difference_page.render(RunComparison([one], [MARKUP]), (MARKUP, MARKUP), ({MARKUP: MARKUP}, {}))
    assert text.count("<script") == 2
    assert "<img" not in text
