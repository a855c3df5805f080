"""The launcher where its .venv cannot be created, as in a read-only checkout that was never used."""

import subprocess
import sys

from sysevent.checkout import ROOT


def test_place_that_cannot_be_written_to(tmp_path):
    """Who has to do what is said in one line, without a traceback."""
    for name in ("sysevent", "pyproject.toml", "requirements.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv").write_text("")
    words = [sys.executable, tmp_path / "sysevent", "doctor"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 3
    assert (
        f"sysevent: cannot create {tmp_path}/.venv: File exists. Run `./sysevent doctor` there once"
        in ran.stderr
    )
    assert "Traceback" not in ran.stderr
