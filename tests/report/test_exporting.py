"""Writing the formats of reports: in one step, and each whatever becomes of the others."""

import os
import stat
import threading

import pytest

from sysevent.errors import UsageError
from sysevent.report import exporting
from sysevent.report.renderers import Renderer

ROWS = (
    Renderer("one", lambda run: "first"),
    Renderer("two", lambda run: "second \udc80"),
    Renderer("broken", lambda run: str(1 // 0)),
)


def asked(*words):
    return exporting.asked(words, {}, ROWS)


def test_each_is_written(tmp_path):
    """Also into a directory that does not exist yet."""
    exports = asked(f"one={tmp_path}/1", f"two={tmp_path}/2=b", f"one={tmp_path}/3/4")
    assert exporting.write(exports, []) == []
    written = [path.read_text() for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert written == ["first", "second \\udc80", "first"]


def test_what_fails_takes_no_other_along(tmp_path, capsys):
    """Neither a format whose renderer is wrong nor a directory that is gone."""
    exports = asked("broken=-", "one=/dev/null/1", f"broken={tmp_path}/2", f"two={tmp_path}/3")
    failed = exporting.write(exports, [])
    assert [export.file for export, _ in failed] == ["/dev/null/1", f"{tmp_path}/2", "-"]
    assert failed[0][1] == "/dev/null/1: File exists"
    assert failed[1][1].startswith("an error of sysevent itself: ZeroDivisionError")
    assert (tmp_path / "3").exists()
    assert len(list(tmp_path.iterdir())) == 1


def test_the_standard_output_is_last(tmp_path, capsys):
    assert exporting.write(asked("one=-", f"two={tmp_path}/2"), []) == []
    assert capsys.readouterr().out == "first"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["one=-", "two=-"], "--one - and --two -: each format needs a place of its own"),
        (["one=a", "two=./b/../a"], "--one a and --two ./b/../a: each format"),
    ],
)
def test_one_place_for_two(words, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        asked(*words)


def test_an_existing_file_is_replaced_in_one_step(tmp_path):
    """Its readers keep the old content, its mode and a link to it stay."""
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    with file.open() as reader:
        exporting.put(link, b"new")
        assert reader.read() == "old"
    assert (link.is_symlink(), file.read_text()) == (True, "new")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_mode(tmp_path):
    before = os.umask(0o022)
    try:
        exporting.put(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    exporting.put(pipe, b"data")
    reader.join(10)
    assert found == [b"data"]
    assert pipe.is_fifo()


def test_old_files_are_removed(tmp_path):
    """Only regular ones; what does not exist is no error."""
    (tmp_path / "1").write_text("old")
    os.mkfifo(tmp_path / "2")
    exporting.remove(asked(f"one={tmp_path}/1", f"two={tmp_path}/2", f"one={tmp_path}/3"))
    assert [path.name for path in tmp_path.iterdir()] == ["2"]
