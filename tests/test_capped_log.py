"""Logs of bounded size: what is kept of them, and what a disk without space does."""

import resource
import subprocess
from pathlib import Path

import pytest

from sysevent.capped_log import CappedLog, PipedLog


@pytest.mark.parametrize("piece", [1, 7, 100, 1000, 100_000])
def test_the_start_and_the_end_are_kept(tmp_path, piece):
    """Whatever the sizes of the pieces; the line in between says how many bytes were cut."""
    path = tmp_path / "log"
    text = b"".join(b"line %06d\n" % number for number in range(5000))
    log = CappedLog(path, 1000, 2000)
    for at in range(0, len(text), piece):
        log.write(text[at : at + piece])
        assert path.stat().st_size <= 5000
    log.close()
    kept = path.read_bytes()
    head, note, tail = kept[:1000], kept[1000:].partition(b"\n[")[2], kept.rpartition(b"here]\n")[2]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(tail) >= 2000
    assert int(note.split()[1]) == len(text) - len(head) - len(tail)
    assert kept.count(b"bytes were cut here") == 1


def test_a_short_log_is_complete(tmp_path):
    log = CappedLog(tmp_path / "log", 100, 100)
    log.write(b"a" * 250)
    assert (tmp_path / "log").read_bytes() == b"a" * 250
    log.close()
    log.close()
    log.write(b"more")
    assert (tmp_path / "log").stat().st_size == 250


def test_appended_logs_are_capped_each(tmp_path):
    for letter in (b"a", b"b"):
        log = CappedLog(tmp_path / "log", 100, 100, append=True)
        for _ in range(1000):
            log.write(letter * 10)
        log.close()
    kept = (tmp_path / "log").read_bytes()
    assert kept.startswith(b"a" * 100)
    assert kept.endswith(b"b" * 100)
    assert kept.count(b"bytes were cut here") == 2
    assert len(kept) <= 600


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/dev/full", "cannot be written any more: No space left"),
        ("/nowhere/log", "cannot be written: No such"),
    ],
)
def test_a_log_that_cannot_be_written(path, words):
    """Is not an error for the writer."""
    log = CappedLog(Path(path))
    log.write(b"lost")
    log.write(b"lost")
    assert words in log.failed
    log.close()


def test_output_of_a_child(tmp_path):
    """300 MB of it: the child is not blocked, the log stays small, and the last words are in it."""
    path = tmp_path / "log"
    output = PipedLog(CappedLog(path, 1 << 20, 1 << 20))
    child = subprocess.Popen(
        ["sh", "-c", "head -c 300000000 /dev/zero; echo last words >&2"],
        stdout=output.child,
        stderr=output.child,
    )
    output.started()
    assert child.wait(60) == 0
    output.wait(10)
    assert path.stat().st_size <= 3 << 20
    assert path.read_bytes().endswith(b"last words\n")


def test_no_pipe(tmp_path):
    log = CappedLog(tmp_path / "log")
    before = len(list(Path("/proc/self/fd").iterdir()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            PipedLog(log)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    # The log is closed.
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1
