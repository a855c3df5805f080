"""Where the files of a clone and of an installed package are, where results go, and what starts the program."""

import ast
import shlex
import sys
from pathlib import Path

import pytest

from sysevent import checkout
from sysevent.checkout import ROOT


@pytest.fixture
def state(tmp_path, monkeypatch):
    """The user's directory for state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "sysevent"


@pytest.fixture
def clone(tmp_path):
    path = tmp_path / "clone"
    path.mkdir()
    return path


def program(folder, name="sysevent", mode=0o755):
    """A file that can be a program, in a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.touch(mode)
    return path


def test_an_extra_of_a_clone():
    """It is installed where the program runs: the name alone would be a package of the index, in another place."""
    line = checkout.with_extra("explore", Path("/a clone"), installed=False)
    assert shlex.split(line) == [sys.executable, "-m", "pip", "install", "-e", "/a clone[explore]"]
    assert checkout.with_extra("explore", installed=True) == "pip install 'sysevent[explore]'"


def test_this_is_a_clone():
    """The tests are not installed. Nothing puts the copies for a wheel beside the modules of a clone."""
    assert not checkout.INSTALLED
    assert (ROOT / "src" / "sysevent" / "checkout.py").is_file()


def test_results_of_a_clone(clone, state):
    """In the clone, before and after the first run."""
    assert checkout.results_home(clone, installed=False) == clone / "results"
    (clone / "results").mkdir()
    assert checkout.results_home(clone, installed=False) == clone / "results"


def test_results_of_a_clone_that_cannot_be_written_to(clone, state):
    """A file in the place of a directory: root may write to every directory."""
    (clone / "results").touch()
    assert checkout.results_home(clone, installed=False) == state / "results"
    assert checkout.results_home(clone / "results", installed=False) == state / "results"


def test_results_of_an_installed_package(clone, state):
    """Never in the package, also if it could be written to."""
    assert checkout.results_home(clone, installed=True) == state / "results"


def test_why_files_cannot_be_made(clone):
    """The first place that exists decides."""
    (clone / "file").touch()
    assert checkout.obstacle(clone / "a" / "b") == checkout.obstacle(clone) == ""
    assert checkout.obstacle(clone / "file" / "b") == f"{clone}/file is not a directory"
    assert checkout.obstacle(clone / "file") == f"{clone}/file is not a directory"


def test_the_command_of_a_clone(clone):
    assert checkout.command(clone, installed=False) == [str(clone / "sysevent")]


def test_the_command_of_an_installed_package(tmp_path):
    """The first that can be executed, where an installer puts it; without any, the interpreter starts it."""
    bad, good = program(tmp_path / "a", mode=0o644), program(tmp_path / "b")
    folders = [tmp_path / "none", bad.parent, good.parent]
    assert checkout.command(installed=True, scripts=folders) == [str(good)]
    assert checkout.command(installed=True, scripts=folders[:2]) == [sys.executable, "-m", "sysevent"]


def test_commands_are_looked_for_beside_the_interpreter():
    """And where `pip install --user` puts them."""
    folders = checkout._scripts()
    assert folders[0] == Path(sys.executable).parent
    assert len(folders) == 2


def test_what_a_user_types(tmp_path, monkeypatch):
    """The name alone if PATH leads to the same program, such as pipx's link to it, else all of it."""
    own = program(tmp_path / "venv" / "bin")
    link = tmp_path / "bin" / "sysevent"
    link.parent.mkdir()
    link.symlink_to(own)
    assert checkout.typed(installed=False) == "./sysevent"
    monkeypatch.setenv("PATH", str(link.parent))
    monkeypatch.delenv("UV", raising=False)
    assert checkout.typed([str(own)], installed=True) == "sysevent"
    other = program(tmp_path / "other")
    assert checkout.typed([str(other)], installed=True) == str(other)
    assert checkout.typed(["/usr/bin/python3", "-m", "sysevent"], installed=True) == (
        "/usr/bin/python3 -m sysevent"
    )


def test_what_a_user_of_uvx_types(tmp_path, monkeypatch):
    """All of it: the user's shell does not have the PATH of this process."""
    own = program(tmp_path / "venv" / "bin")
    monkeypatch.setenv("PATH", str(own.parent))
    monkeypatch.setenv("UV", "/usr/bin/uv")
    assert checkout.typed([str(own)], installed=True) == str(own)


def test_documents(clone):
    """As in the README, or where the package has them."""
    assert checkout.document("ci.md", installed=False) == "docs/ci.md"
    assert checkout.document("ci.md", clone, installed=True) == f"{clone}/docs/ci.md"


def test_the_wheel_gets_what_is_looked_for():
    """Every directory of checkout.py that is not a package is copied by setup.py, and so are pytest's settings."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    (copied,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DATA"
    ]
    wanted = [checkout.GUESTS, checkout.IMAGES, checkout.SUITES, checkout.RECORDINGS, ROOT / "docs"]
    assert {ROOT / name for name in copied} == {*wanted, ROOT / "conftest.py", ROOT / "pyproject.toml"}
