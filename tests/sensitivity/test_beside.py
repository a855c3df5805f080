"""A measurement with programs of others beside the claims."""

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
        bench.beside = Beside(self, f"{PEERS}1", State(bench.folder / "results"), bench.folder / "logs")

    def __call__(self, image, logs, budget):
        self.asked.append((image.read_text(), budget))
        return Verdicts(self.results.get(image.read_text(), ORIGINAL), seconds=20.0)


@pytest.fixture
def others(bench):
    return Others(bench)


def test_programs_of_others_beside(bench, others):
    """The same mutants, whatever became of them with the claims."""
    bench.answers = {DELETED: PASSED | {"a": Status.FAIL}}
    others.results = {SECOND: {"selftests.a": Status.FAIL, "selftests.b": Status.SKIP}}
    _, measured = bench.measure()
    assert [one.peers.fate for one in measured.judged] == [Fate.SURVIVED, Fate.SURVIVED, Fate.KILLED]
    assert measured.judged[2].peers.killers == ("selftests.a",)
    assert measured.peers.statuses == ORIGINAL
    assert [name for name, _ in others.asked] == ["original", DELETED, CONSTANT, SECOND]
    # Without a limit for the original, and five times as long as that for the others.
    assert [budget for _, budget in others.asked] == [math.inf, 100.0, 100.0, 100.0]
    assert any("others: killed by selftests.a" in line for line in bench.said)


def test_programs_of_others_are_asked_once(bench, others):
    first = [one.peers for one in bench.measure()[1].judged]
    del others.asked[:]
    bench.beside = Beside(others, f"{PEERS}1", State(bench.folder / "results"), bench.folder / "logs")
    assert [one.peers for one in bench.measure()[1].judged] == first
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
    bench.beside = None
    bench.measure()
    for image in (bench.folder / "images").iterdir():
        image.unlink()
    bench.beside = Beside(others, f"{PEERS}1", State(bench.folder / "results"), bench.folder / "logs")
    assert bench.measure()[1].judged[2].peers.killers == ("selftests.a",)


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
    assert bench.measure()[1].judged[2].peers.fate is fate


def test_no_program_passes_on_the_original(bench, others):
    others.results = {"original": {"selftests.a": Status.MISS}}
    with pytest.raises(InfrastructureError, match="no program of others passes"):
        bench.measure()
