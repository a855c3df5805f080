"""The commands for --on-end in docs/hooks, with programs that only record what they get."""

import os
import subprocess

import pytest

from sysevent.checkout import ROOT

HOOKS = ROOT / "docs" / "hooks"
VARIABLES = {
    "SYSEVENT_EXIT": "1",
    "SYSEVENT_REASON": "",
    "SYSEVENT_RESULTS": "/results/1",
    **{f"SYSEVENT_{name}": "2" for name in ("FAIL", "ERROR", "MISS")},
}


@pytest.fixture
def call(tmp_path):
    """call(hook, arguments...): what the program got that the hook has started; None if it has started none."""

    def run(hook, *arguments, code=0, **variables):
        for name in ("sendmail", "curl"):
            program = tmp_path / name
            program.write_text(f'#!/bin/sh\n{{ echo "$0 $*"; cat; }} > {tmp_path}/got\nexit {code}\n')
            program.chmod(0o755)
        env = {**os.environ, **VARIABLES, **variables, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        words = ["sh", str(HOOKS / hook), *arguments]
        done = subprocess.run(words, env=env, input="the report\n", text=True, check=False)
        assert done.returncode == code
        got = tmp_path / "got"
        return got.read_text().removeprefix(f"{tmp_path}/") if got.exists() else None

    return run


def test_mail(call):
    """A whole message, to all addresses."""
    found = call("mail.sh", "a@example.org", "b@example.org").splitlines()
    assert found[:2] == ["sendmail a@example.org b@example.org", "To: a@example.org b@example.org"]
    assert found[2].endswith(": 2 FAIL, 2 ERROR, 2 MISS")
    assert found[4:] == ["", "the report", "", "results: /results/1"]


def test_mail_of_an_interrupted_run(call):
    assert "\n\ninterrupted\n\nthe report\n" in call("mail.sh", "a", SYSEVENT_REASON="interrupted")


def test_no_mail_of_a_run_that_passed(call):
    assert call("mail.sh", "a@example.org", SYSEVENT_EXIT="0") is None


def test_kernelci(call):
    """The token is on the standard input, and an error of curl is that of the hook."""
    found = call("kernelci.sh", "kcidb.json", KCIDB_URL="https://example.org", KCIDB_TOKEN="secret")
    command, line = found.splitlines()
    assert "secret" not in command
    assert command.endswith(" --data-binary @kcidb.json https://example.org")
    assert line == 'header = "Authorization: Bearer secret"'
    assert call("kernelci.sh", "x", code=22, KCIDB_URL="x", KCIDB_TOKEN="x")
