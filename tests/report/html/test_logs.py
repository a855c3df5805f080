"""The end of a target's logs: bounded, and never a reason why there is no page."""

import os

from sysevent.report.html.logs import reader


def test_the_end_of_the_console(tmp_path):
    (tmp_path / "a_b").mkdir()
    (tmp_path / "a_b" / "console.log").write_bytes(b"x" * 1_000_000 + b"\xff\nKernel panic\n")
    (tmp_path / "a_b" / "qemu.log").write_text("")
    text = reader([tmp_path / "none", tmp_path])("a/b")
    assert text.startswith("console.log, the end of it:\nxxx")
    assert text.endswith("\\xff\nKernel panic\n")
    assert len(text) < 7000


def test_no_logs(tmp_path):
    """A target without logs, a name that leads out of the directory or is none, and what is not a regular file."""
    (tmp_path / "t").mkdir()
    os.mkfifo(tmp_path / "t" / "console.log")
    tail = reader([tmp_path])
    assert [tail(name) for name in ("t", "none", "../../etc", "\0", "x" * 5000)] == [""] * 5
    assert reader([])("t") == ""
