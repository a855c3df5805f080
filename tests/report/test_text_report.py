"""The report of a run as text."""

import pytest
import sample_records
from sample_records import verdict

from sysevent.checkout import ROOT
from sysevent.contract.errata import BY_ID
from sysevent.contract.readers import ReadResult
from sysevent.model import Status
from sysevent.report import errata_page, run_log, text_report
from sysevent.report.text_report import Line

RUN = [
    sample_records.RUN,
    verdict("kvm.system_event.arm64.a", "t", "PASS"),
    verdict("kvm.system_event.arm64.b", "t", "FAIL"),
    verdict("kvm.system_event.arm64.c", "t", "SKIP"),
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
        Line("1 FAIL, 1 PASS, 1 SKIP", heading=True),
        Line("FAIL kvm.system_event.arm64.b on t: why", Status.FAIL),
        Line("SKIP 1 on t: why", Status.SKIP),
    ]


def test_kernels():
    """The build ID of each kernel that answered is below the counts."""
    text = text_report.render([*RUN, sample_records.TARGET])
    assert f"1 FAIL, 1 PASS, 1 SKIP\narm64-tcg: Linux 6.1.0, build ID {'ab' * 20} (proven)\n" in text


def test_render_is_the_lines():
    assert text_report.render(RUN).splitlines() == [line.text for line in text_report.lines(RUN)]


def test_what_comes_from_a_file_is_escaped():
    """A recorded run cannot send commands to a terminal, and can always be written as UTF-8."""
    text = text_report.render([verdict("a\x1b]0;", "t\udc80", "FAIL", reason="\x07 \u202e")])
    assert "a\\x1b]0;  FAIL" in text
    assert "FAIL a\\x1b]0; on t\\xdc80: \\x07 \\x202e" in text
    assert text.encode().decode() == text


def test_a_run_without_records():
    assert text_report.render([]) == "no verdicts\n"


@pytest.mark.parametrize("reader", [None, "ndata, unasked"])
def test_readings(reader):
    """Only readings that are not right are listed; with a reader, all of that one."""
    run = list(run_log.read(ROOT / "tests" / "data" / "runs" / "debian-5.10.jsonl"))
    listed = [line for line in text_report.lines(run, reader) if line.mark is not None]
    assert {line.mark for line in listed} <= set(ReadResult)
    assert (ReadResult.RIGHT in {line.mark for line in listed}) == (reader is not None)
    assert any(
        line.text.startswith("garbage: 'ndata, unasked' on x86_64-tcg, x86_64, x86_64.hyperv.")
        for line in listed
    )
    assert all("'ndata, unasked'" in line.text for line in listed if reader)


def test_errata():
    """The end lists each erratum of the run with where its claims are, and how; the DONE has no line of its own."""
    known = {"reason": "Known defect", "erratum": "xen-exit-i386"}
    text = text_report.render(
        [
            verdict("kvm.system_event.x86_64.a", "t", "DONE", **known),
            verdict("kvm.system_event.x86_64.b", "t", "PASS", **known),
            verdict("kvm.system_event.x86_64.c", "t", "FAIL", reason="why", erratum="from-elsewhere"),
        ]
    )
    assert text.splitlines()[8:] == [
        "1 FAIL, 1 PASS, 1 DONE",
        "FAIL kvm.system_event.x86_64.c on t: why",
        f"erratum xen-exit-i386: {BY_ID['xen-exit-i386'].says}",
        "  t, Linux 6.1.0: DONE, as it says: kvm.system_event.x86_64.a",
        "  t, Linux 6.1.0: PASS, although it says FAIL: kvm.system_event.x86_64.b",
        "erratum from-elsewhere: of another version of sysevent",
        "  t, Linux 6.1.0: FAIL, as it says: kvm.system_event.x86_64.c",
    ]


def test_the_page_of_errata_is_up_to_date():
    committed = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    assert committed == errata_page.page(), (
        "regenerate it: python -m sysevent.report.errata_page > docs/errata.md"
    )
