"""A checkout without .venv, as real processes: help and mistakes are answered, and nothing is created for them."""

import os
import resource
import shutil
import subprocess
import sys
import tomllib

import pytest

from sysevent.checkout import ROOT

# What is in a clone, as far as the launcher and the command line read it.
PARTS = ("sysevent", "pyproject.toml", "requirements.lock", "src", "images")
# Modules by another name than that of their package.
MODULES = {"python-debian": "debian", "pyelftools": "elftools"}
# What is typed, the exit code, and a part of the output.
ANSWERED = [
    ("--help", 0, "which commit, or which release"),
    ("--version", 0, "sysevent 0."),
    ("run --help", 0, "--kernel SPEC"),
    ("run -h", 0, "--kernel SPEC"),
    ("bisect --help", 0, "what is searched:"),
    ("layout diff --help", 0, "kernel whose headers are read"),
    ("report --help", 0, "--json FILE"),
    ("test --help", 0, "Every argument goes to pytest"),
    ("man", 0, ".TH SYSEVENT 1 "),
    ("", 2, "name a verb"),
    ("rnu", 2, "did you mean run?"),
    ("rnu --help", 2, "did you mean run?"),
    ("run --kernal debian:6.12", 2, "did you mean --kernel?"),
    ("run --keep fail", 2, "did you mean failed?"),
    ("run --arch arm46", 4, "did you mean arm64?"),
    ("run --kernel debian:6.13", 4, "did you mean debian:6.1?"),
    ("run --kernel nope --install-deps", 4, "no such file"),
    ("run --target arm64-tgc", 4, "did you mean arm64-tcg?"),
    ("targets --kernel debian:6.13", 2, "did you mean debian:6.1?"),
    ("layout diff debian:6.1 debian:6.13", 2, "did you mean debian:6.1?"),
    ("bisect run --kernel nope", 129, "no such file"),
    ("bisect --tree nope", 129, "no such directory"),
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    root = tmp_path_factory.mktemp("clone")
    for name in PARTS:
        if (ROOT / name).is_dir():
            # A file that is compiled here would not be in a clone.
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def run(clone, tmp_path_factory):
    """run(*words): the launcher in an empty home directory, with a Python that has no package of ours and no venv."""
    home = tmp_path_factory.mktemp("home")
    missing = tmp_path_factory.mktemp("missing")
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for name in ("venv", "ensurepip", *(line.partition("=")[0].rstrip(">") for line in needed)):
        (missing / f"{MODULES.get(name, name)}.py").write_text(f"raise ModuleNotFoundError('no {name}')")
    env = {"HOME": str(home), "PYTHONPATH": str(missing), "PATH": "/nonexistent"}
    # Not that of a virtual environment.
    python = os.path.realpath(sys.executable)

    def started(*words, launcher=clone / "sysevent"):
        done = subprocess.run(
            [python, launcher, *words],
            capture_output=True,
            text=True,
            env=env,
            cwd=home,
            timeout=600,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    started.home = home
    return started


def content(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(("typed", "code", "words"), ANSWERED, ids=[row[0] or "nothing" for row in ANSWERED])
def test_answered_at_once(run, clone, typed, code, words):
    """An error is one line, and nothing is written to the clone or the home directory."""
    before = content(clone)
    found, out, err = run(*typed.split())
    assert (found, err.count("\n")) == (code, 1 if code else 0), err
    assert words in (err if code else out)
    assert (content(clone), content(run.home)) == (before, [])


def test_within_a_second(run):
    """Of CPU time, which a busy machine does not change much; on a slow machine, as Python starts there."""

    def seconds(start):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def python():
        subprocess.run(
            [sys.executable, "-I", "-c", "import argparse, hashlib, json"], check=True, timeout=600
        )

    # Other tests run at the same time: the best of three.
    answer = min(seconds(lambda: run("run", "--kernel", "debian:6.13")) for _ in range(3))
    control = min(seconds(python) for _ in range(3))
    assert answer < max(1, 15 * control), f"Python alone: {control:.2f} s"


@pytest.fixture
def not_set_up(clone):
    """A directory that the launcher refuses to write to, so that a set-up ends at once."""
    (clone / ".venv" / "theirs").mkdir(parents=True)
    yield
    shutil.rmtree(clone / ".venv")


@pytest.mark.parametrize(
    "typed", ["run", "list", "completion zsh", "run --kernel images/tracks.toml", "test --kernel nope -k x"]
)
def test_what_needs_packages_is_set_up(run, clone, not_set_up, typed):
    """A file may be a kernel's, and what is meant for pytest may be right."""
    code, out, err = run(*typed.replace("images", str(clone / "images")).split())
    assert (code, out, err) == (
        3,
        "",
        f"sysevent: {clone}/.venv was not created by this launcher: move it away and try again\n",
    )


def test_the_documented_link(run, clone, tmp_path):
    """README.md has the line that puts it on PATH, which works in any directory."""
    lines = [line.strip() for line in (ROOT / "README.md").read_text().splitlines()]
    (line,) = [line for line in lines if "ln -sf " in line]
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for _ in range(2):
        subprocess.run(["sh", "-c", line], cwd=clone, env=env, check=True)
    assert run("--version", launcher=tmp_path / ".local/bin/sysevent") == run("--version")


def test_through_links_from_anywhere(run, clone, not_set_up, tmp_path):
    """As from a directory of PATH: a link to a link, by a relative name."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "link").symlink_to(clone / "sysevent")
    (tmp_path / "bin" / "sysevent").symlink_to("../link")
    assert run("--version", launcher=tmp_path / "bin" / "sysevent") == run("--version")
    assert f"{clone}/.venv" in run("run", launcher=tmp_path / "bin" / "sysevent")[2]
