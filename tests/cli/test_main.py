"""The sysevent command: dispatch, exit codes, what is imported when."""

import subprocess
import sys
import types
from pathlib import Path

import pytest

from sysevent import cli, errors, pytest_process
from sysevent.pytest_process import become_pytest


@pytest.fixture
def verb(monkeypatch):
    """Replaces the module of a verb by one that does what a function says."""

    def replace(name, action):
        module = types.SimpleNamespace(run=action)
        monkeypatch.setitem(sys.modules, f"sysevent.cli.{name}", module)

    return replace


def raiser(error):
    """A verb that ends with an exception."""

    def action(args):
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("no such thing"), 2),
        (errors.BadTargetFile("no such thing"), 2),
        (errors.ToolMissing("no such thing"), 3),
        (errors.BadSignature("no such thing"), 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_our_exceptions_are_one_line_and_a_code(verb, capsys, error, code):
    """Never a traceback."""
    verb("doctor", raiser(error))
    assert cli.main(["doctor"]) == code
    assert capsys.readouterr() == ("", "sysevent: no such thing\n")


def test_interrupt_is_130(verb, capsys):
    """As in a shell."""
    verb("doctor", raiser(KeyboardInterrupt()))
    assert cli.main(["doctor"]) == 130


def test_a_bug_is_shown_without_values(verb, capsys):
    """Its class, and where it was raised. The exit code is never 1, which is an answer."""
    verb("doctor", raiser(ZeroDivisionError("x\x1b[2J")))
    assert cli.main(["doctor"]) == 3
    first, *frames = capsys.readouterr().err.splitlines()
    assert first == "sysevent: an error of sysevent itself: ZeroDivisionError: x\\x1b[2J"
    assert frames[-1].startswith("  tests/cli/test_main.py:")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(24, "Too many open files"), "Too many open files: raise the limit"),
        (MemoryError(), "not enough memory: free some"),
    ],
)
def test_what_the_machine_lacks_is_one_line(verb, capsys, error, words):
    """With what to do about it."""
    verb("doctor", raiser(error))
    assert cli.main(["doctor"]) == 3
    err = capsys.readouterr().err
    assert err.startswith(f"sysevent: failed: {words}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_signals(name, code):
    """They end a verb as Ctrl-C does, with the exit code that a shell gives."""
    script = (
        "import signal, sys; from types import SimpleNamespace as N; from sysevent import cli; "
        f"sys.modules['sysevent.cli.doctor'] = N(run=lambda args: signal.raise_signal(signal.{name})); "
        "sys.exit(cli.main(['doctor']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.decode()) == (code, f"sysevent: interrupted by {name}\n")


def test_exit_code_of_the_verb_is_ours(verb):
    """Every value is passed on."""
    verb("doctor", lambda args: 1)
    assert cli.main(["doctor"]) == 1


def test_after_two_dashes_everything_is_pytests(verb):
    """Also what looks like an option of ours."""
    seen = []
    verb("run", lambda args: seen.append((args.fresh, args.pytest_args)) or 0)
    cli.main(["run", "--fresh", "--", "-k", "reset", "--fresh", "--", "x"])
    assert seen == [(True, ["-k", "reset", "--fresh", "--", "x"])]


def test_unknown_option_of_run_is_refused(verb, capsys):
    """A misspelt one must not silently reach pytest; the message says how an option does."""
    verb("run", lambda args: pytest.fail("ran"))
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", "--frehs"])
    assert stop.value.code == 2
    assert "goes after --" in capsys.readouterr().err


def test_every_argument_of_test_is_pytests(verb):
    """In their order."""
    seen = []
    verb("test", lambda args: seen.append(args.pytest_args) or 0)
    cli.main(["test", "-k", "wire", "-x", "tests/cli", "--", "-q"])
    assert seen == [["-k", "wire", "-x", "tests/cli", "-q"]]


def test_unknown_verb_is_refused(capsys):
    """The message lists the verbs."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["rnu"])
    assert stop.value.code == 2
    assert "doctor" in capsys.readouterr().err


def test_help_imports_no_verb():
    """It is quick because nothing is imported that only verbs need."""
    code = (
        "import sys, contextlib, io\n"
        "from sysevent.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main(['--help'])\n"
        "used = {m for m in sys.modules if m.startswith('sysevent.cli.') or m in ('msgspec', 'pytest', 'rich')}\n"
        "print(sorted(used), end='')\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]"
    )


def test_pytest_runs_at_the_root(monkeypatch, tmp_path):
    """In this process, with its exit code, and with modules found as `python -m pytest` would find them."""
    (tmp_path / "suites").mkdir()
    seen = []
    monkeypatch.setattr("pytest.main", lambda: seen.append(sys.argv) or 5)
    monkeypatch.setattr("sys.argv", ["sysevent"])
    monkeypatch.setattr("sys.path", ["elsewhere"])
    monkeypatch.chdir("/")
    monkeypatch.setenv("SYSEVENT_HERE", "that of an outer run")
    with pytest.raises(SystemExit) as end:
        become_pytest("suites", ["-k", "x"], root=tmp_path)
    # For what is started where the user stands.
    assert pytest_process.here() == Path("/")
    assert end.value.code == 5
    # A checkout may be read-only.
    assert seen == [["pytest", *pytest_process.settings("suites", ["-k", "x"]), "-k", "x"]]
    assert Path.cwd() == tmp_path
    assert sys.path == [str(tmp_path), "elsewhere"]


def test_an_incomplete_package_says_so(tmp_path):
    """Such as a wheel that an older build system made: it has no suites."""
    with pytest.raises(errors.UsageError, match="git checkout"):
        become_pytest("suites", [], root=tmp_path)
