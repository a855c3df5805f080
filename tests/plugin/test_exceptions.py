"""Exceptions in every phase of a session: their message, and never the bytes in their frames."""

import os
import subprocess
import sys

import pytest

from sysevent.plugin import exceptions

CONFTEST = """
import pytest
from sysevent.errors import ImageError, UsageError

pytest_plugins = ["sysevent.plugin"]

def fails(kernel, where):
    unpacked = kernel * 2
    raise ImageError(f"no kernel in {where}\\x1b[2J")

KERNEL = b"\\x7fELF" * (1 << 20)
"""
SUITE = """
import pytest
from conftest import KERNEL, fails

@pytest.fixture(scope="session")
def broken():
    fails(KERNEL, "a fixture")

@pytest.fixture
def breaks_at_the_end():
    yield
    fails(KERNEL, "a teardown")

@pytest.fixture
def breaks_as_well():
    yield
    fails(KERNEL, "another teardown")

@pytest.mark.parametrize("number", range(50))
def test_setup(broken, number):
    pass

def test_call():
    fails(KERNEL, "a call")

def test_teardown(breaks_at_the_end, breaks_as_well):
    pass

def test_skip():
    pytest.skip("not here\\x1b[2J")
"""
COLLECTION = "from conftest import *\nfails(KERNEL, 'a module')\n"
PARAMETERS = """
def pytest_generate_tests(metafunc):
    from conftest import KERNEL, fails
    fails(KERNEL, "parameters")

def test(number):
    pass
"""
HOOK = "\ndef {}:\n    fails(KERNEL, 'a hook')\n"


@pytest.fixture
def session(tmp_path):
    """session(suite, hook): exit code and output of pytest, which shows as much as it can."""

    def run(suite, hook=""):
        (tmp_path / "conftest.py").write_text(CONFTEST + hook)
        (tmp_path / "test_suite.py").write_text(suite)
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-ra",
            "-l",
            "--tb=long",
        ]
        # Not the directory of this checkout, which has another conftest.py.
        env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [*command, "--rootdir", tmp_path],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            timeout=60,
            check=False,
        )
        output = done.stdout + done.stderr
        assert len(output) < 100_000
        assert b"ELF" not in output
        assert b"\x1b" not in output
        return done.returncode, output.decode()

    return run


def test_phases_of_tests(session):
    code, out = session(SUITE)
    assert code == 1
    assert out.count("no kernel in a fixture") >= 50
    for where in ("a call", "a teardown", "another teardown"):
        assert f"no kernel in {where}\\x1b[2J" in out
    assert "conftest.py:9 in fails" in out
    assert "not here\\x1b[2J" in out


@pytest.mark.parametrize(("suite", "where"), [(COLLECTION, "a module"), (PARAMETERS, "parameters")])
def test_collection(session, suite, where):
    code, out = session(suite)
    assert code == 2
    assert f"no kernel in {where}" in out


@pytest.mark.parametrize(
    "hook",
    ["pytest_sessionstart(session)", "pytest_collection_modifyitems(items)", "pytest_runtestloop(session)"],
)
def test_hooks(session, hook):
    code, out = session("def test():\n    pass\n", HOOK.format(hook))
    assert code == 3
    assert "no kernel in a hook\\x1b[2J" in out


def test_a_report_of_last_failed():
    """`pytest --last-failed` makes reports of its own, without what was called."""
    wrapper = exceptions.pytest_make_collect_report(None)
    next(wrapper)
    report = pytest.CollectReport("a", "passed", None, [])
    with pytest.raises(StopIteration) as end:
        wrapper.send(report)
    assert end.value.value is report
