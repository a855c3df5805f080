"""`sysevent test` in a locale that is not UTF-8."""

import os
import subprocess
import sys
from types import SimpleNamespace

import conftest
import pytest

from sysevent.checkout import ROOT
from sysevent.cli.test import command_in_utf8

WORDS = ["/usr/bin/python3", "/venv/bin/sysevent", "test", "-x"]


@pytest.mark.parametrize(
    ("encoding", "in_utf8", "again"),
    [("utf-8", False, False), ("UTF8", True, False), ("ascii", True, False), ("ANSI_X3.4-1968", False, True)],
)
def test_started_again_once(encoding, in_utf8, again):
    """Only where the files of the tests would be read in another encoding."""
    expected = [sys.executable, "-X", "utf8", *WORDS[1:]] if again else []
    assert command_in_utf8(encoding, WORDS, in_utf8=in_utf8) == expected


@pytest.mark.parametrize(
    ("words", "run"),
    [
        (["tests"], False),
        (["."], False),
        (["tests/cli", "tests"], False),
        (["tests/system"], True),
        (["tests/cli", "tests/system/test_faults.py::test_it"], True),
        ([str(ROOT / "tests" / "system" / "test_faults.py")], True),
    ],
    ids=str,
)
def test_guests_are_booted_by_tests_that_are_named(words, run):
    """All that is below tests/system takes twenty minutes, if a run has cached its kernels."""
    config = SimpleNamespace(args=words, invocation_params=SimpleNamespace(dir=ROOT))
    assert bool(conftest.pytest_report_header(config)) == (not run)
    assert conftest.pytest_ignore_collect(conftest.SYSTEM, config) == (None if run else True)
    assert conftest.pytest_ignore_collect(ROOT / "tests" / "cli", config) is None


def test_for_real():
    """A test whose files have other characters passes."""
    ascii_only = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [
        "tests/test_text.py",
        "tests/cli/test_streams.py",
        "-q",
        "-k",
        "another_encoding",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "sysevent", "test", *words],
        cwd=ROOT,
        env=os.environ | ascii_only,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
