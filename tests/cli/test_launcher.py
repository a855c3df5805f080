"""The decisions of ./sysevent, with a fake set-up."""

import ast
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from sysevent.checkout import ROOT

LAUNCHER = ROOT / "sysevent"

# Replaces python, `python -m venv` and pip: creates the files that they would, and records each call.
FAKE_PYTHON = """#!/bin/sh
echo "$*" >> calls
case "$*" in
*-c*) exec {python} "$@" ;;
*"-m venv "*) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
*"-e ."*)
    printf '#!/bin/sh\\necho "handed over: $*"\\n' > .venv/bin/sysevent
    chmod +x .venv/bin/sysevent ;;
*) {body} ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A directory with the launcher and its two inputs."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "sysevent").write_bytes(LAUNCHER.read_bytes())
    (root / "sysevent").chmod(0o755)
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "requirements.lock").write_text("a==1\n")
    return root


def load(path):
    """The launcher as a module."""
    module = types.ModuleType("launcher")
    module.__file__ = str(path)
    exec(compile(path.read_text(), path, "exec"), vars(module))
    return module


@pytest.fixture
def launcher(checkout, monkeypatch):
    """The launcher of that checkout, loaded as a module, with a fake interpreter."""
    module = load(checkout / "sysevent")
    fake_python(checkout)
    monkeypatch.setattr(module, "usable_python", lambda: str(checkout.parent / "python3.11"))
    return module


def fake_python(checkout, body=":"):
    """The path of a fake interpreter; body is the shell command that its `pip install -r` runs."""
    path = checkout.parent / "python3.11"
    path.write_text(FAKE_PYTHON.format(python=sys.executable, body=body))
    path.chmod(0o755)
    return path


def calls(checkout):
    """The number of calls of the fake interpreter since the last call of this function."""
    path = checkout / "calls"
    count = len(path.read_text().splitlines()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return count


def test_first_use_sets_up_and_the_next_does_not(launcher, checkout):
    """Three steps: venv, dependencies, the project itself. Then the key fits."""
    assert launcher.stored_key() == ""
    launcher.set_up(install_deps=False)
    assert calls(checkout) == 3
    assert launcher.stored_key() == launcher.expected_key()
    launcher.set_up(install_deps=False)
    assert calls(checkout) == 0


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock"])
def test_changed_pins_update_in_place(launcher, checkout, name):
    """Only pip runs; what is installed stays."""
    launcher.set_up(install_deps=False)
    kept = checkout / ".venv" / "kept"
    kept.touch()
    calls(checkout)
    (checkout / name).write_text("changed\n")
    assert launcher.stored_key() != launcher.expected_key()
    launcher.set_up(install_deps=False)
    assert calls(checkout) == 2
    assert kept.exists()
    assert launcher.stored_key() == launcher.expected_key()


def test_moved_checkout_is_set_up_again(launcher, checkout):
    """Scripts in a .venv contain its path, so nothing of the old one is kept."""
    launcher.set_up(install_deps=False)
    state = Path(launcher.STATE)
    state.write_text(state.read_text().replace(str(checkout), "/elsewhere"))
    left = checkout / ".venv" / "lib"
    left.mkdir()
    calls(checkout)
    launcher.set_up(install_deps=False)
    assert calls(checkout) == 3
    assert not left.exists()


@pytest.mark.parametrize("gone", ["python", "sysevent"])
def test_missing_interpreter_or_command_is_set_up_again(launcher, checkout, gone):
    """An upgrade of the system's Python leaves such a .venv."""
    launcher.set_up(install_deps=False)
    calls(checkout)
    (checkout / ".venv" / "bin" / gone).unlink()
    assert launcher.stored_key() == ""
    launcher.set_up(install_deps=False)
    assert calls(checkout) == 3


def test_failed_step_leaves_nothing_usable(launcher, checkout):
    """The message quotes pip, and explains what a proxy causes; the next use starts over."""
    fake_python(checkout, "echo CERTIFICATE_VERIFY_FAILED; exit 1")
    with pytest.raises(launcher.SetupFailed, match=r"behind a proxy .* PIP_CERT"):
        launcher.set_up(install_deps=False)
    fake_python(checkout, "echo no such version; exit 1")
    with pytest.raises(launcher.SetupFailed, match=r"(?s)pip install.*no such version"):
        launcher.set_up(install_deps=False)
    assert launcher.stored_key() == ""
    left = checkout / ".venv" / "half"
    left.touch()
    fake_python(checkout)
    launcher.set_up(install_deps=False)
    assert launcher.stored_key() == launcher.expected_key()
    assert not left.exists()


def test_failed_update_starts_over(launcher, checkout):
    """A partly changed environment counts as unfinished."""
    launcher.set_up(install_deps=False)
    (checkout / "requirements.lock").write_text("a==2\n")
    broken = (checkout / ".venv" / "bin" / "python").read_text().replace("*) : ;;", "*) exit 1 ;;")
    (checkout / ".venv" / "bin" / "python").write_text(broken)
    with pytest.raises(launcher.SetupFailed):
        launcher.set_up(install_deps=False)
    assert launcher.stored_key() == ""


def test_foreign_venv_is_refused(launcher, checkout):
    """A .venv without our state file is not erased."""
    theirs = checkout / ".venv" / "bin" / "activate"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    with pytest.raises(launcher.SetupFailed, match="not created by this launcher"):
        launcher.set_up(install_deps=False)
    assert theirs.exists()


