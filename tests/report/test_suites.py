"""What the formats for other programs share: suites, facts, and names that every program takes."""

import msgspec
import pytest
from sample_runs import RUNS

from sysevent.report import suites


def test_a_suite_for_each_target_and_abi():
    """In the order of the matrix; the target is that of the column without the ABI."""
    found = suites.suites(RUNS["passing"])
    assert [(suite.name, len(suite.verdicts), suite.target is None) for suite in found] == [
        ("arm64-tcg", 1, False),
        ("x86_64-tcg-i386", 1, True),
    ]
    assert suites.facts(found[1]) == {"target": "x86_64-tcg", "kernel": "6.1.0", "vmm_abi": "i386"}
    assert found[0].seconds == 0.5


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("arm64-tcg@debian:6.12", "arm64-tcg_debian_6.12"),
        ("a b#c", "a_b_c"),
        ("-", "_"),
        ("", "_"),
        (".a..b.", "a.b"),
        ("\u0661", "_"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_safe_name(name, safe):
    assert suites.safe_name(name) == safe


def test_safe_names_are_different():
    found = suites.safe_names(["a b", "a#b", "a_b_2", "a b", "t"], taken=["t"])
    assert found == {"a b": "a_b", "a#b": "a_b_2", "a_b_2": "a_b_2_2", "t": "t_2"}


def test_details_show_the_exits_that_a_mismatch_names():
    """Up to the last byte that the kernel wrote, but at least 64."""
    (verdict,) = suites.suites(RUNS["passing"])[0].verdicts
    many = msgspec.structs.replace(
        verdict,
        expected={"second: ndata": "1"},
        got={"second: ndata": "0"},
        raw={"first": "00" * 320, "second": "11" * 320},
        written={"second": ((0, 4), (96, 100))},
    )
    assert suites.details(many) == [
        "why",
        "second: ndata: got 0, expected 1",
        f"kvm_run at second, written: 0-3, 96-99: {'11' * 100}",
    ]
