"""Runs of several processes: pytest -n, with real workers of pytest-xdist."""

import shlex

import pytest

from sysevent.plugin.workers import place
from sysevent.targets.spec import TargetSpec

pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install 'sysevent[xdist]'")

TWO = ["--arch", "arm64", "--arch", "x86_64"]
TWO_AS_WORDS = ["--arch=arm64", "--arch=x86_64"]
BROKEN = {"arm64.psci.reset": "type", "arm64.psci.reset2": "GuestLost"}


@pytest.fixture(scope="module")
def run(runs):
    runs.start("alone", *TWO, breaks=BROKEN)
    runs.start("together", *TWO, "-n", "2", breaks=BROKEN)
    runs.start("two", "--arch", "x86_64", "-k", "test_x86_64", "-n", "2")
    runs.start("dies", *TWO, "-n", "2", breaks={"arm64.psci.off": "dies"})
    runs.start("nothing", *TWO, "-n", "2", "-k", "nothing_of_that_name")
    return lambda name: runs[name]


def test_same_ids_same_verdicts(run):
    alone, together = run("alone"), run("together")
    assert together.statuses() == alone.statuses()
    assert (together.code, alone.code) == (1, 1)


def test_one_log(run):
    """The log has one beginning and one end, and one worker writes what concerns a target."""
    found = run("together")
    assert len(found.records("run")) == 1
    assert "-n" in found.records("run")[0]["argv"]
    (end,), (other,) = found.records("end"), run("alone").records("end")
    assert end == other
    assert sorted(record["name"] for record in found.records("target")) == ["arm64-tcg", "x86_64-tcg"]


def test_one_matrix_and_one_exit_code(run):
    found = run("two")
    assert found.code == 0, found.out
    assert found.out.count("claims by target") == 1
    assert "1 target asked:" in found.out


def test_a_worker_that_dies(run):
    """Its verdicts are kept, the test it died in is a MISS, and another worker asks the rest."""
    found = run("dies")
    assert found.code == 1
    statuses = found.statuses()
    assert statuses["test_arm64[arm64-tcg-psci.off]"] == "MISS"
    assert all("psci.off" in test for test, status in statuses.items() if status == "MISS")
    assert statuses["test_arm64[arm64-tcg-psci.reset]"] == "PASS", found.out
    miss = next(record for record in found.records("verdict") if record["status"] == "MISS")
    assert (miss["test"], miss["target"]) == ("kvm.system_event.arm64.psci.off", "arm64-tcg")
    assert "has died" in miss["reason"]
    _, _, behind = found.out.partition(f"claims on arm64-tcg: {miss['reason']}\n")
    (again,) = [line for line in behind.splitlines() if line.startswith("  again ")]
    *options, _, node = shlex.split(again)[3:]
    assert (options, node) == (TWO_AS_WORDS, f"{found.results.parent}/{miss['nodeid']}")


def test_nothing_asked_leaves_nothing(run):
    found = run("nothing")
    assert found.code == 5
    assert not found.results.exists()


@pytest.mark.parametrize(
    ("nodeid", "found"),
    [
        ("suites/a.py::test[x86_64-tcg-hyperv.reset]", ("x86_64-tcg", "hyperv.reset")),
        ("suites/a.py::test[x86_64-tcg-i386-hyperv.reset]", ("x86_64-tcg", "i386-hyperv.reset")),
        ("suites/a.py::test[x86_64-tcg-2-hyperv.reset]", ("x86_64-tcg-2", "hyperv.reset")),
        ("suites/a.py::test[x86_64-tcg]", ("x86_64-tcg", "")),
        ("suites/a.py::test[headers-x86_64]", (None, "")),
        ("suites/a.py::test", (None, "")),
    ],
)
def test_place(nodeid, found):
    targets = [TargetSpec(name=name, arch="x86_64", where="tcg") for name in ("x86_64-tcg", "x86_64-tcg-2")]
    target, behind = place(nodeid, targets)
    assert (target and target.name, behind) == found
