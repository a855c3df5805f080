"""What an exploration has reached, and what it keeps."""

from coverages import ARM, BASE, ONE, POINTS, PSCI, SEEN, TWO, covered

from sysevent.conformance.contract import Configuration
from sysevent.conformance.machine import Action
from sysevent.conformance.play import Sequence
from sysevent.explore import coverage_table, tracefile
from sysevent.explore.coverage import KEPT_MAX, Coverage
from sysevent.model import Answer, Observation
from sysevent.scenario.cover import Cover
from sysevent.scenario.steps import Scenario, Sleep


def test_a_scenario_records_and_keeps_its_name():
    asked = Coverage(POINTS).recording(Scenario("arm64.explore.x", "arm64", (Sleep(1),)))
    first, middle, last = asked.steps
    assert (asked.name, middle) == ("arm64.explore.x", Sleep(1))
    assert isinstance(first, Cover)
    assert first.words
    assert isinstance(last, Cover)
    assert not last.words


def test_what_reaches_something_new_is_kept():
    found = Coverage(POINTS)
    assert found.take(ONE, covered(SEEN, 4))
    assert not found.take(TWO, covered(SEEN, 4))
    assert found.take(TWO, covered(SEEN, 8))
    # The rarest first: two sequences have reached what was new with the first one.
    assert found.kept == [TWO, ONE]
    # The second address of a line is a new point, and no new line.
    assert found.take(Sequence("arm64", Configuration(1), ()), covered(SEEN, 12))
    assert (found.lines_reached, found.lines) == (2, 4)


def test_code_that_is_not_a_producers_does_not_count():
    found = Coverage(POINTS)
    assert not found.take(ONE, covered(SEEN, 400))
    assert not found.reached


def test_what_is_kept_is_bounded():
    points = {BASE + n: next(iter(POINTS.values())) for n in range(KEPT_MAX + 9)}
    found = Coverage(points)
    for n in range(KEPT_MAX + 9):
        found.take(Sequence("arm64", Configuration(1), (Action("run", n),)), covered(SEEN, n))
    assert len(found.kept) == KEPT_MAX
    assert {one.actions[0].vcpu for one in found.kept} == set(range(9, KEPT_MAX + 9))


def test_what_is_missing_is_counted():
    found = Coverage(POINTS)
    found.take(ONE, covered(SEEN, 4, cut=1))
    found.take(ONE, SEEN)
    for answer in (Answer(-1, 12, b""), Answer(0, 0, b"short")):
        found.take(ONE, Observation("x", "arm64", "arm64", {}, {"covered": answer}, {}))
    assert (found.cut, found.unknown) == (1, 3)


def test_files():
    """Lines count once, and are new if none of their points was reached before."""
    found = Coverage(POINTS, before=(BASE + 4, BASE + 999))
    found.take(ONE, covered(SEEN, 4, 8))
    psci, arm = sorted(found.files(), key=lambda one: one.path, reverse=True)
    assert (psci.path, psci.lines, psci.reached, psci.new) == (PSCI, 3, 2, 1)
    assert psci.unreached == ("kvm_psci_vcpu_off",)
    assert (arm.path, arm.lines, arm.reached, arm.unreached) == (ARM, 1, 0, ("vcpu_can_run",))


def test_table():
    found = Coverage(POINTS)
    found.take(ONE, covered(SEEN, 4, 8))
    assert list(coverage_table.render(tuple(found.files()))) == [
        "producer               lines  reached  new",
        "arch/arm64/kvm/arm.c       1        0    0",
        "  never reached: vcpu_can_run",
        "arch/arm64/kvm/psci.c      3        2    2",
        "  never reached: kvm_psci_vcpu_off",
        "all                        4        2    2",
    ]


def test_tracefile(tmp_path):
    """geninfo(1): the lines of each file with their counts, and its functions."""
    found = Coverage(POINTS)
    found.take(ONE, covered(SEEN, 4, 8))
    found.take(TWO, covered(SEEN, 8))
    arm, psci = tracefile.render(found, tmp_path).split("end_of_record\n")[:2]
    assert arm.splitlines()[:2] == ["TN:sysevent", f"SF:{tmp_path / ARM}"]
    assert psci.splitlines() == [
        f"SF:{tmp_path / PSCI}",
        "FN:10,kvm_psci_call",
        "FN:20,kvm_psci_vcpu_off",
        "FNDA:2,kvm_psci_call",
        "FNDA:0,kvm_psci_vcpu_off",
        "FNF:2",
        "FNH:1",
        "DA:10,1",
        "DA:11,2",
        "DA:20,0",
        "LF:3",
        "LH:2",
    ]
