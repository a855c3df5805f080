"""From a suite to verdicts, an exit code, run.jsonl and what is on the screen."""

import pytest
import sample_records

from sysevent.plugin import summary

PASSING = ["-k", "test_arm64 or test_x86_64"]
ARM = ["--arch", "arm64"]
ONE = [*ARM, "-k", "test_arm64 and off and not written"]
BROKEN = {
    "arm64.psci.reset": "type",
    "arm64.psci.reset2_64": "type",
    "arm64.psci.reset2": "GuestLost",
    "x86_64.triple_fault": "HarnessError",
    "x86_64.hyperv.reset": "ValueError",
}


@pytest.fixture(scope="module")
def run(runs):
    """run(name): one of these runs."""
    runs.start("mixed", "--arch", "arm64", "--arch", "x86_64", breaks=BROKEN)
    runs.start("clean", "--arch", "x86_64", *PASSING)
    runs.start("inapplicable", *ARM, "-k", "test_arm64 and reset2", recording="debian-5.10")
    runs.start("noted", *ARM, *PASSING, "--require", "arm64-*", breaks={"arm64.psci.off": "beyond"})
    runs.start("strict", *ARM, *PASSING, "--strict-observed", breaks={"arm64.psci.off": "beyond"})
    skipped = {"x86_64-tcg": "NotApplicable"}
    runs.start("required", *ARM, "--arch", "x86_64", *PASSING, "--require", "x86_64-*", facts=skipped)
    runs.start("lost", *ONE, facts={"arm64-tcg": "NoKvm"})
    runs.start("nothing_matches", "--target", "mips*")
    runs.start("gdb_of_two", "--gdb", "--arch", "arm64", "--arch", "x86_64")
    runs.start("gdb_of_two_kernels", "--gdb", *ARM, "--kernel", "debian:6.1", "--kernel", "debian:6.12")
    runs.start("gdb_of_no_guest", "--gdb", "--target", "local")
    return lambda name: runs[name]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("clean", 0),
        ("mixed", 1),
        ("inapplicable", 5),
        ("noted", 0),
        ("strict", 1),
        ("required", 1),
        ("lost", 1),
        ("nothing_matches", 4),
    ],
)
def test_exit_code(run, name, code):
    """0 only when something was judged, nothing failed, and nothing required is missing."""
    found = run(name)
    assert found.code == code, found.out
    if code < 4:
        (end,) = found.records("end")
        assert end["exit"] == code


def test_every_outcome(run):
    """Each with kcidb's meaning, by its test's id: target first, claim behind it."""
    assert run("mixed").statuses() == {
        "test_arm64[arm64-tcg-psci.off]": "PASS",
        "test_arm64[arm64-tcg-psci.off.written]": "PASS",
        "test_arm64[arm64-tcg-psci.reset]": "FAIL",
        "test_arm64[arm64-tcg-psci.reset2]": "MISS",
        "test_x86_64[x86_64-tcg-triple_fault]": "ERROR",
        "test_x86_64[x86_64-tcg-hyperv.reset]": "ERROR",
        "test_x86_64[x86_64-tcg-i386-triple_fault]": "ERROR",
        "test_x86_64[x86_64-tcg-i386-hyperv.reset]": "ERROR",
        "test_checks_nothing[arm64-tcg-psci.off]": "ERROR",
        "test_checks_another[arm64-tcg-psci.off]": "ERROR",
        "test_checks_twice[arm64-tcg-psci.reset2.vendor]": "ERROR",
        "test_hides_a_failure[arm64-tcg-psci.reset2_64]": "FAIL",
        "test_fails_by_itself[arm64-tcg-psci.reset2.vendor]": "ERROR",
    }


def reasons(found):
    return {record["nodeid"].partition("::")[2]: record["reason"] for record in found.records("verdict")}


