"""The report of a run as text."""

import msgspec
import pytest
import sample_records
from sample_records import verdict

from sysevent.checkout import ROOT
from sysevent.contract.errata import BY_ID
from sysevent.contract.readers import ReadResult
from sysevent.model import Status
from sysevent.report import errata_page, run_log, text_report
from sysevent.report.text_report import Line

RUNS = ROOT / "tests" / "data" / "runs"
RUN = [
    sample_records.RUN,
    verdict("kvm.system_event.arm64.a", "t", "PASS"),
    verdict("kvm.system_event.arm64.b", "t", "FAIL"),
    verdict("kvm.system_event.arm64.c", "t", "SKIP"),
    sample_records.END,
]


def test_lines():
    """The matrix, the families, the counts, what is neither PASS nor SKIP, and what would make the rest apply."""
    assert list(text_report.lines(RUN)) == [
        Line("claim    t", heading=True),
        Line("arm64.a  PASS", Status.PASS),
        Line("arm64.b  FAIL", Status.FAIL),
        Line("arm64.c  SKIP", Status.SKIP),
        Line("family  t", heading=True),
        Line("a       1/1", Status.PASS),
        Line("b       1 FAIL", Status.FAIL),
        Line("c       1 SKIP", Status.SKIP),
        Line("FAIL kvm.system_event.arm64.b on t: why", Status.FAIL),
        Line("SKIP 1 on t: why", Status.SKIP),
        Line("1 FAIL, 1 PASS, 1 SKIP", heading=True),
    ]


def test_claims_with_one_cause_are_named():
    failed = [verdict(f"kvm.system_event.arm64.{name}", "t", "FAIL") for name in "abc"]
    passed = verdict("kvm.system_event.arm64.d", "t", "PASS")
    assert [line.text for line in text_report.lines([*failed, passed, sample_records.END])][-3:] == [
        "FAIL 3 claims on t: type: got 2, expected 1",
        "  2 others: arm64.b, arm64.c",
        "3 FAIL, 1 PASS",
    ]


def test_kernels():
    """The build ID of each kernel that answered is below the tables."""
    text = text_report.render([*RUN, sample_records.TARGET])
    assert f"c       1 SKIP\narm64-tcg: Linux 6.1.0, build ID {'ab' * 20} (proven)\n" in text


def test_render_is_the_lines():
    assert text_report.render(RUN).splitlines() == [line.text for line in text_report.lines(RUN)]


def test_what_comes_from_a_file_is_escaped():
    """A recorded run cannot send commands to a terminal, and can always be written as UTF-8."""
    text = text_report.render([verdict("a\x1b]0;", "t\udc80", "FAIL", reason="\x07 \u202e")])
    assert "a\\x1b]0;  FAIL" in text
    assert "FAIL a\\x1b]0; on t\\xdc80: \\x07 \\x202e" in text
    assert text.encode().decode() == text


def test_a_run_without_an_end():
    """The report says so, above the counts."""
    killed = text_report.render(RUN[:-1]).splitlines()
    assert killed[-2].startswith("run 1: it has no end: it was killed or still runs")
    interrupted = msgspec.structs.replace(sample_records.END, reason="SIGTERM")
    assert "run 1: interrupted by SIGTERM: only what" in text_report.render([*RUN[:-1], interrupted])


def test_a_run_without_records():
    assert text_report.render([]) == "no verdicts\n"


def read(name, reader=None):
    """The report of a recorded run."""
    return list(text_report.lines(list(run_log.read(RUNS / f"{name}.jsonl")), reader))


def test_readings_that_are_not_right_share_a_line():
    """One for each reader and way, with an example."""
    shown = [line for line in read("debian-5.10") if isinstance(line.mark, ReadResult)]
    assert len({line.text.partition(" on ")[0] for line in shown}) == len(shown)
    (line,) = (line.text for line in shown if line.text.startswith("garbage: 'ndata, unasked'"))
    assert line.startswith(
        "garbage: 'ndata, unasked' on x86_64-tcg x86_64, x86_64-tcg i386, 10 events, such as x86_64."
    )
    assert line.endswith(" were never written (true: type 2, no data)")
    assert len(line) < 220


def test_readings_of_one_reader():
    """All of them, event by event, also those that are right."""
    listed = [line for line in read("debian-5.10", "ndata, unasked") if isinstance(line.mark, ReadResult)]
    assert {line.mark for line in listed} == {ReadResult.RIGHT, ReadResult.GARBAGE}
    assert all("'ndata, unasked' on " in line.text for line in listed)


@pytest.mark.parametrize("name", [path.stem for path in RUNS.glob("*.jsonl")])
def test_a_healthy_report_ends_with_the_counts(name):
    """And is not a list of events: below the table of readers are few lines."""
    found = read(name)
    assert found[-1] == Line("no verdicts", heading=True)
    assert len([line for line in found if isinstance(line.mark, ReadResult)]) <= 4


def test_errata():
    """The end lists each erratum of the run with where its claims are, and how; the DONE has no line of its own."""
    known = {"reason": "Known defect", "erratum": "xen-exit-i386"}
    text = text_report.render(
        [
            verdict("kvm.system_event.x86_64.a", "t", "DONE", **known),
            verdict("kvm.system_event.x86_64.b", "t", "PASS", **known),
            verdict("kvm.system_event.x86_64.c", "t", "FAIL", reason="why", erratum="from-elsewhere"),
            sample_records.END,
        ]
    )
    assert text.splitlines()[8:] == [
        "FAIL kvm.system_event.x86_64.c on t: why",
        f"erratum xen-exit-i386: {BY_ID['xen-exit-i386'].says}",
        "  t, Linux 6.1.0: DONE, as it says: kvm.system_event.x86_64.a",
        "  t, Linux 6.1.0: PASS, although it says FAIL: kvm.system_event.x86_64.b",
        "erratum from-elsewhere: of another version of sysevent",
        "  t, Linux 6.1.0: FAIL, as it says: kvm.system_event.x86_64.c",
        "1 FAIL, 1 PASS, 1 DONE",
    ]


def test_the_page_of_errata_is_up_to_date():
    committed = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    assert committed == errata_page.page(), (
        "regenerate it: python -m sysevent.report.errata_page > docs/errata.md"
    )
