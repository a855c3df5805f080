"""What is said of a failure that was not seen twice."""

import msgspec
import pytest
from sample_exits import KICKED, event, poke, seen

from sysevent.contract.confirmation import Agreement, Sighting, agreement, difference, unconfirmed, words
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.model import Facts, Level, Mismatch, Status, Verdict

FACTS = Facts("arm64", "6.12.0", {"vm/215": 1}, {})
PASS = Verdict("t", Status.PASS, Level.ABI, "It holds.")
FAIL = Verdict("t", Status.FAIL, Level.ABI, "…", (Mismatch("ndata", "1", "5"), Mismatch("type", "1", "2")))


def sighting(verdict, observation, facts=FACTS):
    return Sighting(verdict, observation and ExitEvidence(facts, observation))


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (seen(poke(36, b"\x05\x06")), seen(), "bytes 36..37 of 'exit': from 36 05 06, then 01 00"),
        (seen(poke(36, bytes(60))), seen(), "bytes 36..36, 40..40 of 'exit': from 36 00, then 01"),
        (
            seen(KICKED),
            seen(),
            "'exit': KVM_RUN gave -1, errno 4, ended by the watchdog, then 0, errno 0",
        ),
        (seen(again=event()), seen(), "'again' was only entered in one of them"),
        (seen(), seen(), "their evidence does not differ"),
        (None, seen(), "their evidence does not differ"),
    ],
)
def test_which_bytes_differ(first, second, text):
    found = difference(sighting(FAIL, first), sighting(PASS, second))
    assert found == (
        f"FAIL (ndata: got 5, expected 1; type: got 2, expected 1), in another guest PASS: {text}"
    )
    assert "\n" not in unconfirmed(found)


def test_which_facts_differ():
    gone = msgspec.structs.replace(FACTS, capabilities={"vm/215": 0}, features={"psci.version": 1})
    found = difference(sighting(FAIL, seen(), gone), sighting(PASS, seen()))
    assert found.endswith("capability vm/215: 0, then 1; feature psci.version: 1, then absent")


def failed(*wrong):
    return sighting(msgspec.structs.replace(FAIL, mismatches=wrong), seen())


def hung(seconds):
    return Mismatch(
        "exit_reason", "24 (SYSTEM_EVENT)", f"none within {seconds} s: the watchdog ended KVM_RUN"
    )


TYPE, OTHER_TYPE = Mismatch("type", "1", "2", (32, 36)), Mismatch("type", "1", "9", (32, 36))
NDATA = Mismatch("ndata", "1", "5", (36, 40))
SPANS, OTHER_SPANS = (Mismatch("written bytes", "32..47", got, (32, 288)) for got in ("33..47", "32..40"))


@pytest.mark.parametrize(
    ("sightings", "found"),
    [
        ([(TYPE,), (TYPE,)], Agreement.SAME),
        ([(NDATA, TYPE), (TYPE,)], Agreement.SAME),
        ([(TYPE, NDATA), (SPANS, NDATA)], Agreement.SAME),
        # Of an uninitialised member each boot shows another value; a guest that damages an exit now and then does so
        # at the same place by chance.
        ([(TYPE,), (OTHER_TYPE,)], Agreement.PLACE),
        ([(TYPE,), (OTHER_TYPE,), (TYPE,)], Agreement.PLACE),
        ([(TYPE,), (OTHER_TYPE,), (NDATA,)], Agreement.NONE),
        ([(TYPE,), (NDATA,)], Agreement.NONE),
        ([(SPANS,), (SPANS,)], Agreement.SAME),
        ([(SPANS,), (OTHER_SPANS,)], Agreement.NONE),
        ([(hung("0.3"),), (hung("0.5"),)], Agreement.SAME),
        ([(TYPE,), ()], Agreement.NONE),
    ],
)
def test_the_same_failure(sightings, found):
    """A value counts as the same if only the time that was waited for it differs."""
    assert agreement(*(failed(*wrong) for wrong in sightings)) is found


def test_failures_without_an_exit():
    """A refused step, headers and the log need no comparison; a failure and none never agree."""
    assert agreement(sighting(FAIL, None), sighting(FAIL, None)) is Agreement.SAME
    assert agreement(sighting(FAIL, None), sighting(PASS, None)) is Agreement.NONE
    assert agreement(failed(TYPE), sighting(PASS, seen())) is Agreement.NONE


def test_words_of_a_verdict_without_mismatches():
    refused = Verdict("t", Status.FAIL, Level.ABI, "set-up failed")
    assert words(refused) == "FAIL (set-up failed)"


def test_long_differences_are_cut():
    """At most 16 bytes, and four ranges."""
    found = difference(sighting(FAIL, seen(poke(32, b"\xff" * 200))), sighting(PASS, seen()))
    assert len(found) < 400
