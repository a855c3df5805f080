"""Guests that outlive their run because somebody asked for it, and no others."""

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

PATIENCE = 120  # seconds for what takes five
LIMIT = 15  # seconds that a kept guest has here


def run(folder, *options):
    ran = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "sysevent",
                "run",
                "--offline",
                "--target",
                "riscv64-tcg",
                "--results",
                folder,
            ),
            *(*options, "--", "-p", "no:cacheprovider", "-k", "srst.shutdown.0x0]"),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=ROOT,
        env=os.environ | {"SYSEVENT_LOCKS": f"{folder}-locks"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout, [r for r in run_log.read(folder / "run.jsonl") if isinstance(r, records.Kept)]


def attach(folder):
    """Commands into the shell of a kept guest, typed at a terminal: what it printed until we left."""
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


def gone(pids, seconds):
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
    """A way in, a line to end it, and an end of its own."""
    out, (kept,) = run(tmp_path / "results", "--keep", "always", "--keep-for", str(LIMIT))
    pids = below(kept.pid)
    try:
        assert len(pids) == 2
        assert f"kept: riscv64-tcg pid {kept['pid']}, which ends {LIMIT} s after it was started" in out
        folder = Path(kept.directory)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert f"sysevent shell --attach {folder}" in out
        assert "42-riscv64" in attach(folder)
        assert "42-riscv64" in attach(folder)  # whoever leaves can come back
        assert gone(pids, LIMIT + 5)
        assert "--attach" in attach(folder)
    finally:
        for pid in pids:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)


def test_ended_by_hand(ready, tmp_path):
    """The process that is named takes its QEMU with it, however it is ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        _, (kept,) = run(tmp_path / number.name, "--keep", "always", "--keep-for", "60")
        pids = below(kept.pid)
        os.kill(kept.pid, number)
        assert gone(pids, 10), number


@pytest.mark.parametrize("options", [[], ["--keep", "failed"], ["--keep", "never"]])
def test_not_kept(ready, tmp_path, options):
    """Nothing has failed, or nobody has asked."""
    out, kept = run(tmp_path / "results", *options)
    assert kept == []
    assert "kept:" not in out
    socket = tmp_path / "results" / "riscv64-tcg" / "shell.sock"
    assert socket.exists() == ("failed" in options)
    if socket.exists():
        assert "no guest is kept there, or it has ended" in attach(socket.parent)
