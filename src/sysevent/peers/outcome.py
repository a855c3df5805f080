"""What a program of others found, from how it ended and what it printed. No I/O.

Its verdict is that program's, about what it asks. It is no verdict on a claim of this project.
"""

from __future__ import annotations

import re

import msgspec

from sysevent.decode.program import Ended
from sysevent.model import Status
from sysevent.text import escape, printable

# Characters of a reason, and lines of output that a record keeps.
_REASON_MAX, _LINES_MAX = 300, 30
_SKIPPED = re.compile(
    r"(?:# *SKIP|\bSKIP:|skipping test,?|\bskip(?:ped|ping)?:)\s*[-:]?\s*(.*)", re.IGNORECASE
)
# TEST_ASSERT() of lib/assert.c prints this line, then the place with the condition, a stack, and the message.
_ASSERTION = "==== Test Assertion Failure ===="
_STACK = re.compile(r"\s*(?:pid=|\(stack trace|\d+\t|0x)")
# kselftest_harness.h: "# file.c:123:test:Expected …"; of kvm-unit-tests: "FAIL: …".
_EXIT = re.compile(r"EXIT: STATUS=([0-9]{1,3})")
_EXPECTED = re.compile(r"(?:# +)?\S+\.c:\d+:\S+:\s*Expected .*|FAIL: .*|not ok \d+ .*")


class Rules(msgspec.Struct, frozen=True):
    """What the exit codes of a suite's programs mean."""

    passed: int
    skipped: tuple[int, ...]
    # True: the last line "EXIT: STATUS=N" of the output has the code, if there is one.
    printed: bool = False


# KSFT_PASS and KSFT_SKIP of tools/testing/selftests/kselftest.h.
SELFTESTS = Rules(0, (4,))
# scripts/runtime.bash of kvm-unit-tests. QEMU's test devices make 2 N + 1 of a code N, so 77 can be 155; riscv64 has
# no such device, and prints the same number (lib/riscv/io.c).
UNIT_TESTS = Rules(1, (77, 155), printed=True)


class Outcome(msgspec.Struct, frozen=True):
    """What one run of a program gave."""

    status: Status
    # One line, escaped; "" with PASS.
    reason: str = ""
    # Its exit code, negative for the number of a signal; None if it did not end by itself.
    exit_code: int | None = None
    seconds: float = 0.0
    # The last lines that it printed, escaped.
    output: tuple[str, ...] = ()


def of_program(ended: Ended, rules: Rules = SELFTESTS) -> Outcome:
    """Return what a program found.

    MISS if it was not started, or was killed when its time was over: then it has not said anything.
    """
    lines = tuple(escape(ended.output.decode("utf-8", "replace")).splitlines())
    code = ended.exit_code
    if ended.errno or code is None:
        return Outcome(Status.MISS, str(ended), None, ended.seconds, lines[-_LINES_MAX:])
    if rules.printed:
        code = next(
            (int(found[1]) for line in reversed(lines) if (found := _EXIT.fullmatch(line.strip()))), code
        )
    if code == rules.passed:
        return Outcome(Status.PASS, "", code, ended.seconds)
    skipped = code in rules.skipped
    reason = _why_skipped(lines) if skipped else _why_failed(lines)
    status = Status.SKIP if skipped else Status.FAIL
    if not (skipped and reason):
        how = str(ended) if code == ended.exit_code else f"exit code {code}"
        reason = f"{how}{f': {reason}' if reason else ''}"
    return Outcome(status, printable(reason)[:_REASON_MAX], code, ended.seconds, lines[-_LINES_MAX:])


def missed(reason: str) -> Outcome:
    """Return what is known of a program of which nothing was seen."""
    return Outcome(Status.MISS, printable(reason)[:_REASON_MAX])


def confirmed(first: Outcome, second: Outcome) -> Outcome:
    """Return what two runs in two guests say, of which the first failed: FAIL only if both did."""
    if second.status is Status.FAIL:
        return second
    why = f" ({second.reason})" if second.reason else ""
    return msgspec.structs.replace(
        first,
        status=Status.MISS,
        reason=f"failed in one guest and was {second.status} in a second one{why}: {first.reason}"[
            :_REASON_MAX
        ],
    )


def _why_skipped(lines: tuple[str, ...]) -> str:
    found = [match[1].strip() for line in lines if (match := _SKIPPED.search(line))]
    return next((reason for reason in reversed(found) if reason), "") or _last(lines)


def _why_failed(lines: tuple[str, ...]) -> str:
    if _ASSERTION in lines:
        block = [line for line in lines[lines.index(_ASSERTION) + 1 :] if line.strip()]
        place = block[0].strip() if block else ""
        message = next((line.strip() for line in block[1:] if not _STACK.match(line)), "")
        return f"{place}: {message}" if message else place
    expected = next((line for line in lines if _EXPECTED.fullmatch(line.strip())), "")
    return expected.strip().removeprefix("# ").strip() or _last(lines)


def _last(lines: tuple[str, ...]) -> str:
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
