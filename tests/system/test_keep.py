"""Guests are kept after their run only with --keep."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

from sysevent.checkout import ROOT
from sysevent.report import records, run_log

# Seconds; five are usual.
TIMEOUT = 120
# Seconds for --keep-for.
LIMIT = 15


def run(folder, *options):
    """The output of a run of one claim, and its "kept" records."""
    command = [sys.executable, "-m", "sysevent", "run", "--offline", "--target", "riscv64-tcg"]
    pytest_options = ["-p", "no:cacheprovider", "-k", "srst.shutdown.0x0]"]
    ran = subprocess.run(
        [*command, "--results", folder, *options, "--", *pytest_options],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        cwd=ROOT,
        env=os.environ | {"SYSEVENT_LOCKS": f"{folder}-locks"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout, [r for r in run_log.read(folder / "run.jsonl") if isinstance(r, records.Kept)]


def attach(folder):
    """The output of `sysevent shell --attach` at a terminal, for one command typed into the kept guest's shell."""
    command = [sys.executable, "-m", "sysevent", "shell", "--attach", str(folder)]
    with pexpect.spawn(command[0], command[1:], cwd=ROOT, encoding="utf-8", timeout=20, echo=False) as shell:
        said = ""
        if shell.expect_exact(["kept# ", pexpect.EOF]) == 0:
            said += shell.before
            shell.sendline("echo $((6 * 7))-$(uname -m)")
            shell.expect([r"42-\w+", pexpect.EOF])
            said += shell.before + shell.after
            shell.send("\x1d")
            shell.expect(pexpect.EOF)
        return said + shell.before


def have_ended(pids, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def ready(servable):
    servable("riscv64")


def below(pid):
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def test_kept(ready, tmp_path):
    """A kept guest can be attached to, twice, and ends at its time limit."""
    out, (kept,) = run(tmp_path / "results", "--keep", "always", "--keep-for", str(LIMIT))
    pids = below(kept.pid)
    try:
        assert len(pids) == 2
        assert f"kept: riscv64-tcg pid {kept.pid}, which ends {LIMIT} s after it was started" in out
        folder = Path(kept.directory)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert f"sysevent shell --attach {folder}" in out
        assert "42-riscv64" in attach(folder)
        # Again, after leaving it.
        assert "42-riscv64" in attach(folder)
        assert have_ended(pids, LIMIT + 5)
        assert "--attach" in attach(folder)
    finally:
        for pid in pids:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)


def test_ended_by_hand(ready, tmp_path):
    """SIGTERM and SIGKILL to the reported process also end its QEMU."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        _, (kept,) = run(tmp_path / number.name, "--keep", "always", "--keep-for", "60")
        pids = below(kept.pid)
        os.kill(kept.pid, number)
        assert have_ended(pids, 10), number


@pytest.mark.parametrize("options", [[], ["--keep", "failed"], ["--keep", "never"]])
def test_not_kept(ready, tmp_path, options):
    """Without a failure, --keep failed keeps nothing; neither does a run without --keep."""
    out, kept = run(tmp_path / "results", *options)
    assert kept == []
    assert "kept:" not in out
    socket = tmp_path / "results" / "riscv64-tcg" / "shell.sock"
    assert socket.exists() == ("failed" in options)
    if socket.exists():
        assert "no guest is kept there, or it has ended" in attach(socket.parent)
