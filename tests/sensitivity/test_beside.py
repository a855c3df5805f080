"""A measurement with others beside the claims."""

import math

import pytest

pytest.importorskip("tree_sitter", reason="tree-sitter is not installed: pip install 'sysevent[sensitivity]'")

from mutant_bench import CONSTANT, DELETED, PASSED, SECOND, Bench

from sysevent.errors import InfrastructureError
from sysevent.model import Status
from sysevent.sensitivity.beside import Beside
from sysevent.sensitivity.state import PEERS, State
from sysevent.sensitivity.verdicts import Fate, Verdicts

# What programs of others give on the original kernel.
ORIGINAL = {"selftests.a": Status.PASS, "selftests.b": Status.SKIP}


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


class Others:
    """Programs of others, for Beside: `results` by what was built; those of the original otherwise."""

    def __init__(self, bench):
        self.results, self.asked, self.bench = {}, [], bench
        (bench.folder / "results").mkdir()
        self.again()

    def again(self):
        """As a later run with the same results."""
        folder = self.bench.folder
        one = Beside("selftests", self, f"{PEERS}1", State(folder / "results"), folder / "logs")
        self.bench.beside = (one,)

    def __call__(self, image, logs, budget, original):
        name = image.read_text()
        self.asked.append((name, budget))
        # The first one that is asked is the original; the others can be compared with it.
        assert (original is None) is (name == "original")
        assert original is None or (original.image.read_text(), original.verdicts.seconds) == (
            "original",
            20.0,
        )
        return Verdicts(self.results.get(name, ORIGINAL), seconds=20.0)


def fates(measured):
    return [one.beside["selftests"].fate for one in measured.judged]


@pytest.fixture
def others(bench):
    return Others(bench)


def test_programs_of_others_beside(bench, others):
    """The same mutants, whatever became of them with the claims."""
    bench.answers = {DELETED: PASSED | {"a": Status.FAIL}}
    others.results = {SECOND: {"selftests.a": Status.FAIL, "selftests.b": Status.SKIP}}
    _, measured = bench.measure()
    assert fates(measured) == [Fate.SURVIVED, Fate.SURVIVED, Fate.KILLED]
    assert measured.judged[2].beside["selftests"].killers == ("selftests.a",)
    assert measured.beside["selftests"].statuses == ORIGINAL
    assert [name for name, _ in others.asked] == ["original", DELETED, CONSTANT, SECOND]
    # Without a limit for the original, and five times as long as that for the others.
    assert [budget for _, budget in others.asked] == [math.inf, 100.0, 100.0, 100.0]
    assert any("; selftests: killed by selftests.a" in line for line in bench.said)


def test_programs_of_others_are_asked_once(bench, others):
    first = [one.beside for one in bench.measure()[1].judged]
    del others.asked[:]
    others.again()
    assert [one.beside for one in bench.measure()[1].judged] == first
    assert others.asked == []


def test_a_mutant_that_was_killed_before_is_known_by_its_claims(bench, others):
    """A kill by others does not count for --survivors."""
    others.results = {SECOND: {"selftests.a": Status.FAIL}}
    bench.measure()
    bench.asked.clear()
    bench.measure(killed_before=True, asking="other")
    assert SECOND in bench.asked


def test_an_image_that_is_gone_is_built_again(bench, others):
    others.results = {SECOND: {"selftests.a": Status.FAIL}}
    bench.beside = ()
    bench.measure()
    for image in (bench.folder / "images").iterdir():
        image.unlink()
    others.again()
    assert bench.measure()[1].judged[2].beside["selftests"].killers == ("selftests.a",)


@pytest.mark.parametrize(
    ("seen", "fate"),
    [
        ({"selftests.a": Status.MISS}, Fate.INCONCLUSIVE),
        ({"selftests.a": Status.SKIP}, Fate.SURVIVED),
        # It has no result on the original, so it shows nothing.
        ({"selftests.a": Status.PASS, "selftests.b": Status.FAIL}, Fate.SURVIVED),
        ({"selftests.a": Status.PASS, "selftests.b": Status.MISS}, Fate.SURVIVED),
    ],
)
def test_what_programs_of_others_show(bench, others, seen, fate):
    others.results = {SECOND: seen}
    assert fates(bench.measure()[1])[2] is fate


def test_no_program_passes_on_the_original(bench, others):
    others.results = {"original": {"selftests.a": Status.MISS}}
    with pytest.raises(InfrastructureError, match="nothing of selftests passes"):
        bench.measure()


def test_each_suite_has_a_result_of_its_own(bench, others):
    """One that is asked later does not ask the others again."""
    bench.measure()
    del others.asked[:]
    others.again()
    folder = bench.folder
    later = Beside("units", others, f"{PEERS}2", State(folder / "results"), folder / "logs")
    bench.beside = (*bench.beside, later)
    assert list(bench.measure()[1].judged[0].beside) == ["selftests", "units"]
    assert [name for name, _ in others.asked] == ["original", DELETED, CONSTANT, SECOND]


def test_what_a_user_gets_on_a_mutant_is_the_reason(bench):
    """Of what others show in words."""
    before, after = {"v.off": "SHUTDOWN"}, {"v.off": "no event"}

    def asks(image, logs, budget, original):
        if image.read_text() == SECOND:
            return Verdicts({"v.off": Status.FAIL}, shown=after)
        return Verdicts({"v.off": Status.PASS}, shown=before)

    (bench.folder / "results").mkdir()
    state = State(bench.folder / "results")
    bench.beside = (Beside("v", asks, f"{PEERS}3", state, bench.folder / "logs"),)
    found = bench.measure()[1].judged[2].beside["v"]
    assert (found.fate, found.reason) == (Fate.KILLED, "v.off: SHUTDOWN -> no event")
