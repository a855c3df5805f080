"""KTAP, read by the kernel's own parser where its source is at hand."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sample_runs import RUNS, A

from sysevent import settings
from sysevent.model import Status
from sysevent.report import ktap
from sysevent.report.matrix import last_verdicts
from sysevent.report.suites import unfinished

# Result lines by Documentation/dev-tools/ktap.rst, with the names that KernelCI and LAVA do not cut.
RESULT = re.compile(r"( *)(ok|not ok) ([0-9]+) ([A-Za-z0-9_.-]+)( # (SKIP|DONE|ERROR)( .*)?)?")
LINE = re.compile(r" *(KTAP version 1|# Subtest: [\w.-]+|1\.\.[0-9]+|# .*)")
CLAIM_INDENT = 4
TOOLS = ("tools", "testing", "kunit")
JSON = """
import json, sys
import kunit_parser
def tree(test):
    return [test.name, test.status.name, test.counts.errors, [tree(sub) for sub in test.subtests]]
print("JSON", json.dumps(tree(kunit_parser.parse_run_tests(open(sys.argv[1])))))
"""


@pytest.mark.parametrize("name", RUNS)
def test_every_line_is_of_the_format(name):
    for line in ktap.render(RUNS[name]).splitlines():
        assert RESULT.fullmatch(line) or LINE.fullmatch(line), line
        assert line.isprintable()


@pytest.mark.parametrize("name", RUNS)
def test_plans_and_numbers(name):
    """Each plan is followed by that many results at its level, numbered from 1."""
    lines = ktap.render(RUNS[name]).splitlines()
    for start, line in enumerate(lines):
        plan = re.fullmatch(r"( *)1\.\.([0-9]+)", line)
        if plan:
            numbers = []
            for later in lines[start + 1 :]:
                if not later.startswith(plan[1]) or later[len(plan[1]) :].startswith("KTAP"):
                    break
                result = RESULT.fullmatch(later)
                if result and result[1] == plan[1]:
                    numbers.append(int(result[3]))
            assert numbers == list(range(1, int(plan[2]) + 1))


def claims(name):
    """The result of each claim, by its name: what is in front of it, and the directive."""
    found = [RESULT.fullmatch(line) for line in ktap.render(RUNS[name]).splitlines()]
    return {one[4]: (one[2], one[6]) for one in found if one and len(one[1]) == CLAIM_INDENT}


def test_statuses():
    assert claims("failing") == {
        f"{A}.fail": ("not ok", None),
        f"{A}.error": ("not ok", "ERROR"),
        f"{A}.miss": ("not ok", "ERROR"),
        f"{A}.pass": ("ok", None),
        f"{A}.done": ("ok", "DONE"),
        f"{A}.skip": ("ok", "SKIP"),
    }
    assert f"{A}.miss # ERROR MISS: why\n" in ktap.render(RUNS["failing"])


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("passing", "ok 2 x86_64-tcg-i386"),
        ("failing", "not ok 1 arm64-tcg"),
        ("killed", "not ok 3 sysevent_runs"),
        ("empty", "1..0"),
    ],
)
def test_the_last_line(name, end):
    assert ktap.render(RUNS[name]).splitlines()[-1] == end


def source():
    """The directory of kunit_parser.py in the source of a kernel; None if there is none."""
    cache = settings.from_environment().cache
    roots = [
        *filter(None, [os.environ.get("SYSEVENT_LINUX")]),
        *Path("/usr/src").glob("linux*"),
        # Those that bisections and measurements have checked out.
        *(tree for verb in ("bisect", "sensitivity") for tree in (cache / verb).glob("*/tree")),
    ]
    found = [Path(root, *TOOLS) for root in roots]
    return next((path for path in found if (path / "kunit_parser.py").is_file()), None)


@pytest.mark.parametrize("name", [name for name in RUNS if name != "empty"])
def test_the_parser_of_the_kernel(name, tmp_path):
    """It finds every claim with its status, and nothing to complain about."""
    tools = source()
    if tools is None:
        pytest.skip(
            "no kernel source with tools/testing/kunit here: unpack one, such as that of apt-get install linux-source, "
            "and name it with SYSEVENT_LINUX=DIR"
        )
    (tmp_path / "ktap").write_text(ktap.render(RUNS[name]))
    env = {**os.environ, "PYTHONPATH": str(tools), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-c", JSON, str(tmp_path / "ktap")]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
    assert "[ERROR]" not in done.stdout
    found = [claim for suite in json.loads(line[5:])[3] for claim in leaves(suite)]
    assert len(found) == len(last_verdicts(RUNS[name])) + len(unfinished(RUNS[name]))
    statuses = [one.status for one in last_verdicts(RUNS[name]).values()]
    expected = {
        "FAILURE": sum(status in (Status.FAIL, Status.ERROR, Status.MISS) for status in statuses)
        + len(unfinished(RUNS[name])),
        "SUCCESS": sum(status in (Status.PASS, Status.DONE) for status in statuses),
        "SKIPPED": sum(status is Status.SKIP for status in statuses),
    }
    assert {kind: sum(kind == status for _, status, *_ in found) for kind in expected} == expected


def leaves(test):
    return [test] if not test[3] else [leaf for sub in test[3] for leaf in leaves(sub)]
