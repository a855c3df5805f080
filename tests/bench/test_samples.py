"""Statistics, charts and comparisons of given measurements."""

import xml.etree.ElementTree as ElementTree

import pytest

from sysevent.bench import measure, plot, snapshot_check
from sysevent.bench.samples import Samples, columns, ratios


def test_median_and_spread():
    found = Samples((3.0, 1.0, 2.5))
    assert (found.median, found.spread) == (2.5, (1.0, 3.0))
    assert str(found) == "2.5 (1-3)"


def test_ratios_of_pairs():
    assert ratios([10.0, 40.0], [1.0, 2.0]).values == (10.0, 20.0)
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_columns():
    found = columns([{"a": 1.0, "b": 2.0}, {"a": 3.0}])
    assert found == {"a": Samples((1.0, 3.0)), "b": Samples((2.0,))}


def test_chart():
    drawn = plot.svg(
        "a < b", {"arm64 boot": {"hello": Samples((1.0, 2.0)), "init": Samples((0.5,))}, "x": {}}
    )
    root = ElementTree.fromstring(drawn)
    bars = [e for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("x")]
    assert len(bars) == 2
    assert float(bars[0].get("width")) == 3 * float(bars[1].get("width"))


def test_empty_chart():
    ElementTree.fromstring(plot.svg("", {}))


def test_memory_of_a_guest():
    text = "MemTotal: 500 kB\nMemFree:  123 kB\nSlab: 7 kB\n\nno pair\n"
    assert measure.guest_memory(text) == {"MemFree": 123.0, "Slab": 7.0}


KEY = ("scenario", "abi")


def test_values_that_differ_between_boots_are_not_compared():
    boots = [{KEY: {"x0": 1, "counter": n, "inner": {"n": n, "same": 5}}} for n in (10, 20)]
    wanted = snapshot_check.reproducible(boots)
    assert wanted == {KEY: {"x0": 1, "inner": {"same": 5}}}
    assert (
        list(
            snapshot_check.differences(wanted, {KEY: {"x0": 1, "counter": 30, "inner": {"n": 1, "same": 5}}})
        )
        == []
    )


def test_differences_from_boots():
    wanted = {KEY: {"head": b"\1\2", "x0": 1}}
    lines = list(snapshot_check.differences(wanted, {KEY: {"head": b"\1\3"}}))
    assert lines == [f"{KEY} head: 0102 became 0103", f"{KEY} x0: missing"]


def test_an_error_instead_of_an_observation():
    assert list(snapshot_check.differences({KEY: {"x0": 1}}, {KEY: "stuck"})) == [
        f"{KEY}: {{'x0': 1}} became stuck"
    ]
