"""The table of what users of real VMMs got, from records."""

import msgspec
import pytest
import vmm_runs as runs
from sample_records import verdict

from sysevent.decode.outcome import outcome
from sysevent.model import Status
from sysevent.report import records, vmm_table
from sysevent.report.recorded_outcome import Seen

SCENARIO = "x86_64.vmm.qemu.triple_fault.unpaged"
TEST = "kvm.system_event.x86_64.vmm.qemu.triple_fault.unpaged"
BESIDE = "kvm.system_event.x86_64.after_shutdown.protected"


def records_of(kernel, seen, vmm="qemu-10", status="PASS", raw="PASS", erratum=""):
    target = f"x86_64-tcg@{kernel}"
    return [
        records.Outcome(target=target, kernel=f"{kernel}.1", test=TEST, vmm=vmm, seen=Seen.of(outcome(seen))),
        verdict(TEST, target, status, kernel=f"{kernel}.1", abi="x86_64", dimensions={"vmm": vmm}),
        verdict(BESIDE, target, raw, kernel=f"{kernel}.1", abi="x86_64", erratum=erratum),
    ]


def test_the_same_on_several_kernels_and_vmms_is_one_row():
    """What differs is a row of its own, beside the verdict on the bytes of that kernel."""
    run = [
        *records_of("5.10", runs.reset()),
        *records_of("5.10", runs.reset(), vmm="qemu-5.2"),
        *records_of("6.12", runs.reset(again=False), status="DONE", raw="DONE", erratum="svm"),
        *records_of("7.2", runs.reset(again=False), status="DONE", raw="DONE", erratum="svm"),
    ]
    assert [row.cells() for row in vmm_table.rows(run)] == [
        ("triple_fault.unpaged", "RESET guest-reset; guest runs again", "PASS", "qemu-10, qemu-5.2 on 5.10"),
        ("triple_fault.unpaged", "RESET guest-reset; guest never runs again", "DONE svm", "qemu-10 on 6.12, 7.2"),
    ]  # fmt: skip


def test_the_kernels_are_in_the_order_of_their_releases():
    """In whichever order they were asked."""
    run = [record for kernel in ("7.2", "5.10", "6.12", "5.9") for record in records_of(kernel, runs.reset())]
    (row,) = vmm_table.rows(run)
    assert row.cells()[-1] == "qemu-10 on 5.9, 5.10, 6.12, 7.2"


@pytest.mark.parametrize(
    ("vmms", "where"),
    [
        (("kvmtool=/a",), "kvmtool on 5.10"),
        (("crosvm=/a", "kvmtool=/a"), "crosvm, kvmtool on 5.10"),
        (("kvmtool=/a", "kvmtool=/b"), "kvmtool=/a, kvmtool=/b on 5.10"),
    ],
)
def test_programs_of_a_user(vmms, where):
    """They are called by their names alone, unless two have the same."""
    run = [record for vmm in vmms for record in records_of("5.10", runs.reset(), vmm=vmm)]
    assert vmm_table.rows(run)[0].cells()[-1] == where
    assert list(vmm_table.lines(run))[-1].startswith(
        f"{where.removesuffix(' on 5.10').split(', ')[-1]} (10.0.13): "
    )


def test_a_program_for_each_architecture():
    """It is one VMM."""
    first = records_of("5.10", runs.reset(), vmm="crosvm=/a")
    skipped = verdict(TEST, "x86_64-tcg", "SKIP", abi="x86_64", dimensions={"vmm": "crosvm=/b"})
    assert vmm_table.rows([*first, skipped])[0].cells()[-1] == "crosvm on 5.10"


def test_a_vmm_without_a_monitor():
    """It does not say when it is ready, so there are no times of it."""
    outcome_of_kvmtool = msgspec.structs.replace(outcome(runs.reset()), start_seconds=0.0)
    first, *others = records_of("5.10", runs.reset(), vmm="kvmtool=/a")
    first = msgspec.structs.replace(first, seen=Seen.of(outcome_of_kvmtool))
    assert list(vmm_table.lines([first, *others]))[-1] == "kvmtool (10.0.13): 1 runs; 40 MB of memory at most"


def test_a_claim_that_was_not_judged():
    """MISS has its reason; what does not apply is left out."""
    missed = verdict(
        TEST,
        "x86_64-tcg",
        "MISS",
        abi="x86_64",
        reason=f"{SCENARIO}: lost\x1b",
        dimensions={"vmm": "qemu-10"},
    )
    skipped = msgspec.structs.replace(missed, status=Status.SKIP, target="b")
    (row,) = vmm_table.rows([missed, skipped])
    assert row.cells() == ("triple_fault.unpaged", "MISS: lost?", "-", "qemu-10 on 6.1")


def test_a_vmm_that_was_not_asked():
    """The reason that most of its claims have, on each architecture where all of them are SKIP."""
    asked = records_of("5.10", runs.reset(), vmm="crosvm=/a")
    tests = ("arm64.vmm.crosvm.psci.off", "arm64.vmm.crosvm.psci.off2", "arm64.vmm.crosvm.psci.reset")
    reasons = ("a program for x86_64\x1b", "needs Linux 6.13", "a program for x86_64\x1b")
    skipped = [
        verdict(
            f"kvm.system_event.{test}", "arm64-tcg", "SKIP", reason=reason, dimensions={"vmm": "crosvm=/a"}
        )
        for test, reason in zip(tests, reasons, strict=True)
    ]
    assert list(vmm_table.lines([*asked, *skipped]))[-1] == (
        "crosvm was not asked on arm64: a program for x86_64?"
    )


def test_words():
    """Each thing that a user sees."""
    said = [vmm_table.words(Seen.of(outcome(seen))) for seen in (
        runs.shutdown(), runs.returned(1), runs.returned(0, kind="g"), runs.panic()
    )]  # fmt: skip
    assert said == [
        "SHUTDOWN guest-shutdown; exit code 0",
        "no event; call returns 0x1",
        "no event; guest gets #GP",
        "GUEST_PANICKED, SHUTDOWN guest-panic; action=poweroff; arg1=17; exit code 0",
    ]


def test_lines():
    """A part for each architecture; then the cost of each VMM."""
    lines = list(vmm_table.lines(records_of("5.10", runs.reset())))
    assert lines[0] == "x86_64"
    assert lines[1].split() == ["event", "what", "a", "user", "got", "bytes", "where"]
    assert lines[-1] == (
        "qemu-10 (10.0.13): 1 runs; median 1.5 s from its start to a guest that can run, 0.500 s to the event; "
        "40 MB of memory at most"
    )


def test_nothing():
    assert list(vmm_table.lines([])) == []


def test_recorded_texts_are_safe_to_print():
    panicked = runs.event("RESET", reason="a\x1b[31m", **{"k\x07": "v\n"})
    seen = runs.seen(runs.answer(runs.qmp(panicked), side=runs.report("m", 1)))
    found = Seen.of(outcome(seen))
    assert found.events == ("RESET a?[31m",)
    assert found.data == {"k?": "v?"}
