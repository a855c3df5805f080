"""Guests that start while tests are still collected: when that is certain to be of use, and what is left otherwise."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sysevent.checkout import SUITES
from sysevent.plugin import early as early_guests
from sysevent.plugin.early import certain, likely
from sysevent.plugin.options import TARGETS
from sysevent.plugin.run import RUN
from sysevent.targets.spec import TargetSpec

ARM, X86 = (TargetSpec(name=f"{arch}-tcg", arch=arch, where="tcg") for arch in ("arm64", "x86_64"))
LAB = TargetSpec(name="lab", arch="arm64", where="ssh", address="lab")
A_TEST = next(SUITES.glob("psci/test_*.py"))


def names(*words, targets=(ARM, LAB, X86), **given):
    """The targets that a session with these arguments and options is certain to ask."""
    config = SimpleNamespace(
        args=list(map(str, words)),
        stash={TARGETS: list(targets)},
        invocation_params=SimpleNamespace(dir=SUITES.parent),
        getoption=lambda name, default: given.get(name, default),
    )
    return [spec.name for spec in certain(config)]


def test_everything_is_asked_for():
    """Guests of this machine; first the one that has the most tests, because its VMMs have two ABIs."""
    assert names("suites") == names(SUITES) == ["x86_64-tcg", "arm64-tcg"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["tests"],
        # Perhaps none of the targets has a test in there.
        [A_TEST],
        ["suites/psci"],
        ["suites/psci/nothing.py::test_off[arm64-tcg-psci.off]"],
        [f"{A_TEST}::test_off[headers-arm64-layout]"],
        [f"{A_TEST}::test_off"],
    ],
)
def test_what_is_not_certain(words):
    assert names(*words) == []


def test_the_ids_of_tests():
    one = f"{A_TEST}::test_off[arm64-tcg-psci.off]"
    assert names(one) == ["arm64-tcg"]
    assert names(one, f"{A_TEST}::test_off[x86_64-tcg-i386-psci.off]", one) == ["x86_64-tcg", "arm64-tcg"]


@pytest.mark.parametrize(
    "option",
    [
        {"keyword": "psci"},
        {"markexpr": "slow"},
        {"deselect": ["x"]},
        {"lf": True},
        {"abi": ["i386"]},
        {"collectonly": True},
        {"numprocesses": 2},
        {"gdb": True},
    ],
)
def test_options_that_may_leave_nothing(option):
    assert names("suites", **option) == []


@pytest.fixture
def session(tmp_path, monkeypatch):
    """session(recorded, **options): one that ends, and has asked these targets; gives what it was likely to ask."""
    monkeypatch.setattr(early_guests.options, "of", lambda _: SimpleNamespace(cache=tmp_path))

    def end(recorded, *words, targets=(ARM, LAB, X86), **given):
        config = SimpleNamespace(
            args=list(words),
            stash={TARGETS: list(targets), RUN: SimpleNamespace(recorded=recorded)},
            invocation_params=SimpleNamespace(dir=SUITES.parent),
            getoption=lambda name, default: given.get(name, default),
        )
        before = [spec.name for spec in likely(config)]
        early_guests.pytest_sessionfinish(SimpleNamespace(config=config))
        return before

    return end


def test_what_the_last_session_with_the_same_selection_asked(session):
    """Of the guests of this machine."""
    assert session({"arm64-tcg", "lab"}, "suites", keyword="psci") == []
    assert session({"arm64-tcg"}, "suites", keyword="psci") == ["arm64-tcg"]
    assert session(set(), "suites", keyword="psci") == ["arm64-tcg"]
    assert session({"arm64-tcg"}, "suites", keyword="psci") == []
    later = TargetSpec(name="arm64-tcg", arch="arm64", where="tcg", kernel="debian:6.1")
    assert session({"arm64-tcg"}, "suites", targets=(later,), keyword="psci") == []
    assert session({"arm64-tcg"}, "suites", keyword="srst") == []


def test_sessions_that_are_never_equal(session, tmp_path):
    for option in ("lf", "collectonly", "numprocesses"):
        for _ in range(2):
            assert session({"arm64-tcg"}, "suites", keyword="psci", **{option: True}) == []
    assert not list(tmp_path.iterdir())


def test_what_is_certain_is_not_remembered(session, tmp_path):
    session({"arm64-tcg"}, "suites")
    assert not list(tmp_path.iterdir())


def test_a_worker_does_not_know_its_tests():
    config = SimpleNamespace(workerinput={}, getoption=lambda *_: None)
    assert certain(config) == []


@pytest.fixture
def early(runs):
    """early(name, *arguments, broken): a run whose suite has a module of its own, in which guests start early."""

    def start(name, *arguments, module=""):
        suite = runs.folder / f"suite-{name}"
        suite.mkdir()
        (suite / "test_module.py").write_text(module or Path(runs.folder / "test_suite.py").read_text())
        runs.start(name, "--arch", "arm64", *arguments, suite, suites=str(suite))
        return runs[name]

    return start


def test_a_module_that_cannot_be_imported(early):
    """Nothing was asked, and nothing is left."""
    found = early("broken", module="import nothing_of_this_name")
    assert found.code == 2
    assert "nothing_of_this_name" in found.out
    assert not found.results.exists()


def test_no_test_asks_a_guest(early, runs):
    """What the user has in the directory of --results stays."""
    notes = runs.results("none") / "arm64" / "notes"
    notes.parent.mkdir(parents=True)
    notes.write_text("of the user")
    found = early("none", module="def test_nothing():\n    pass\n")
    assert found.code == 0
    assert [path for path in found.results.rglob("*") if path.is_file()] == [notes]


def test_a_run_that_began_early(early):
    """It has one record of its beginning, and the verdicts as ever."""
    found = early("all")
    assert len(found.records("run")) == len(found.records("end")) == 1
    assert found.statuses()["test_arm64[arm64-tcg-psci.off]"] == "PASS"
