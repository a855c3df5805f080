"""Verdicts as lines of text."""

import msgspec
from sample_records import verdict

from sysevent.model import Status
from sysevent.report.grouping import causes, grouped_verdicts, others, others_of


def test_verdicts_with_one_cause_share_a_line():
    missed = [verdict(f"a.{n}", "rpi5", "MISS", reason="rpi5: no answer\nfor 20 s") for n in range(110)]
    assert grouped_verdicts(missed) == [(Status.MISS, "MISS 110 claims on rpi5: no answer")]


def test_a_single_verdict_has_the_name_of_its_claim():
    assert grouped_verdicts([verdict("a.b", "rpi5", "MISS")]) == [(Status.MISS, "MISS a.b on rpi5: why")]


def failed(name, target="rpi5", labels=("exit",), **wrong):
    """Return a FAIL; wrong: for each member what was expected and what came."""
    return msgspec.structs.replace(
        verdict(name, target, "FAIL", reason="type: got 1"),
        expected={what: expected for what, (expected, _) in wrong.items()},
        got={what: got for what, (_, got) in wrong.items()},
        raw=dict.fromkeys(labels, "00" * 320),
    )


def test_failures_of_the_same_members_share_a_line():
    """Whatever the exit is called, and how many exits there were, and on every target."""
    found = causes(
        [
            failed("a.b", ndata=("1", "0")),
            failed("a.c", labels=("first", "exit"), **{"first: ndata": ("1", "0"), "ndata": ("1", "0")}),
            failed("a.b", "other", ndata=("1", "0")),
            failed("a.d", ndata=("1", "2")),
            failed("a.e", ndata=("1", "0"), type=("1", "2")),
        ]
    )
    assert [str(cause) for cause in found] == [
        "FAIL 2 claims on rpi5, other: ndata: got 0, expected 1",
        "FAIL a.d on rpi5: type: got 1",
        "FAIL a.e on rpi5: type: got 1",
    ]


def test_a_colon_in_a_name_is_no_label():
    both = [failed(f"a.{n}", **{f"struct {n}: size": ("1", "0")}) for n in range(2)]
    assert len(causes(both)) == 2


def test_a_reason_that_names_its_claim():
    both = [
        verdict(f"kvm.system_event.a.{name}", "t", "FAIL", reason=f"t: set-up failed: a.{name}: step 4")
        for name in "bc"
    ]
    both = [msgspec.structs.replace(one, expected={}, got={}) for one in both]
    assert grouped_verdicts(both) == [(Status.FAIL, "FAIL 2 claims on t: set-up failed: step 4")]


def test_worst_and_largest_come_first():
    found = causes(
        [
            verdict("a.a", "t", "MISS"),
            failed("a.b", type=("1", "2")),
            failed("a.c", ndata=("1", "0")),
            failed("a.d", ndata=("1", "0")),
        ]
    )
    assert [(cause.status, len(cause.tests)) for cause in found] == [
        (Status.FAIL, 2),
        (Status.FAIL, 1),
        (Status.MISS, 1),
    ]


def test_the_simplest_claim_is_the_first():
    (cause,) = causes(
        [
            failed("a.peers", labels=("exit", "other"), ndata=("1", "0")),
            failed("a.long", ndata=("1", "0")),
            failed("a.b", ndata=("1", "0")),
        ]
    )
    assert cause.tests == ["a.b", "a.long", "a.peers"]
    assert others(cause) == "2 others: a.long, a.peers"
    assert others(cause, 1) == "2 others: a.long and 1 more (-v names all)"


def test_a_claim_that_is_not_everywhere_is_named_with_its_place():
    (cause,) = causes(
        [
            *(failed("kvm.system_event.a.b", target, ndata=("1", "0")) for target in ("t", "u")),
            *(failed("kvm.system_event.a.bc", target, ndata=("1", "0")) for target in ("t", "u")),
            failed("kvm.system_event.a.bcd", "u", ndata=("1", "0")),
        ]
    )
    assert others(cause) == "2 others: a.bc, a.bcd (u)"


def test_all_claims_of_a_place_are_not_named():
    missed = [verdict(f"a.{n}", "rpi5", "MISS") for n in range(110)]
    (cause,) = causes(missed)
    assert others_of(cause, [*missed, verdict("a.0", "t", "PASS")]) == "109 others: all claims there"
    assert (
        others_of(cause, [*missed, verdict("b", "rpi5", "PASS")], 1)
        == "109 others: a.1 and 108 more (-v names all)"
    )


def test_one_claim_has_no_others():
    (cause,) = causes([failed("a.b", target, ndata=("1", "0")) for target in ("t", "u")])
    assert str(cause) == "FAIL a.b on t, u: type: got 1"
    assert others(cause) == others_of(cause, cause.verdicts) == ""


def test_many_places_are_cut():
    (line,) = (line for _, line in grouped_verdicts(verdict("a.b", f"t{n}", "MISS") for n in range(9)))
    assert line == "MISS a.b on t0, t1, t2, t3, t4, t5 and 3 more: why"


def test_an_abi_that_is_not_native_is_named():
    both = [verdict("a.b", "rpi5", "DONE", abi, native=abi == "arm64") for abi in ("arm64", "arm")]
    assert grouped_verdicts(both) == [(Status.DONE, "DONE a.b on rpi5, rpi5-arm: why")]


def test_an_empty_reason():
    assert grouped_verdicts([verdict("a.b", "rpi5", "MISS", reason="")]) == [
        (Status.MISS, "MISS a.b on rpi5: ")
    ]
