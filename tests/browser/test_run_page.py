"""The page of a run in a browser: what a cell opens, keys, filters and the address, and text from a hostile guest."""

import msgspec
import pytest
from html_runs import MARKUP, judged, sized
from sample_records import INCIDENT, RUN, TARGET, verdict

from sysevent.report.html.page import render

CELL = "#cell=arm64.psci.off%7Carm64-tcg"


@pytest.fixture(scope="module")
def html():
    """The page of a run with failures."""
    return render(judged(), {"arm64-tcg": "first line\nlast line of the console"}.get)


def test_a_click_opens_what_a_cell_rests_on(page, html):
    """The sentence, expected and got, the bytes, the program, the source, the log, and the command to run it again."""
    page.open(html)
    page.find('tr.claim td[data-status="FAIL"]').click()
    page.until(lambda: page.find("#detail").is_displayed())
    text = page.run(
        "document.querySelectorAll('#detail details').forEach((one) => one.open = true);"
        "return document.querySelector('#detail').textContent"
    )
    for words in (
        "What the kernel left in kvm_run",
        "exit_reason",
        "Why it must hold",
        "Source: ",
        "What the VMM does",
        "What the guest runs",
        "last line of the console",
        "./sysevent run --kernel=debian:5.10 --floor=5.18 -- ",
    ):
        assert words in text
    assert page.run("return document.querySelector('#detail').contains(document.activeElement)")


def test_bytes_of_each_state_differ_by_more_than_colour(page, html):
    """Wrong, stale and poisoned bytes have words beside them, and a shape of their own."""
    page.open(html, CELL)
    member = page.find("#detail .bytes tr:has(.byte.x)")
    assert member.find_element("css selector", ".member").text == "ndata"
    assert "wrong" in member.text
    shapes = page.run("""
        const sample = (state) => getComputedStyle(document.querySelector(`.key .byte.${state}`));
        return ["w", "x", "q", "s", "p"].map((state) => sample(state)).map(
            (one) => [one.borderTopStyle, one.borderTopColor, one.backgroundImage, one.fontStyle].join());
    """)
    assert len(set(shapes)) == 5


def test_keys_reach_and_open_a_cell(page, html):
    """Arrow keys move, Enter opens, Escape closes, and the focus is where it was."""
    page.open(html, "#target=arm64-tcg&status=FAIL")
    page.run("document.querySelector('#grid [tabindex=\"0\"]').focus()")
    while page.focused.tag_name == "button":
        page.press("ARROW_DOWN")
    page.press("ARROW_RIGHT")
    cell = page.focused
    assert cell.tag_name == "td"
    page.press("END", "HOME", "ARROW_RIGHT")
    assert page.focused == cell
    page.press("ENTER")
    page.until(lambda: page.find("#detail").is_displayed())
    assert "cell=arm64." in page.fragment
    page.press("ESCAPE")
    page.until(lambda: not page.find("#detail").is_displayed())
    assert page.focused == cell
    assert "cell" not in page.fragment


def test_one_cell_is_in_the_order_of_tab(page, html):
    page.open(html)
    assert page.run("return document.querySelectorAll('#grid [tabindex=\"0\"]').length") == 1


def test_filters_are_in_the_address(page, html):
    """And an address brings them back; the number of claims is announced."""
    page.open(html)
    page.find("[name=status][value=FAIL]").click()
    page.find("[name=q]").send_keys("psci.off")
    page.until(lambda: page.fragment == "#status=FAIL&q=psci.off")
    shown = [row.text for row in page.all("tr.claim")]
    assert shown
    assert all("psci.off" in row and "FAIL" in row for row in shown)
    assert page.find("#count").text.startswith(f"{len(shown)} of ")
    assert page.find("#count").get_attribute("aria-live") == "polite"

    page.open(html, "#status=FAIL&q=psci.off")
    assert [row.text for row in page.all("tr.claim")] == shown
    assert page.find("[name=status][value=FAIL]").is_selected()

    page.find("[type=reset]").click()
    page.until(lambda: page.fragment == "")
    assert page.find("[name=q]").get_attribute("value") == ""


def test_a_filter_by_target_hides_other_columns(page, html):
    page.open(html, "#target=x86_64-tcg-i386")
    assert [one.text.split("\n")[0] for one in page.all("#grid thead th")] == ["claim", "x86_64-tcg-i386"]


def test_search_finds_what_is_wrong(page, html):
    """Not only names: also the reason."""
    page.open(html, "#q=ndata:+got&status=FAIL")
    assert page.all("tr.claim")


def test_the_address_opens_a_cell_and_back_closes_it(page, html):
    page.open(html, CELL)
    assert page.find("#detail-title").text == "arm64.psci.off"
    page.open(html)
    page.find(".causes a").click()
    page.until(lambda: page.find("#detail").is_displayed())
    page.driver.back()
    page.until(lambda: not page.find("#detail").is_displayed())


def test_an_address_of_a_cell_that_is_not_there(page, html):
    page.open(html, "#cell=none%7Cnone")
    assert not page.find("#detail").is_displayed()


def test_the_command_is_copied(page, html):
    page.open(html, CELL)
    button = page.find(".paste button")
    button.click()
    page.until(lambda: button.text == "Copied")


def test_families_open_and_close(page):
    page.open(render(sized(50, 3, failing=10_000)[:-1]))
    page.find("#expand").click()
    assert len(page.all("tr.claim")) == 50
    page.find("#expand").click()
    assert page.all("tr.claim") == []
    page.find("tr.family button").click()
    assert len(page.all("tr.claim")) == 25
    assert page.focused.get_attribute("aria-expanded") == "true"


def test_hostile_text_stays_text(page):
    """In names, reasons, logs, incidents and facts: no element and no script comes of it, and it can be read."""
    bad = msgspec.structs.replace(
        verdict("kvm.system_event.a", "t", "FAIL"),
        test=MARKUP,
        reason=MARKUP,
        expected={MARKUP: MARKUP},
        got={MARKUP: MARKUP},
        raw={MARKUP: "00" * 320},
        written={},
        dimensions={MARKUP: MARKUP},
        kernel=MARKUP,
    )
    run = [
        msgspec.structs.replace(RUN, argv=(MARKUP,)),
        msgspec.structs.replace(TARGET, name="t", kernel=MARKUP, mode={MARKUP: MARKUP}),
        msgspec.structs.replace(INCIDENT, target="t", reason=MARKUP),
        bad,
    ]
    page.open(render(run, lambda _: MARKUP))
    page.find("td[data-cell]").click()
    page.until(lambda: page.find("#detail").is_displayed())
    assert page.run("return window.hacked") is None
    assert page.run("return document.querySelectorAll('img, script').length") == 2
    assert "<img src=x onerror=" in page.find("#detail .sentence").text
    assert "\\x202e" in page.find("#detail .sentence").text
    assert "</script>" in page.find("#detail-title").text


def test_megabytes_of_a_guest(page):
    run = [RUN, msgspec.structs.replace(verdict("a", "t", "ERROR"), reason="A" * 3_000_000)]
    page.open(render(run)).find("td[data-cell]").click()
    assert "more characters: in run.jsonl" in page.find("#detail .sentence").text


def test_five_thousand_cells_are_fast(page):
    """Loaded within seconds on a busy machine, with a document that does not grow with the details."""
    page.open(render(sized(500, 10)))
    timing = page.run("return performance.getEntriesByType('navigation')[0].domComplete")
    assert timing < 5000
    assert page.run("return document.querySelectorAll('*').length") < 10_000
    assert page.run("return document.querySelectorAll('td[data-cell]').length") == 5000
