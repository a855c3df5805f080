"""The command of --on-end: what it gets, its limit, and that it changes nothing."""

import os
import select
import subprocess
import sys
import time

import pytest
from processes import has_ended
from sample_runs import RUNS

from sysevent.plugin import on_end

# Seconds until a test gives up. A machine with a load of 20 needs ten to import what a run needs.
PATIENCE = 120
ONE = ["--arch", "arm64", "-k", "test_arm64 and off and not written"]


def test_environment():
    found = on_end.environment("/results", 1, RUNS["failing"])
    assert found == {
        "SYSEVENT_RESULTS": "/results",
        "SYSEVENT_EXIT": "1",
        "SYSEVENT_REASON": "",
        **dict.fromkeys(
            (f"SYSEVENT_{name}" for name in ("FAIL", "ERROR", "MISS", "PASS", "DONE", "SKIP")), "1"
        ),
    }
    assert on_end.environment("/results", 2, RUNS["killed"])["SYSEVENT_REASON"].startswith("it has no end")


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("true", ""),
        ("echo first; echo 'sent to \033]0;you'", "--on-end: sent to \\x1b]0;you"),
        ("echo why >&2; exit 3", "--on-end failed with exit code 3: why"),
        ("no-such-command 2>/dev/null", "--on-end failed with exit code 127"),
        ("kill -KILL $$", "--on-end failed with exit code 137"),
        ("tail -n 1", "--on-end: 1 PASS"),
        ('echo "$SYSEVENT_RESULTS"', "--on-end: /results"),
        ("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo end", "--on-end: end"),
    ],
)
def test_what_is_said_of_it(command, line):
    run = [RUNS["passing"][0], RUNS["passing"][2], RUNS["passing"][-1]]
    assert on_end.started(command, {"SYSEVENT_RESULTS": "/results"}, run) == line


def test_it_has_a_limit():
    """Also for what it has started in the background."""
    begin = time.monotonic()
    assert (
        on_end.started("sleep 600 & sleep 600", {}, RUNS["passing"], seconds=0.2)
        == "--on-end was ended after 0.2 s"
    )
    # Far less than what it wanted; how much a busy machine takes to start and end three processes is not claimed.
    assert time.monotonic() - begin < PATIENCE


def test_it_ends_with_us(tmp_path):
    """And so does what it has started."""
    os.mkfifo(tmp_path / "pid")
    code = (
        "import sys; from sysevent.plugin import on_end;"
        f"on_end.started('sleep 600 & echo $! > {tmp_path}/pid; wait', {{}}, [])"
    )
    with (
        os.fdopen(os.open(tmp_path / "pid", os.O_RDWR)) as pids,
        subprocess.Popen([sys.executable, "-c", code]) as process,
    ):
        told = select.select([pids], [], [], PATIENCE)[0]
        process.kill()
        assert told, "it was not started"
        assert has_ended(int(pids.readline()), PATIENCE)


def test_a_run(runs, tmp_path):
    """It is started once everything is written, and its failure does not change the exit code."""
    command = f"cp {tmp_path}/text {tmp_path}/copy; env > {tmp_path}/env; echo failed; exit 7"
    runs.start("on-end", *ONE, "--on-end", command, f"--export=text={tmp_path}/text")
    found = runs["on-end"]
    assert found.code == 0, found.out
    assert found.out.splitlines()[-1].strip() == "--on-end failed with exit code 7: failed"
    assert (tmp_path / "copy").read_text().endswith("1 PASS\n")
    variables = (tmp_path / "env").read_text().splitlines()
    assert {f"SYSEVENT_RESULTS={found.results}", "SYSEVENT_EXIT=0", "SYSEVENT_PASS=1"} <= set(variables)


def test_several_processes(runs, tmp_path):
    """It is run once."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install 'sysevent[xdist]'")
    runs.start("on-end-xdist", *ONE, "-n", "2", "--on-end", f"echo x >> {tmp_path}/calls")
    assert runs["on-end-xdist"].code == 0, runs["on-end-xdist"].out
    assert (tmp_path / "calls").read_text() == "x\n"


def test_nothing_was_asked(runs, tmp_path):
    runs.start("on-end-none", "-k", "asks_no_kernel", "--on-end", f"touch {tmp_path}/called")
    assert runs["on-end-none"].code == 0
    assert not list(tmp_path.iterdir())
