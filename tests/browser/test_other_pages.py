"""The pages of a history and of a difference in a browser."""

import pytest
from html_runs import MARKUP, RECORDINGS

from sysevent.bench import simulated_runs
from sysevent.report import run_log
from sysevent.report.difference import by_target, compare
from sysevent.report.history import collection, stream
from sysevent.report.html import difference_page, history_page


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """The page of a history of 200 runs."""
    folder = tmp_path_factory.mktemp("history")
    simulated_runs.write(folder, 200, 60)
    logs = sorted(stream.logs([folder]))
    return history_page.render(collection.collect(map(stream.parts, logs)))


@pytest.fixture(scope="module")
def difference():
    """The page of what 6.1 gives differently from 5.10."""
    before, after = (by_target(run_log.read(RECORDINGS / f"debian-{name}.jsonl")) for name in ("5.10", "6.1"))
    return difference_page.render(compare(before, after), ("5.10", "6.1"), ({"arm64-tcg": "5.10"}, {}))


def test_a_history_is_searched(page, history):
    page.open(history)
    assert page.all(".trends tbody tr")
    page.find("[name=q]").send_keys("case42")
    page.until(lambda: page.fragment == "#q=case42")
    shown = page.all(".trends tbody tr")
    assert shown
    assert all("case42" in row.get_attribute("textContent") for row in shown)
    assert page.find("#count").text.startswith(f"{len(shown)} of ")
    page.open(history, "#now=1")
    assert page.find("[name=now]").is_selected()


def test_hostile_names(page):
    start = stream.RunStart(id=MARKUP, start=MARKUP, schema=1)
    bad = stream.Judged(MARKUP, MARKUP, MARKUP, MARKUP, False, "FAIL", 1.0)
    page.open(history_page.render(collection.collect([[start, bad]])))
    assert page.run("return window.hacked") is None
    assert page.run("return document.querySelectorAll('img, script').length") == 2


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("name", ["history", "difference"])
def test_nothing_is_lost_at_the_side(page, request, name, width):
    page.emulate(width=width)
    page.open(request.getfixturevalue(name))
    assert page.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["history", "difference"])
def test_axe_finds_nothing(page, request, axe, name, scheme):
    page.emulate(prefers_color_scheme=scheme)
    page.open(request.getfixturevalue(name))
    assert axe(page) == []
