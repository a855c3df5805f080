"""A failure is asked again in a second guest: what that one gives decides between FAIL and MISS."""

import pytest

ARM = ["--arch", "arm64", "-k", "test_arm64"]
FAILING = {"arm64.psci.off": "type", "arm64.psci.reset": "type"}
REFUSED = {"arm64.psci.reset2": "StepRefused"}
LACKING = {"arm64-tcg": "lacking"}
ONE = ["--arch", "arm64", "-k", "test_arm64 and psci.off and not psci.off."]
AGAIN = "arm64-tcg: a claim failed; it is asked again in another guest"


@pytest.fixture(scope="module")
def run(runs):
    """run(name): one of these runs."""
    runs.start("twice", *ARM, breaks=FAILING)
    runs.start("once", *ARM, once=FAILING)
    runs.start("once_of_two", "--arch", "arm64", "--arch", "x86_64", "-n", "2", once=FAILING)
    runs.start("clean", *ARM)
    runs.start("gdb", *ARM, "--gdb", once=FAILING)
    runs.start("keep", *ARM, "--keep", "failed", breaks=FAILING)
    runs.start("strict", *ARM, "--strict-observed", once={"arm64.psci.off": "beyond"})
    runs.start("refused_twice", *ARM, breaks=REFUSED, facts=LACKING, second=LACKING)
    runs.start("refused_once", *ARM, once=REFUSED, facts=LACKING)
    runs.start("garbage", *ONE, values={"arm64.psci.off": [7, 6, 5]})
    runs.start("chance", *ONE, values={"arm64.psci.off": [7, 6, 0]})
    for error in ("GuestLost", "GuestIll", "HarnessError", "NotApplicable"):
        runs.start(error, *ARM, breaks=FAILING, second={"arm64-tcg": error})
    return lambda name: runs[name]


def verdicts(found):
    return {
        record["nodeid"].rpartition("-tcg-")[2].rstrip("]"): record for record in found.records("verdict")
    }


def test_seen_twice(run):
    """FAIL, and its record says so; one second guest is booted for all of them."""
    found = run("twice")
    records = verdicts(found)
    assert [(records[name]["status"], records[name]["confirmed"]) for name in ("psci.off", "psci.reset")] == [
        ("FAIL", 2)
    ] * 2
    assert records["psci.reset2"]["confirmed"] == 0
    assert found.out.count(AGAIN) == 1
    assert (found.code, found.records("incident")) == (1, [])


def test_seen_once(run):
    """MISS with both observations, and an incident: nothing is known about the kernel, and the run fails."""
    found = run("once")
    off = verdicts(found)["psci.off"]
    assert (off["status"], off["confirmed"], found.code) == ("MISS", 0, 1)
    assert off["reason"] == (
        "it failed in one guest only, which is no verdict about the kernel: FAIL (type: got 7 (TDX_FATAL), expected "
        "1 (SHUTDOWN)), in another guest PASS: bytes 32..32 of 'exit': from 32 07, then 01"
    )
    assert (off["expected"], bytes.fromhex(off["raw"]["exit"])[32]) == ({}, 7)
    reasons = [record["reason"] for record in found.records("incident")]
    assert reasons[0] == f"arm64-tcg: kvm.system_event.arm64.psci.off: {off['reason']}"
    # psci.off.written judges the same bytes, and holds.
    assert len(reasons) == 2
    assert off["reason"] in found.out


@pytest.mark.parametrize(("name", "status"), [("garbage", "FAIL"), ("chance", "MISS")])
def test_another_value_at_the_same_place(run, name, status):
    """A third look decides: garbage is wrong every time, and what chance damaged is not."""
    off = verdicts(run(name))["psci.off"]
    assert off["status"] == status, run(name).out
    assert status == "FAIL" or "in another guest PASS" in off["reason"]


def test_nothing_is_asked_again_while_all_is_well(run):
    assert AGAIN not in run("clean").out
    assert run("clean").code == 0


def test_workers(run):
    """Each has the second guests of its own targets."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install 'sysevent[xdist]'")
    found = run("once_of_two")
    statuses = found.statuses()
    assert statuses["test_arm64[arm64-tcg-psci.off]"] == "MISS", found.out
    assert "FAIL" not in statuses.values()


def test_in_a_debugger(run):
    """One guest is booted, so the failure is shown, as seen once."""
    found = run("gdb")
    off = verdicts(found)["psci.off"]
    assert (off["status"], off["confirmed"]) == ("FAIL", 1)
    assert AGAIN not in found.out


def test_kept(run):
    found = run("keep")
    assert verdicts(found)["psci.off"]["confirmed"] == 2


def test_observed_behaviour_under_strict_terms(run):
    assert verdicts(run("strict"))["psci.off.written"]["status"] == "MISS"


def test_a_refused_step(run):
    """A feature that the kernel must have and lacks is looked for twice."""
    twice = verdicts(run("refused_twice"))["psci.reset2"]
    assert (twice["status"], twice["confirmed"]) == ("FAIL", 2), run("refused_twice").out
    assert twice["reason"].startswith("this kernel must have ")
    once = verdicts(run("refused_once"))["psci.reset2"]
    assert once["status"] == "MISS"
    assert "in another guest PASS" in once["reason"]


@pytest.mark.parametrize("error", ["GuestLost", "GuestIll", "HarnessError", "NotApplicable"])
def test_a_second_guest_that_cannot_be_asked(run, error):
    """Never a FAIL."""
    found = run(error)
    off = verdicts(found)["psci.off"]
    assert off["status"] == "MISS"
    assert f"could not be asked again: arm64-tcg/confirmation: {error} with its reason" in off["reason"]
    assert "type: got 7 (TDX_FATAL), expected 1 (SHUTDOWN)" in off["reason"]
    assert verdicts(found)["psci.reset2"]["status"] == "PASS"
