"""A measurement with a fake builder and recorded answers."""

import pytest

pytest.importorskip("tree_sitter", reason="tree-sitter is not installed: pip install 'sysevent[sensitivity]'")

from sysevent.build.kernel import BuiltKernel
from sysevent.errors import HarnessError, InfrastructureError, KernelNotBuilt
from sysevent.model import Status
from sysevent.sensitivity import drive, mutants
from sysevent.sensitivity.drive import Workshop
from sysevent.sensitivity.equivalent import Equivalent
from sysevent.sensitivity.places import Place
from sysevent.sensitivity.state import State
from sysevent.sensitivity.tree import TreeCopy
from sysevent.sensitivity.verdicts import Fate, Verdicts

FILE = "kvm.c"
TEXT = b"void f(void)\n{\n\tg(0);\n\th();\n}\n"
# The mutants of TEXT, by the line that they make of it.
DELETED, CONSTANT, SECOND = "g deleted", "g(1);", "h deleted"
PASSED = {"a": Status.PASS, "b": Status.PASS}


class Bench:
    """Builds the text of the file, and answers as `answers` says, by what was built."""

    def __init__(self, folder):
        self.folder, self.source = folder, folder / "source"
        self.source.mkdir()
        (self.source / FILE).write_bytes(TEXT)
        self.answers = {}
        self.build_ids = {}
        self.built, self.asked, self.said = [], [], []
        self.fails = set()

    def build(self, tree, log, *, configured=False):
        text = (tree / FILE).read_bytes()
        name = self._name(text)
        assert configured is (name != "original")
        self.built.append(name)
        if name in self.fails:
            raise KernelNotBuilt("building failed: error: no\n  more")
        output = self.folder / "output"
        output.mkdir(exist_ok=True)
        (output / "vmlinux").write_text(self.build_ids.get(name, name))
        (output / "Image").write_text(name)
        return BuiltKernel(f"tree:{output}", {}, (), "gcc")

    def asks(self, image, logs, deadline):
        name = image.read_text()
        self.asked.append(name)
        found = self.answers.get(name, PASSED)
        return found if isinstance(found, Verdicts) else Verdicts(found, image.name, "", 1.0)

    def measure(self, known=(), killed_before=False, asking="asking"):
        found = mutants.find(self.source, [Place((FILE,), "f")])
        workshop = Workshop(
            lambda: TreeCopy.make(self.source, self.folder / "copy", found.files),
            self,
            self.asks,
            "Image",
            self.folder / "images",
            self.folder / "logs",
            asking,
            read_build_id=lambda path: path.read_text(),
        )
        results = self.folder / "results"
        results.mkdir(exist_ok=True)
        measured = drive.measure(
            found, State(results), workshop, self.said.append, known=known, killed_before=killed_before
        )
        return {self._name(one.mutant.edit.apply(TEXT)): one.result.fate for one in measured.judged}, measured

    def _name(self, text):
        if text == TEXT:
            return "original"
        return DELETED if b"g" not in text else CONSTANT if b"g(1)" in text else SECOND


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