def test_every_verdict_has_its_sentence(run):
    """One line, whatever the error carried."""
    told = reasons(run("mixed"))
    assert all(reason and "\n" not in reason for reason in told.values())
    assert told["test_arm64[arm64-tcg-psci.reset]"].startswith("type: got 7 (TDX_FATAL), expected 2 (RESET)")
    assert told["test_arm64[arm64-tcg-psci.reset2]"] == "GuestLost in arm64.psci.reset2"
    assert told["test_x86_64[x86_64-tcg-triple_fault]"] == "HarnessError in x86_64.triple_fault"
    assert told["test_checks_nothing[arm64-tcg-psci.off]"] == "the test did not check its claim"
    twice = "a test checks its `claim`, and checks it once"
    assert told["test_checks_another[arm64-tcg-psci.off]"] == twice
    assert told["test_checks_twice[arm64-tcg-psci.reset2.vendor]"] == twice
    assert told["test_hides_a_failure[arm64-tcg-psci.reset2_64]"].startswith("type: got 7 (TDX_FATAL)")
    assert told["test_fails_by_itself[arm64-tcg-psci.reset2.vendor]"].startswith("something else")


def test_a_verdict_s_record(run):
    """All that the design promises of it."""
    failed = next(
        record for record in run("mixed").records("verdict") if record["nodeid"].endswith("psci.reset]")
    )
    assert failed["test"] == "kvm.system_event.arm64.psci.reset"
    assert (failed["target"], failed["abi"], failed["native"], failed["level"]) == (
        "arm64-tcg",
        "arm64",
        True,
        "abi",
    )
    assert failed["kernel"].startswith("6.1.0-")
    assert (failed["expected"], failed["got"]) == ({"type": "2 (RESET)"}, {"type": "7 (TDX_FATAL)"})
    assert bytes.fromhex(failed["raw"]["exit"])[32] == 7
    assert failed["written"] == {"exit": [[32, 168]]}
    assert failed["nodeid"] == "test_suite.py::test_arm64[arm64-tcg-psci.reset]"
    assert failed["seconds"] == 0.5


def test_the_records_around_it(run):
    found = run("mixed")
    (first,) = found.records("run")
    assert first["schema"] == 1
    assert set(first["versions"]) >= {"sysevent", "python", "pytest"}
    targets = {record["name"]: record for record in found.records("target")}
    assert set(targets) == {"arm64-tcg", "x86_64-tcg"}
    arm64 = targets["arm64-tcg"]
    assert (arm64["arch"], arm64["where"], arm64["spec"], arm64["package"]) == (
        "arm64",
        "tcg",
        "debian:6.12",
        "1-1",
    )
    assert (arm64["qemu"], arm64["seconds_to_boot"]) == ("7.2.22", 1.25)
    assert arm64["capabilities"]["vm/215"] == 1
    assert {record["scenario"] for record in found.records("observation")} == {
        "arm64.psci.off",
        "arm64.psci.reset",
        "arm64.psci.reset2_64",
        "arm64.psci.reset2.vendor",
    }
    (end,) = found.records("end")
    assert (end["counts"]["FAIL"], end["counts"]["MISS"]) == (2, 1)


def test_the_screen(run):
    """The matrix, the counts, the reasons of what is not well, and where the results are."""
    out = run("mixed").out
    assert "claims by target" in out
    assert "FAIL 2 claims on arm64-tcg: type: got 7 (TDX_FATAL), expected 2 (RESET)" in out
    assert "MISS kvm.system_event.arm64.psci.reset2 on arm64-tcg: GuestLost in arm64.psci.reset2" in out
    assert "2 targets asked: " in out
    assert f"results: {run('mixed').results}" in out
    assert "missed" in out.splitlines()[-1]
    assert "Traceback" not in out


def test_an_error_of_the_program_on_the_screen(run):
    """Its class, its message and where it was raised; no values."""
    out = run("mixed").out
    assert "ValueError: ValueError in x86_64.hyperv.reset" in out
    assert "in observe\n" in out
    assert "raw.head" not in out


def test_only_what_was_selected_runs(run):
    """Tests that were not selected are not listed as skipped either."""
    assert run("clean").statuses() == {
        "test_x86_64[x86_64-tcg-triple_fault]": "PASS",
        "test_x86_64[x86_64-tcg-hyperv.reset]": "PASS",
        "test_x86_64[x86_64-tcg-i386-triple_fault]": "PASS",
        "test_x86_64[x86_64-tcg-i386-hyperv.reset]": "PASS",
    }
    assert all(record["native"] == (record["abi"] == "x86_64") for record in run("clean").records("verdict"))
    assert "skipped" not in run("clean").out.splitlines()[-1]
    assert "1 target asked: 4 PASS" in run("clean").out
    assert " deselected" in run("clean").out.splitlines()[-1]  # that adds up to what was collected


