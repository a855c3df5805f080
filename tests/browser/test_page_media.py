"""The page of a run on small windows, dark screens and paper, and for people who use neither eyes nor a mouse."""

import pytest
from html_runs import judged

from sysevent.report.html.page import render

CELL = "#cell=arm64.psci.off%7Carm64-tcg"


@pytest.fixture(scope="module")
def html():
    """The page of a run with failures."""
    return render(judged())


def background(page):
    return page.run("return getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("fragment", ["", "#status=FAIL", CELL])
def test_nothing_is_lost_at_the_side(page, html, width, fragment):
    """Also at 400 % zoom, where a window of 1280 pixels is 320 wide: text wraps, and nothing scrolls sideways."""
    page.emulate(width=width)
    page.open(html, fragment)
    assert page.run("return document.documentElement.scrollWidth") <= width
    if width < 700:
        lost = page.run("""
            return [...document.querySelectorAll('main *, #detail[open] *')]
                .filter((one) => one.getClientRects().length && !one.closest('legend, thead'))
                .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
                .map((one) => one.outerHTML.slice(0, 120));
        """)
        assert lost == []


def test_a_narrow_cell_names_its_target(page, html):
    page.emulate(width=390, prefers_color_scheme="light")
    page.open(html, "#status=FAIL")
    shown = page.run("return getComputedStyle(document.querySelector('tr.claim td'), '::before').content")
    assert "arm64-tcg" in shown
    # White text needs its ground, which is another one than in a wide window.
    cell = "getComputedStyle(document.querySelector('tr.claim td[data-status=FAIL]')).backgroundColor"
    assert page.run(f"return {cell}") == "rgb(179, 21, 31)"


def test_dark_mode_follows_the_system_until_it_is_chosen(page, html):
    page.emulate(prefers_color_scheme="light")
    page.open(html)
    light = background(page)
    page.emulate(prefers_color_scheme="dark")
    dark = background(page)
    assert light != dark
    button = page.find("#theme")
    button.click()
    assert button.text == "Theme: light"
    assert background(page) == light
    # The choice is kept.
    page.open(html)
    assert background(page) == light


def test_paper(page, html):
    """The verdicts are printed, controls are not, and the colours are those of paper."""
    page.open(html, "#status=FAIL")
    page.emulate(media="print", prefers_color_scheme="dark")
    assert not page.find("#filters").is_displayed()
    assert not page.find("#theme").is_displayed()
    assert page.all("tr.claim")
    assert page.run("return getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert page.run("return getComputedStyle(document.querySelector('h1')).color") == "rgb(27, 29, 33)"
    assert len(page.driver.print_page()) > 10_000


def test_an_open_detail_is_what_is_printed(page, html):
    page.open(html, CELL)
    page.emulate(media="print")
    assert not page.find("main").is_displayed()
    assert page.find("#detail").is_displayed()


def test_nothing_moves_for_those_who_ask_for_that(page, html):
    page.emulate(prefers_reduced_motion="reduce")
    page.open(html, CELL)
    assert page.run("return getComputedStyle(document.querySelector('#detail')).animationName") == "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("fragment", ["", "#status=FAIL", CELL])
def test_axe_finds_nothing(page, html, axe, scheme, width, fragment):
    page.emulate(width=width, prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    page.open(html, fragment)
    assert axe(page) == []
