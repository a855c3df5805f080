"""What the end of a program means: status and reason."""

import os

import pytest

from sysevent.decode.program import Ended
from sysevent.model import Status
from sysevent.peers import outcome

ASSERTION = b"""Random seed: 0x6b8b4567
==== Test Assertion Failure ====
  arm64/psci_test.c:87: run->system_event.type == 4
  pid=112 tid=112 errno=4 - Interrupted system call
     1\t0x0000000000402e3a: main at psci_test.c:87
     2\t0x00000000004a5b6c: ?? ??:0
  unexpected type: 2
"""
HARNESS = b"""TAP version 13
1..2
# sync_regs_test.c:42:set_invalid:Expected -1 (-1) == rv (0)
# set_invalid: Test terminated by assertion
not ok 1 sync_regs_test.set_invalid
"""


def ended(code=0, output=b"", **more):
    status = -code if code < 0 else code << 8
    return Ended(0, output, status=status, seconds=1.5, **more)


@pytest.mark.parametrize(
    ("code", "rules", "status"),
    [
        (0, outcome.SELFTESTS, Status.PASS),
        (4, outcome.SELFTESTS, Status.SKIP),
        (1, outcome.SELFTESTS, Status.FAIL),
        (254, outcome.SELFTESTS, Status.FAIL),
        (77, outcome.SELFTESTS, Status.FAIL),
        (-6, outcome.SELFTESTS, Status.FAIL),
        (1, outcome.UNIT_TESTS, Status.PASS),
        (77, outcome.UNIT_TESTS, Status.SKIP),
        (155, outcome.UNIT_TESTS, Status.SKIP),
        (3, outcome.UNIT_TESTS, Status.FAIL),
        (0, outcome.UNIT_TESTS, Status.FAIL),
        (4, outcome.UNIT_TESTS, Status.FAIL),
        (127, outcome.UNIT_TESTS, Status.FAIL),
    ],
)
def test_exit_codes(code, rules, status):
    found = outcome.of_program(ended(code), rules)
    assert (found.status, found.exit_code, found.seconds) == (status, code, 1.5)


@pytest.mark.parametrize(
    "one",
    [
        Ended(2),
        Ended(0, b"half", status=None, seconds=60.0),
        # Killed by its deadline: what the signal made of it is not its verdict.
        Ended(0, b"half", status=9, killed=True, seconds=60.0),
    ],
    ids=["not started", "runs", "killed"],
)
def test_no_result(one):
    found = outcome.of_program(one)
    assert found.status is Status.MISS
    assert found.exit_code is None
    assert found.reason


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"1..0 # SKIP - SBI PMU not available, skipping test\n", "SBI PMU not available, skipping test"),
        (
            b"Random seed: 1\n1..0 # SKIP Requirement not met: kvm_has_cap(1)\n",
            "Requirement not met: kvm_has_cap(1)",
        ),
        (b"AMX not supported, skipping test\n", "AMX not supported, skipping test"),
        (b"", "exit code 4"),
    ],
)
def test_why_skipped(output, reason):
    assert outcome.of_program(ended(4, output)).reason == reason


def test_why_an_assertion_failed():
    found = outcome.of_program(ended(254, ASSERTION))
    assert found.reason == (
        "exit code 254: arm64/psci_test.c:87: run->system_event.type == 4: unexpected type: 2"
    )
    assert found.output[1] == "==== Test Assertion Failure ===="


def test_why_a_harness_failed():
    found = outcome.of_program(ended(1, HARNESS))
    assert found.reason == "exit code 1: sync_regs_test.c:42:set_invalid:Expected -1 (-1) == rv (0)"


@pytest.mark.parametrize(
    ("printed", "status"), [(1, Status.PASS), (3, Status.FAIL), (155, Status.SKIP), (77, Status.SKIP)]
)
def test_a_code_that_is_printed(printed, status):
    """QEMU ends with 0 then. What else is printed before does not count."""
    output = b"EXIT: STATUS=9\nFAIL: sbi: time: late\n\nEXIT: STATUS=%d\n" % printed
    found = outcome.of_program(ended(0, output), outcome.UNIT_TESTS)
    assert (found.status, found.exit_code) == (status, printed)
    if status is Status.FAIL:
        assert found.reason == "exit code 3: FAIL: sbi: time: late"


def test_a_code_that_selftests_print_is_none():
    assert outcome.of_program(ended(0, b"EXIT: STATUS=3\n")).status is Status.PASS


def test_a_signal_is_named():
    assert outcome.of_program(ended(-6, b"")).reason == "SIGABRT"


def test_output_is_hostile():
    """Nothing that a program prints acts on a terminal, and only its end is kept."""
    found = outcome.of_program(ended(1, b"a\n" * 1000 + b"\x1b[31mred\xff\x00" + b"x" * 5000))
    assert len(found.output) <= 30
    assert all(line.isprintable() for line in found.output)
    assert found.reason.isprintable()
    assert len(found.reason) <= 300


def test_an_empty_assertion():
    assert outcome.of_program(ended(1, b"==== Test Assertion Failure ====\n")).reason == "exit code 1"


@pytest.mark.parametrize("status", [Status.PASS, Status.SKIP, Status.MISS])
def test_a_failure_that_is_not_seen_again(status):
    first = outcome.of_program(ended(1, b"why\n"))
    found = outcome.confirmed(first, outcome.Outcome(status, "because"))
    assert found.status is Status.MISS
    assert "exit code 1: why" in found.reason
    assert str(status) in found.reason


def test_a_failure_that_is_seen_again():
    first, second = outcome.of_program(ended(1, b"one\n")), outcome.of_program(ended(254, b"two\n"))
    assert outcome.confirmed(first, second) == second


def test_the_status_of_a_signal_is_that_of_the_kernel():
    """What this file makes of a code is what wait4() gives."""
    assert os.waitstatus_to_exitcode(ended(-6).status) == -6
    assert os.waitstatus_to_exitcode(ended(77).status) == 77
