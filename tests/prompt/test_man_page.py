"""The manual page: roff accepts it, and it has every verb and option."""

import re
import shutil
import subprocess

import pytest

from sysevent.prompt import man_page, words


@pytest.mark.parametrize(
    "command",
    [["groff", "-man", "-Tutf8", "-ww"], ["man", "--warnings", "-l", "-"], ["mandoc", "-Tlint", "-Wwarning"]],
    ids=lambda command: command[0],
)
def test_no_warning(command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        command, input=man_page.page(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_verb_and_option():
    """Read as roff would show it."""
    text = man_page.page().replace("\\-", "-")
    assert re.findall(r"^\.SS sysevent (.*)$", text, re.MULTILINE) == [path for path, _ in words.paths()]
    for path, _ in words.paths():
        section = text.partition(f".SS sysevent {path}\n")[2].partition("\n.S")[0]
        terms = re.findall(r"\\fB(--[\w-]+)\\fR", section)
        assert terms == [entry.spellings[-1] for entry in words.entries(path)[1:] if entry.spellings]


def test_nothing_means_something_to_roff():
    """Text that begins with a dot, backslashes, and characters beyond ASCII."""
    assert man_page._text(".x \\ '…") == ".x \\e \\(aq\\[u2026]".replace(".x", "\\&.x")
    assert man_page.page().isascii()
