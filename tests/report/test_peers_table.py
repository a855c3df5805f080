"""The table of what programs of others found."""

import msgspec
import pytest
from sample_records import END, PEER, RUN, TARGET

from sysevent.model import Status
from sysevent.report import exit_code, peers_table, text_report


def peer(status, **more):
    return msgspec.structs.replace(PEER, **{"status": status, "program": "p", "reason": "", **more})


def test_table():
    run = [
        RUN,
        TARGET,
        PEER,
        peer(Status.PASS, seconds=12.0),
        peer(Status.SKIP, seconds=0.0, reason="not there"),
    ]
    (heading, _), *rows, (last, _) = peers_table.lines(run)
    assert heading.startswith(f"{TARGET.name}  {TARGET.spec}  Linux {TARGET.kernel}")
    assert heading.endswith("(linux-source 6.12.117-1)")
    assert rows == [
        ("  FAIL  psci_test     0.2 s  exit code 254: arm64/psci_test.c:1: x == y", Status.FAIL),
        ("  PASS  p            12.0 s", Status.PASS),
        ("  SKIP  p                    not there", Status.SKIP),
    ]
    assert last == "  1 FAIL, 1 PASS, 1 SKIP in 12 s"


def test_a_target_that_never_answered():
    assert next(text for text, _ in peers_table.lines([RUN, peer(Status.MISS)])).startswith("arm64-tcg  (")


def test_the_report_of_a_run_has_it():
    assert "  FAIL  psci_test" in text_report.render([RUN, TARGET, PEER])


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([Status.PASS, Status.SKIP], 0),
        ([Status.PASS, Status.MISS], 3),
        ([Status.FAIL, Status.MISS], 1),
        ([Status.SKIP], 3),
        ([], 3),
    ],
)
def test_exit_code(statuses, code):
    assert peers_table.exit_code([peer(status) for status in statuses]) == code


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_report_of_programs_alone_has_the_exit_code_of_their_run(code):
    end = msgspec.structs.replace(END, counts={}, exit=code)
    assert exit_code.of([RUN, TARGET, peer(Status.PASS), end]) == code


def test_a_run_that_asked_nothing_has_none_of_it():
    """Without programs of others nothing was found out."""
    assert exit_code.of([RUN, TARGET, msgspec.structs.replace(END, counts={}, exit=0)]) == exit_code.NOTHING
