"""The launcher where its .venv cannot be created, as in a read-only checkout that was never used."""

import subprocess
import sys

from sysevent.checkout import ROOT


def said(folder):
    """What it prints in a folder where it cannot set up anything."""
    for name in ("sysevent", "pyproject.toml", "requirements.lock"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    words = [sys.executable, folder / "sysevent", "doctor"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 3
    assert "Traceback" not in ran.stderr
    return ran.stderr


def test_place_that_cannot_be_written_to(tmp_path):
    """Who has to do what is said in one line, without a traceback."""
    (tmp_path / ".venv").symlink_to("/proc/none/venv")
    assert f"sysevent: cannot create {tmp_path}/.venv: " in (printed := said(tmp_path))
    assert "Run `./sysevent doctor` there once" in printed


def test_file_of_another_tool(tmp_path):
    """virtualenv and tox leave one, with the path of an environment; it is theirs, and stays."""
    (tmp_path / ".venv").write_text("/elsewhere/env\n")
    assert f"{tmp_path}/.venv is a file" in (printed := said(tmp_path))
    assert f"`rm {tmp_path}/.venv`" in printed
    assert (tmp_path / ".venv").read_text() == "/elsewhere/env\n"