def test_each_kernel_has_a_line(run):
    """Which kernel answered, target by target, and what is known about it."""
    lines = run("mixed").out.splitlines()
    shown = [line for line in lines if line.endswith(f", build ID {'ab' * 20} (proven)")]
    assert [line.partition(":")[0] for line in shown] == ["arm64-tcg", "x86_64-tcg"]


def test_what_does_not_apply(run):
    """A skip that says what would make it apply; a run of nothing else is no green run."""
    found = run("inapplicable")
    assert set(found.statuses().values()) == {"SKIP"}
    (reason,) = set(reasons(found).values())
    assert "SYSTEM_RESET2" in reason
    assert "--floor 5.18" in reason
    assert "5.10.0-" in found.records("verdict")[0]["kernel"]
    assert "no claim was judged: the run fails" in found.out


def test_what_is_only_observed(run):
    """A note, and a failure for who is strict."""
    noted = run("noted").statuses()
    assert noted["test_arm64[arm64-tcg-psci.off.written]"] == "DONE"
    assert set(noted.values()) == {"DONE", "PASS"}
    assert "1 noted" in run("noted").out.splitlines()[-1]
    assert run("strict").statuses()["test_arm64[arm64-tcg-psci.off.written]"] == "FAIL"


def test_a_target_that_cannot_be_asked(run):
    """All its claims have a verdict, with the reason of the one thing that is wrong; --require makes it count."""
    found = run("required")
    skipped = {name: status for name, status in found.statuses().items() if "x86_64" in name}
    assert set(skipped.values()) == {"SKIP"}
    assert len(skipped) == 4
    assert "required, so that this run fails: SKIP 2 claims on x86_64-tcg, x86_64-tcg-i386: " in found.out
    assert set(found.statuses().values()) == {"SKIP", "PASS"}


def verdict(target, status, kernel="6.1.0"):
    return sample_records.verdict("a.b", target, status, kernel=kernel, reason="why")


@pytest.mark.parametrize(
    ("records", "globs", "unmet"),
    [
        ([verdict("arm64-tcg", "PASS")], [], []),
        ([verdict("arm64-tcg", "PASS")], ["arm64-*"], []),
        ([verdict("arm64-tcg", "FAIL"), verdict("arm64-tcg", "DONE")], ["*"], []),
        ([verdict("arm64-tcg", "MISS")], [], []),
        ([verdict("arm64-tcg", "MISS")], ["arm64-tcg"], ["MISS a.b on arm64-tcg: why"]),
        ([verdict("arm64-tcg", "SKIP", "")], ["arm64-tcg"], ["SKIP a.b on arm64-tcg: why"]),
        ([verdict("arm64-tcg", "SKIP")], ["arm64-tcg"], []),
        ([verdict("arm64-tcg", "MISS")], ["x86_64-*"], ["no verdict at all on x86_64-*"]),
        ([], ["board"], ["no verdict at all on board"]),
    ],
)
def test_unmet_requirements(records, globs, unmet):
    """A target that was not asked; a claim that does not apply to its kernel does not count."""
    assert summary.unmet_requirements(records, globs) == unmet


def test_a_lost_target(run):
    """MISS for its claims, in words, and no traceback."""
    found = run("lost")
    assert found.statuses() == {"test_arm64[arm64-tcg-psci.off]": "MISS"}
    assert reasons(found) == {"test_arm64[arm64-tcg-psci.off]": "arm64-tcg: NoKvm with its reason"}
    assert found.records("target") == []
    assert "Traceback" not in found.out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "nothing_matches",
            "--target mips* matches none of the targets; they are arm64-tcg, riscv64-tcg, x86_64-tcg",
        ),
        (
            "gdb_of_two",
            "--gdb takes one target with one kernel, and these are selected: arm64-tcg, x86_64-tcg",
        ),
        (
            "gdb_of_two_kernels",
            "--gdb takes one target with one kernel, and these are selected: "
            "arm64-tcg@debian:6.1, arm64-tcg@debian:6.12",
        ),
        ("gdb_of_no_guest", "--gdb: local is not a guest of this machine's QEMU, which could stop it"),
    ],
)
def test_a_typing_error_is_no_run(run, name, words):
    found = run(name)
    assert found.code == 4
    assert f"ERROR: {words}" in found.out
    assert "Traceback" not in found.out
    assert not found.results.exists()
