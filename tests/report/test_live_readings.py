"""What users of real VMMs got, beside what their readers make of the bytes."""

import msgspec
import pytest
import vmm_runs as runs
from sample_records import verdict

from sysevent.contract.readers import Reading, ReadResult
from sysevent.decode.outcome import outcome
from sysevent.report import live_readings, readers_table, records, text_report
from sysevent.report.html import page
from sysevent.report.live_readings import LiveResult
from sysevent.report.recorded_outcome import Seen

PREFIX = "kvm.system_event.x86_64"
EVENT, BYTES = "vmm.qemu.hyperv.crash", "hyperv.crash"
FAULT, STATE = "vmm.qemu.triple_fault.unpaged", "after_shutdown.protected"


def run(status, raw="PASS", seen=None, event=EVENT, beside=BYTES, vmm="qemu-11", target="x86_64-tcg"):
    """The records of one event; raw: the verdict on the bytes, "" for none; seen: what the VMM showed."""
    found = [
        verdict(f"{PREFIX}.{event}", target, status, abi="x86_64", reason="why", dimensions={"vmm": vmm})
    ]
    if raw:
        found.append(verdict(f"{PREFIX}.{beside}", target, raw, abi="x86_64"))
    if seen is not None:
        name = f"{PREFIX}.{event}"
        recorded = Seen.of(outcome(seen))
        found.append(records.Outcome(target=target, kernel="6.1.0", test=name, vmm=vmm, seen=recorded))
    return found


@pytest.mark.parametrize(
    ("found", "result"),
    [
        (run("PASS", seen=runs.panic()), LiveResult.RIGHT),
        (run("PASS", "FAIL", runs.panic()), LiveResult.RIGHT),
        (run("DONE", seen=runs.panic()), LiveResult.VMM_WRONG),
        # With --strict-observed.
        (run("FAIL", seen=runs.panic()), LiveResult.VMM_WRONG),
        (run("DONE", "FAIL", runs.panic()), LiveResult.KERNEL_WRONG),
        (run("DONE", "DONE", runs.panic()), LiveResult.KERNEL_WRONG),
        (run("DONE", "SKIP", runs.panic()), LiveResult.DIFFERENT),
        (run("DONE", "MISS", runs.panic()), LiveResult.DIFFERENT),
        (run("DONE", "", runs.panic()), LiveResult.DIFFERENT),
        (run("DONE", "DONE", runs.reset(again=False), FAULT, STATE), LiveResult.GUEST_DEAD),
        (run("DONE", "PASS", runs.reset(again=False), FAULT, STATE), LiveResult.GUEST_DEAD),
        # Its guest came back: that is not what is wrong.
        (run("DONE", "PASS", runs.reset(), FAULT, STATE), LiveResult.VMM_WRONG),
        (run("MISS"), LiveResult.NO_RESULT),
        (run("ERROR"), LiveResult.NO_RESULT),
    ],
)
def test_results(found, result):
    (one,) = live_readings.read(found, [])
    assert one.result is result


def test_what_does_not_apply_is_left_out():
    assert live_readings.read(run("SKIP"), []) == []
    assert live_readings.read(run("PASS", seen=runs.panic())[1:], []) == []


def test_a_claim_of_a_later_release():
    assert live_readings.read(run("PASS", event="vmm.qemu.later"), []) == []


def test_the_last_verdict_counts():
    first, second = run("MISS"), run("PASS", seen=runs.panic())
    assert [one.result for one in live_readings.read([*first, *second], [])] == [LiveResult.RIGHT]


@pytest.mark.parametrize(
    ("vmm", "reader"),
    [("qemu-5.2", "type"), ("kvmtool=/x", "type"), ("kvm-ioctls-0.25", "ndata, unasked"), ("mine=/x", "")],
)
def test_readers(vmm, reader):
    assert live_readings.reader_of(vmm) == reader


TYPE = Reading("x86_64.hyperv.crash", "type", "x86_64", ReadResult.RIGHT, "type 3")
COMPUTED = [("x86_64-tcg", TYPE)]
WRONG = run("DONE", seen=runs.panic())


def test_the_table_has_the_live_result_below_its_reader():
    """Also of a VMM that reads in a way that is not known, in the last row."""
    both = [*WRONG, *run("PASS", seen=runs.panic(), vmm="mine=/x")]
    table = readers_table.table(COMPUTED, live_readings.read(both, COMPUTED))
    assert [line.split("  ")[0] or line.strip().split("  ")[0] for line in readers_table.lines(table)] == [
        "reader",
        "type (QEMU, kvmtool)",
        "qemu-11 (live)",
        "type and flags (built before v5.18: crosvm, Android 13)",
        "ndata, if capable (as api.rst asks for)",
        "ndata, unasked (kvm-ioctls, and all that is built on it)",
        "ndata, if bit 31 (the repair that was not taken, c24a950ec7d6)",
        "mine (live)",
    ]
    assert table.columns == ("x86_64-tcg x86_64",)
    assert [row.cells[0] for row in table.rows[:2]] == [(("right", 1),), (("VMM wrong", 1),)]


def test_a_table_of_live_results_alone():
    """As on x86-64, where a triple fault is not a system event."""
    table = readers_table.table([], live_readings.read(WRONG, []))
    assert "1 VMM wrong" in readers_table.lines(table)[2]


def test_nothing():
    assert readers_table.lines(readers_table.table([])) == []


def test_kernel_right_vmm_wrong():
    """One line for a VMM, with the verdict on the bytes and what its reader makes of them."""
    again = run("DONE", seen=runs.panic(), target="other")
    (line,) = live_readings.notes(live_readings.read([*WRONG, *again], COMPUTED))
    assert line == (
        ReadResult.WRONG,
        "kernel right, VMM wrong: qemu-11 on x86_64-tcg, other, 2 events, such as hyperv.crash: "
        "GUEST_PANICKED, SHUTDOWN guest-panic; action=poweroff; arg1=17; exit code 0 "
        "(bytes PASS; 'type' computed: right)",
    )
    assert live_readings.notes(live_readings.read(run("PASS", seen=runs.panic()), [])) == []


def test_one_event():
    (line,) = live_readings.notes(live_readings.read(run("MISS", ""), []))
    assert line[1] == "no result: qemu-11 on x86_64-tcg, 1 event hyperv.crash: MISS: why (bytes not judged)"


def test_reports():
    """The terminal and the page have both the row and the line."""
    for text in (text_report.render(WRONG), page.render(WRONG)):
        for part in ("qemu-11", "1 VMM wrong", "kernel right, VMM wrong: qemu-11 on x86_64-tcg, 1 event"):
            assert part in text


def test_hostile_text():
    """What a VMM printed acts neither on a terminal nor on a page."""
    hostile = msgspec.structs.replace(run("MISS")[0], reason="\x1b[31m<script>alert(1)")
    assert "\x1b" not in text_report.render([hostile])
    assert "<script>alert" not in page.render([hostile])