def test_two_at_once_set_up_once(launcher, checkout):
    """The second process waits for the first; both execute the command."""
    fake_python(checkout, "sleep 0.5")
    script = (
        "import sys; path, python, *sys.argv = sys.argv[1:]\n"
        "launcher = {'__name__': 'launcher', '__file__': path}\n"
        "exec(compile(open(path).read(), path, 'exec'), launcher)\n"
        "launcher['usable_python'] = lambda: python\n"
        "sys.exit(launcher['main']())\n"
    )
    python = checkout.parent / "python3.11"
    command = [sys.executable, "-c", script, checkout / "sysevent", python, "sysevent", "hello"]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outputs = [process.communicate(timeout=30) for process in running]
    assert [out for out, _ in outputs] == ["handed over: hello\n"] * 2
    assert sum("waiting for it" in err for _, err in outputs) == 1
    assert calls(checkout) == 3


def test_killed_set_up_is_repeated_after_its_child_ended(launcher, checkout):
    """The child of a killed launcher goes on writing: the next launcher waits for it, then starts over."""
    fake_python(checkout, "touch started; sleep 0.6; touch ended")
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        launcher.set_up(install_deps=False)
        os._exit(0)
    while not (checkout / "started").exists():
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert not (checkout / "ended").exists()
    fake_python(checkout)
    calls(checkout)
    launcher.set_up(install_deps=False)
    assert (checkout / "ended").exists()
    assert calls(checkout) == 3
    assert launcher.stored_key() == launcher.expected_key()


@pytest.fixture
def pythons(checkout, monkeypatch, tmp_path):
    """The launcher with an empty PATH; its put(name, script) adds a fake interpreter and returns its path."""
    module = load(checkout / "sysevent")
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name, answer):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{answer}\n")
        path.chmod(0o755)
        return str(path)

    module.put = put
    return module


def says(version, complete, path):
    """The shell command of a fake interpreter: version, whether it has ensurepip (1 or 0), its real path."""
    return f"echo {version.replace('.', ' ')} {complete} {path}"


def test_this_interpreter_is_preferred(pythons, monkeypatch):
    """Also over a newer one on PATH."""
    this = pythons.put("python3", says("3.12", 1, "/opt/this"))
    pythons.put("python3.13", says("3.13", 1, "/opt/other"))
    monkeypatch.setattr(sys, "executable", this)
    assert pythons.usable_python() == "/opt/this"


def test_too_old_uses_a_newer_one_on_path(pythons, monkeypatch):
    """A name that does not run, such as a version manager's placeholder, is skipped."""
    monkeypatch.setattr(sys, "executable", pythons.put("python3", says("3.9", 1, "/opt/old")))
    pythons.put("python3.13", "echo 'command not found' >&2; exit 127")
    pythons.put("python3.12", says("3.12", 1, "/opt/twelve"))
    assert pythons.usable_python() == "/opt/twelve"


def test_only_an_old_interpreter_is_an_error(pythons, monkeypatch):
    """The message has the version needed and the one found."""
    monkeypatch.setattr(sys, "executable", pythons.put("python3", says("3.9", 1, "/opt/old")))
    with pytest.raises(pythons.SetupFailed, match=r"needs Python 3\.11 or newer"):
        pythons.usable_python()


@pytest.mark.parametrize(("version", "count"), [("4.1", 1), ("3.13", 0)])
def test_too_old_leaves_answers_to_a_newer_one(pythons, monkeypatch, version, count):
    """Also if that has no ensurepip; without one, the set-up says what is needed."""
    path, executed = pythons.put("python3.13", says(version, 0, "/opt/other")), []
    monkeypatch.setattr("os.execv", lambda *words: executed.append(words))
    pythons.OLDEST, pythons.NEWEST_TRIED = (4, 0), (4, 15)
    assert pythons.answer_at_once(["--help"]) is None
    assert executed == [(path, [path, pythons.__file__, "--help"])] * count


def test_missing_ensurepip_names_the_package(pythons, monkeypatch):
    """The package is pythonX.Y-venv for an interpreter that is not the system's python3."""
    monkeypatch.setattr(sys, "executable", pythons.put("python3", says("3.12", 0, "/opt/this")))
    with pytest.raises(pythons.MissingVenv, match=r"apt-get install -y python3\.12-venv") as missing:
        pythons.usable_python()
    assert missing.value.package == "python3.12-venv"


def test_missing_ensurepip_of_the_system(pythons):
    """The package is python3-venv, which follows Debian's default version."""
    assert pythons.MissingVenv("/usr/bin/python3", (3, 13)).package == "python3-venv"


def test_install_deps_before_the_dashes_only(checkout, launcher, monkeypatch):
    """Options after -- are pytest's."""
    seen = []
    monkeypatch.setattr(launcher, "set_up", seen.append)
    monkeypatch.setattr("os.execv", lambda path, argv: seen.append(argv[1:]))
    for words in (["run", "--install-deps"], ["run", "--", "--install-deps"]):
        monkeypatch.setattr(sys, "argv", ["sysevent", *words])
        launcher.main()
    assert seen == [True, ["run", "--install-deps"], False, ["run", "--", "--install-deps"]]


@pytest.mark.parametrize(("words", "code"), [(["run"], 3), (["bisect", "run"], 129)], ids=["run", "bisect"])
def test_failed_set_up_is_not_a_bad_revision(words, code, launcher, monkeypatch):
    """`git bisect run` takes every exit code from 1 to 127 but 125 for "bad"."""

    def failing(install):
        raise launcher.SetupFailed("no network")

    monkeypatch.setattr(launcher, "set_up", failing)
    monkeypatch.setattr(launcher, "stored_key", lambda: None)
    monkeypatch.setattr(sys, "argv", ["sysevent", *words])
    assert launcher.main() == code


def test_old_interpreters_can_read_it():
    """The syntax is Python 3.6's (RHEL 8), so that an old interpreter can print the error."""
    ast.parse(LAUNCHER.read_text(), feature_version=(3, 6))
