"""Signals of LAVA, and what LAVA's dispatcher makes of them where it is installed."""

import re
import subprocess
import sys

import pytest
from sample_runs import RUNS, A

from sysevent.report import lava
from sysevent.report.matrix import last_verdicts
from sysevent.report.suites import unfinished

# lava_dispatcher/actions/test/shell.py: the pattern of a signal, whose parameters are split at spaces and at "=".
SIGNAL = re.compile(r"<LAVA_SIGNAL_(\S+) ([^>]+)>")
CASE = re.compile(
    r"TEST_CASE_ID=[A-Za-z0-9_.-]+ RESULT=(pass|fail|skip|unknown)( MEASUREMENT=[0-9.]+ UNITS=seconds)?"
)
DISPATCHER = """
import re, sys
from lava_dispatcher.actions.test.shell import TestShellAction, handle_testcase
from lava_dispatcher.connection import SignalMatch
action = TestShellAction.__new__(TestShellAction)
action._reset_patterns()
for line in open(sys.argv[1]):
    found = re.search(action.patterns["signal"], line)
    assert found[0] == line.rstrip("\\n")
    if found[1] == "TESTCASE":
        result = SignalMatch().match(handle_testcase(found[2].split()), fixupdict=action.pattern.fixupdict())
        print(result["test_case_id"], result["result"])
"""


def results(name):
    """The result of each case of a run, by its set and its name."""
    found, inside = {}, ""
    for line in lava.render(RUNS[name]).splitlines():
        kind, words = SIGNAL.fullmatch(line).groups()
        if kind == "TESTSET":
            action, _, inside = words.partition(" ")
            assert action in ("START", "STOP")
            continue
        assert kind == "TESTCASE"
        assert CASE.fullmatch(words)
        case = words.split()[0].removeprefix("TEST_CASE_ID=")
        found[inside, case] = words.split()[1].removeprefix("RESULT=")
    return found


@pytest.mark.parametrize("name", RUNS)
def test_every_claim_is_a_case_of_its_own(name):
    assert len(results(name)) == len(last_verdicts(RUNS[name])) + len(unfinished(RUNS[name]))


def test_statuses():
    """What says nothing about the kernel is unknown."""
    assert results("failing") == {
        ("arm64-tcg", f"{A}.fail"): "fail",
        ("arm64-tcg", f"{A}.error"): "unknown",
        ("arm64-tcg", f"{A}.miss"): "unknown",
        ("arm64-tcg", f"{A}.pass"): "pass",
        ("arm64-tcg", f"{A}.done"): "pass",
        ("arm64-tcg", f"{A}.skip"): "skip",
    }


def test_a_killed_run():
    assert results("killed")["sysevent_runs", "run_1"] == "unknown"


def dispatcher():
    """A Python that has LAVA's dispatcher; None if none has."""
    for python in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run(
            [python, "-c", "import lava_dispatcher.actions.test.shell"], capture_output=True, check=False
        )
        if done.returncode == 0:
            return python
    return None


def test_the_dispatcher_of_lava(tmp_path):
    python = dispatcher()
    if python is None:
        pytest.skip("LAVA's dispatcher is not installed: apt-get install lava-dispatcher")
    for name in RUNS:
        (tmp_path / name).write_text(lava.render(RUNS[name]))
        words = [python, "-c", DISPATCHER, str(tmp_path / name)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        found = [(case, result) for (_, case), result in results(name).items()]
        assert [tuple(line.split()) for line in done.stdout.splitlines()] == found
