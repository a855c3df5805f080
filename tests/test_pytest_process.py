"""What pytest is given in a clone and by an installed package."""

import ast
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from sysevent import pytest_process
from sysevent.checkout import SUITES

SUITES_ALONE = ["--assert=plain", "-W", "default", "-p", "no:logging"]


def test_a_clone_adds_nothing(tmp_path):
    assert pytest_process.settings("tests", ["-k", "x"], installed=False, root=tmp_path) == []
    # A checkout may be read-only.
    found = pytest_process.settings("suites", ["-k", "x"])
    assert pytest_process.suites_command(["-k", "x"])[1:] == ["-m", "pytest", *found, "-k", "x"]


def test_an_installed_package_is_not_written_to(monkeypatch, tmp_path):
    """pytest's cache is the user's, or there is none: if the user has no home, as in a container."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    cache = ["-o", f"cache_dir={tmp_path}/sysevent/pytest_cache"]
    assert pytest_process.settings("suites", ["-k", "x"], installed=True) == [*SUITES_ALONE, *cache]
    (tmp_path / "sysevent").touch()
    none = ["-p", "no:cacheprovider"]
    assert pytest_process.settings("suites", ["-k", "x"], installed=True) == [*SUITES_ALONE, *none]


def test_a_clone_that_cannot_be_written_to(monkeypatch, tmp_path):
    """As an installed package: otherwise pytest warns in every run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    clone = tmp_path / "clone"
    # For root no directory is read-only: a file in its place is an obstacle for all.
    clone.touch()
    cache = ["-o", f"cache_dir={tmp_path}/sysevent/pytest_cache"]
    assert pytest_process.settings("tests", [], installed=False, root=clone) == cache


@pytest.mark.parametrize(("more", "failed"), [([], 0), (["-W", "error"], 2)])
def test_a_warning_is_no_error(tmp_path, more, failed):
    """Neither one that code gives, nor pytest's about an exception in __del__; unless a user wants it."""
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n')
    (tmp_path / "test_it.py").write_text(
        "import warnings\n"
        "def test_deprecated(): warnings.warn('old', DeprecationWarning)\n"
        "class Raises:\n    def __del__(self): raise ValueError('late')\n"
        "def test_unraisable(): Raises()\n"
    )
    command = [sys.executable, "-m", "pytest", *pytest_process.settings("suites", []), *more]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    counts = "2 passed, 2 warnings" if not failed else "2 failed"
    assert counts in done.stdout, done.stdout


@pytest.mark.parametrize("words", [["-p", "no:cacheprovider"], ["-pno:cacheprovider"]])
def test_without_a_cache_its_directory_is_not_named(words):
    """pytest refuses the setting then."""
    assert pytest_process.settings("suites", words, installed=True) == SUITES_ALONE


@pytest.mark.parametrize(
    "words",
    [
        ["--log-level=INFO"],
        ["-o", "log_cli=true"],
        ["-rA", "--show-capture=log"],
        ["-c", "my.ini"],
        ["-cmy.ini"],
    ],
)
def test_log_records_are_captured_if_a_word_may_be_about_them(words):
    assert pytest_process.settings("suites", words) == SUITES_ALONE[:3]
    assert pytest_process.settings("tests", words) == []


def test_log_records_are_captured_if_the_environment_may_say_so(monkeypatch):
    assert pytest_process.settings("suites", []) == SUITES_ALONE
    monkeypatch.setenv("PYTEST_ADDOPTS", "-q --log-cli-level=INFO")
    assert pytest_process.settings("suites", []) == SUITES_ALONE[:3]


def test_pytest_can_be_imported_beside_something_else(tmp_path, monkeypatch):
    """The imported objects live to the end, so the collector does not look at them."""
    (tmp_path / "imported_beside.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        pytest_process.import_beside("imported_beside").join(60)
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert sys.modules.pop("imported_beside").__file__ == str(tmp_path / "imported_beside.py")


@pytest.mark.parametrize("path", sorted(SUITES.rglob("*.py")), ids=lambda path: path.name)
def test_suites_have_no_assert(path):
    """Which an installed package would show without its values."""
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["--junitxml=a.xml", "-k", "a.xml"], ["--junitxml=/here/a.xml", "-k", "a.xml"]),
        (["--junit-xml", "b/a.xml", "-v"], ["--junit-xml", "/here/b/a.xml", "-v"]),
        (["--log-file=/abs", "--basetemp", "/t"], ["--log-file=/abs", "--basetemp", "/t"]),
        (["suites/psci", "--deselect", "suites/psci/x"], ["suites/psci", "--deselect", "suites/psci/x"]),
    ],
)
def test_files_are_written_where_the_user_stands(words, given):
    assert list(pytest_process._absolute(words, Path("/here"))) == given
