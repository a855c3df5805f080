"""A measurement with a fake builder and recorded answers."""

import pytest

pytest.importorskip("tree_sitter", reason="tree-sitter is not installed: pip install 'sysevent[sensitivity]'")

from mutant_bench import CONSTANT, DELETED, FILE, PASSED, SECOND, Bench

from sysevent.errors import HarnessError, InfrastructureError, KernelNotBuilt
from sysevent.model import Status
from sysevent.sensitivity.equivalent import Equivalent
from sysevent.sensitivity.verdicts import Fate, Verdicts


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_fates(bench):
    bench.answers = {DELETED: PASSED | {"a": Status.FAIL}, CONSTANT: PASSED | {"b": Status.DONE}}
    fates, measured = bench.measure()
    assert fates == {DELETED: Fate.KILLED, CONSTANT: Fate.NOTICED, SECOND: Fate.SURVIVED}
    assert measured.original == "original"
    assert any("killed by a (" in line for line in bench.said)


def test_second_run_does_nothing_again(bench):
    first, _ = bench.measure()
    bench.built.clear()
    bench.asked.clear()
    assert bench.measure()[0] == first
    assert (bench.built, bench.asked) == (["original"], [])


@pytest.mark.parametrize("at", [1, 2, 3])
def test_interrupted(bench, at):
    """The same command continues with the mutant that was interrupted."""
    asks = bench.asks

    def stop(image, logs, deadline):
        if len(bench.asked) == at:
            raise KeyboardInterrupt
        return asks(image, logs, deadline)

    bench.asks = stop
    with pytest.raises(KeyboardInterrupt):
        bench.measure()
    bench.asks = asks
    fates, _ = bench.measure()
    assert set(fates.values()) == {Fate.SURVIVED}
    assert sorted(bench.asked) == sorted(["original", DELETED, CONSTANT, SECOND])


def test_other_claims_ask_again_and_build_nothing(bench):
    bench.measure()
    bench.built.clear()
    bench.answers = {DELETED: PASSED | {"a": Status.FAIL}}
    fates, _ = bench.measure(asking="other")
    assert fates[DELETED] is Fate.KILLED
    assert bench.built == ["original"]


def test_only_survivors(bench):
    bench.answers = {DELETED: PASSED | {"a": Status.FAIL}}
    bench.measure()
    bench.asked.clear()
    fates, _ = bench.measure(asking="other", killed_before=True)
    assert fates[DELETED] is Fate.KILLED
    assert bench.asked == ["original", CONSTANT, SECOND]


def test_same_object_code_is_not_asked(bench):
    bench.build_ids = {DELETED: "original", SECOND: CONSTANT}
    fates, _ = bench.measure()
    assert fates == {DELETED: Fate.EQUIVALENT, CONSTANT: Fate.SURVIVED, SECOND: Fate.DUPLICATE}
    assert bench.asked == ["original", CONSTANT]


def test_listed_by_hand(bench):
    row = Equivalent(FILE, "f", "delete", "g(0);", "it has no effect")
    fates, measured = bench.measure(known=[row])
    assert fates[DELETED] is Fate.EQUIVALENT
    assert measured.judged[0].result.reason == "it has no effect"
    assert DELETED not in bench.built


def test_not_built(bench):
    bench.fails = {CONSTANT}
    fates, measured = bench.measure()
    assert fates[CONSTANT] is Fate.NOT_BUILT
    assert measured.judged[1].result.reason == "building failed: error: no"
    bench.built.clear()
    assert bench.measure()[0][CONSTANT] is Fate.NOT_BUILT
    assert bench.built == ["original"]


def test_without_a_result_it_is_asked_twice(bench):
    bench.answers = {DELETED: PASSED | {"a": Status.MISS}}
    assert bench.measure()[0][DELETED] is Fate.INCONCLUSIVE
    assert bench.asked.count(DELETED) == 2


def test_deadline_is_not_waited_for_twice(bench):
    bench.answers = {DELETED: Verdicts(PASSED, DELETED, "not finished after 60 s", 60.0)}
    assert bench.measure()[0][DELETED] is Fate.INCONCLUSIVE
    assert bench.asked.count(DELETED) == 1


def test_other_kernel_answers(bench):
    bench.answers = {DELETED: Verdicts(PASSED, "another", "", 1.0)}
    with pytest.raises(HarnessError, match=r"has build ID .*, and another answered"):
        bench.measure()


def test_original_that_cannot_be_compared(bench):
    bench.answers = {"original": PASSED | {"a": Status.MISS}}
    with pytest.raises(InfrastructureError, match="mutants cannot be compared with the original: 1 claims"):
        bench.measure()


def test_original_that_is_not_built(bench):
    bench.fails = {"original"}
    with pytest.raises(KernelNotBuilt):
        bench.measure()


def test_without_an_answer_the_original_is_asked_as_a_control(bench):
    bench.answers = {DELETED: Verdicts({}, "", "not finished after 60 s", 60.0)}
    assert bench.measure()[0][DELETED] is Fate.INCONCLUSIVE
    assert bench.asked == ["original", DELETED, "original", CONSTANT, SECOND]


def test_machine_that_breaks_ends_the_measurement(bench):
    """No mutant is decided by it: the next run asks it again."""
    asks = bench.asks

    def break_down(image, logs, deadline):
        if bench.asked:
            return Verdicts({"a": Status.MISS}, "", "", 1.0)
        return asks(image, logs, deadline)

    bench.asks = break_down
    with pytest.raises(
        InfrastructureError, match="and the original kernel gives none now: 1 claims have no result"
    ):
        bench.measure()
    bench.asks = asks
    assert set(bench.measure()[0].values()) == {Fate.SURVIVED}
