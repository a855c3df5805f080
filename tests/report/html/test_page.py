"""The page of a run as text. What a browser makes of it is in tests/browser."""

import json
import re

import msgspec
from hostile_values import hostile
from html_runs import MARKUP, judged, sized
from sample_records import END, INCIDENT, KEPT, RUN, TARGET, verdict

from sysevent.report import records
from sysevent.report.html import again, page, safe


def data(text):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    )


def test_a_page_loads_nothing():
    """No address of another host, no element that loads one, and a policy that allows only its own style and script."""
    text = page.render(judged())
    assert not re.search(r'(?:src|href|action)="(?!#)', text)
    assert not re.search(r"@import|url\(|https?://", text)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert 'style="' not in text


def test_hostile_text_is_neither_markup_nor_script():
    run = [RUN, msgspec.structs.replace(verdict("a", "t", "FAIL"), reason=MARKUP, test=MARKUP, target=MARKUP)]
    text = page.render(run, lambda _: MARKUP)
    assert text.count("<script") == 2
    assert "<img" not in text
    assert "\u2028" not in text
    assert "{{ 7 * 7 }}" in data(text)["texts"][1] or any(
        "{{ 7 * 7 }}" in each for each in data(text)["texts"]
    )


def test_megabytes_of_text_are_cut():
    run = [RUN, msgspec.structs.replace(verdict("a", "t", "ERROR"), reason="x" * 5_000_000), END]
    text = page.render(run)
    assert len(text) < 300_000
    assert f"({5_000_000 - safe.TEXT_MAX} more characters: in run.jsonl)" in text


def test_a_page_without_verdicts():
    assert "No claim was judged." in page.render([RUN])
    assert "No claim was judged." in page.render([])


def test_every_kind_of_record_has_a_place():
    run = [RUN, TARGET, verdict("a", "arm64-tcg", "MISS", reason="guest lost"), INCIDENT, KEPT, END]
    text = page.render(run)
    for words in (
        "guest lost",
        "end of the console",
        "abab",
        "proven",
        "sysevent shell --attach /results/arm64-tcg",
    ):
        assert words in text


def test_records_of_a_later_version_do_not_end_the_page():
    """Unknown claims, architectures and errata: everything that is in the records is shown."""
    run = [hostile(kind) for kind in records.Record.__args__]
    assert data(page.render(run))["claims"]


def test_texts_are_stored_once():
    """The page grows with what is different, not with the number of cells: about 100 bytes for each."""
    few, many = (len(page.render(sized(claims, 10))) for claims in (100, 500))
    assert (many - few) / 4000 < 350


def test_the_link_of_a_cause_names_a_cell():
    text = page.render(judged())
    link = re.search(r'href="#cell=([^"]*)"', text)[1]
    claim, _, column = link.replace("%7C", "|").partition("|")
    found = data(text)
    assert claim in [one[0] for one in found["claims"]]
    assert column in [one["name"] for one in found["columns"]]


def test_the_command_that_runs_a_test_again():
    """What can change a verdict stays; where results went, and the selection of tests, do not."""
    argv = (
        "pytest",
        "--kernel",
        "debian:6.1",
        "--floor=5.18",
        "--results=r",
        "-k",
        "psci",
        "--require=x86*",
        "-q",
    )
    assert again.command(argv, "suites/a.py::test[t-a b]", "arm64-tcg") == (
        "./sysevent run --kernel=debian:6.1 --floor=5.18 -- 'suites/a.py::test[t-a b]'"
    )
    assert "'--require=x86*'" in again.command(argv, "n", "x86_64-tcg")


def test_thousands_of_causes():
    """Of a lab that is down the first ones are listed, and the others are counted; it takes seconds, not minutes."""
    run = [
        RUN,
        *(verdict(f"kvm.system_event.a.{n}", f"t{n % 50}", "MISS", reason=f"lost {n}") for n in range(5000)),
    ]
    text = page.render(run)
    assert text.count("<li>") < 200
    assert "4996 more causes" in text
