"""Standard output and error as callers leave them."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

RUN = str(Path(__file__).parents[1] / "data" / "runs" / "debian-6.12.jsonl")
COMMAND = [sys.executable, "-m", "sysevent"]


def shell(line, **env):
    """A shell command with "$@" for the command; its exit code and output."""
    done = subprocess.run(
        ["bash", "-c", line, "bash", *COMMAND], capture_output=True, timeout=60, check=False, env=env or None
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("verb", ["report", f"diff {RUN}"])
def test_the_reader_ends(verb):
    """The exit code is that of SIGPIPE, and nothing is printed about it."""
    _, out, err = shell(f'"$@" {verb} {RUN} | true; echo "${{PIPESTATUS[0]}}"')
    # A report that is written before `true` has ended fits into the pipe.
    assert out.split() in ([b"141"], [b"0"])
    assert err == b""
    _, out, err = shell(f'"$@" {verb} {RUN} > >(exec <&-; sleep 1); echo $?')
    assert (out.split(), err) == ([b"141"], b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams(closed):
    """Their numbers are not given to other files, and the exit code is the same."""
    code, out, err = shell(f'"$@" diff {RUN} {RUN} {closed}')
    assert code == 0
    assert err == b""
    assert (b"nothing differs" in out) == (">&-" not in closed.replace("2>&-", ""))


@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_full_device(unbuffered):
    """An output that cannot be written is an error, in one line; also of what Python writes when it exits."""
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    code, _, err = shell(f'"$@" report {RUN} > /dev/full', **env)
    assert code == 3
    assert err.startswith(b"sysevent: failed: No space left on device: free some space, or name another")
    assert err.count(b"\n") == 1


def test_another_encoding():
    """What it cannot show is escaped."""
    code, _, err = shell(
        f'"$@" report {RUN}-\303\274; "$@" diff {RUN} {RUN}',
        PYTHONIOENCODING="ascii",
        PATH="/usr/bin:/bin",
        LC_ALL="C",
    )
    assert code == 0
    assert b"cannot be read" in err
    assert b"Traceback" not in err


def test_the_reader_of_a_run_ends(tmp_path):
    """pytest is ended in order, and its exit code is not that of a failed claim."""
    (tmp_path / "suites").mkdir()
    lines = "\n".join(f"def test_{number}():\n    pass\n" for number in range(20))
    (tmp_path / "suites" / "test_it.py").write_text(f"{lines}\ndef teardown_module():\n    print('x')\n")
    script = (
        "import sys; from pathlib import Path; from sysevent import cli; "
        "from sysevent.pytest_process import become_pytest; "
        f"sys.exit(cli.exit_code('run', lambda: become_pytest('suites', ['-v', '-p', 'no:cacheprovider'], "
        f"root=Path({str(tmp_path)!r}))))"
    )
    code, out, err = shell(f"{sys.executable} -c {shlex.quote(script)} > >(exec <&-; sleep 2); echo $?")
    assert (code, out.split(), err) == (0, [b"141"], b"")
