"""Bytes of exits as a page draws them: each has its state, and exactly those that are not as expected are marked."""

import re

from html_runs import judged
from sample_records import verdict

from sysevent.contract import catalogue
from sysevent.report import records
from sysevent.report.html import evidence

CLAIMS = {claim.test(): claim for claim in catalogue.load().exits}
SIZE = 320


def unpacked(states):
    return "".join(state * int(count) for state, count in re.findall(r"([a-z])(\d+)", states))


def drawn(run, **wanted):
    """The exits of the first verdict with these fields, by label, their states unpacked."""
    one = next(
        record
        for record in run
        if isinstance(record, records.Verdict) and all(getattr(record, k) == v for k, v in wanted.items())
    )
    claim = CLAIMS.get(one.test)
    observation = evidence.Observations(run).of(one, claim.asks.name if claim else "")
    return {found.label: (found, unpacked(found.states)) for found in evidence.drawn(one, observation, claim)}


def test_a_wrong_member_and_poison():
    """5.10 writes type and flags of a system event: ndata is padding there, which the floor does not accept."""
    exits = drawn(judged(), test="kvm.system_event.arm64.psci.off", status="FAIL")
    found, states = exits["exit"]
    assert found.wrong
    assert {at for at, state in enumerate(states) if state in "xyq"} == set(range(36, 40))
    assert states[32:36] == "wwww"
    assert set(states[48:168]) == {"p"}
    assert found.words.startswith("24 (SYSTEM_EVENT) type 1 (SHUTDOWN)")


def test_unwritten_bytes_are_wrong_one_by_one():
    """Of "written bytes: got 32..47, expected 32..167" only the missing ones are marked, as poison."""
    run = judged()
    one = verdict("a", "arm64-tcg", "FAIL")
    one = records.Verdict(
        **{name: getattr(one, name) for name in one.__struct_fields__}
        | {
            "expected": {"written bytes": "32..167"},
            "got": {"written bytes": "32..47"},
            "raw": {"exit": "00" * 48 + "aa" * 272},
            "written": {"exit": ((32, 48),)},
        }
    )
    (found,) = evidence.drawn(one, evidence.Observations(run).of(one), None)
    assert found.states == "w48q120p120w32"


def test_what_an_earlier_exit_left_is_stale():
    """Without poison between two exits, bytes that are the same are stale, and poison stays poison."""
    run = judged("debian-6.12", "6.12")
    kept = [
        (one, label)
        for one in run
        if isinstance(one, records.Observation)
        for label, left in one.exits.items()
        if left.poison is None
    ]
    one, label = kept[0]
    exits = drawn(
        run, target=one.target, abi=one.abi, raw={name: left.head for name, left in one.exits.items()}
    )
    assert "s" in exits[label][1]
    assert len(exits[label][1]) == SIZE


def test_every_verdict_of_a_recording_finds_its_bytes():
    run = judged()
    observations = evidence.Observations(run)
    verdicts = [one for one in run if isinstance(one, records.Verdict) and one.raw]
    assert len(verdicts) > 100
    assert all(observations.of(one) is not None for one in verdicts)


def test_wrong_bytes_in_exits_without_the_main_one():
    """A mismatch without the name of an exit is marked in all exits if none is called "exit"."""
    one = verdict("a", "t", "FAIL")
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    one = records.Verdict(**fields | {"raw": {"a": "00" * SIZE, "b": "00" * SIZE}, "written": {}})
    assert [found.wrong for found in evidence.drawn(one, None, None)] == [True, True]


def test_a_member_of_a_named_exit():
    one = verdict("a", "t", "FAIL")
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    raw = {"exit": "00" * SIZE, "again": "00" * SIZE}
    one = records.Verdict(
        **fields | {"raw": raw, "written": {}, "expected": {"again: ndata": "1"}, "got": {}}
    )
    assert [found.wrong for found in evidence.drawn(one, None, None)] == [False, True]
