"""A wheel, built from the sdist without the network and installed outside of the clone, does what the clone does."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import pytest

from sysevent import __version__, settings
from sysevent.checkout import ROOT

# Seconds; a tenth is usual.
TIMEOUT = 300
# At the root of a clone: git's own directory, and what is not in a fresh clone.
LEFT_BEHIND = {".git", ".tox", ".venv", "build", "dist", "results"}
MADE = shutil.ignore_patterns(".*_cache", "__pycache__", "*.egg-info")


class Installed(msgspec.Struct, frozen=True):
    """An installed package and the directory of its user."""

    # The package, in site-packages.
    package: Path
    command: Path
    # An empty directory, where commands are started.
    here: Path
    env: dict[str, str]

    def __call__(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run the installed command."""
        return ran([self.command, *words], cwd=self.here, env=self.env)


def left_behind(folder, names):
    """What is not copied of a directory of the clone, for shutil.copytree."""
    return MADE(folder, names) | (LEFT_BEHIND if Path(folder) == ROOT else set())


def ran(words, **where):
    return subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, check=False, **where)


def must(words, **where):
    """The output of a command that succeeds."""
    done = ran(words, **where)
    assert done.returncode == 0, f"{shlex.join(map(str, words))}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def clean():
    """The environment without what leads to the modules of the clone."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST_"))}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory, clean):
    """The path of an sdist, built from a copy: building leaves files, and a clone can be read-only."""
    try:
        found = [int(version("setuptools").partition(".")[0]) >= 77, version("pip")]
    except PackageNotFoundError:
        found = [False]
    if not all(found):
        pytest.skip("pip and setuptools 77 or later are not both installed; ./sysevent test has them")
    folder = tmp_path_factory.mktemp("sdist")
    copy = shutil.copytree(ROOT, folder / "clone", ignore=left_behind, symlinks=True)
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    must([sys.executable, "-c", build, folder], cwd=copy, env=clean)
    (path,) = folder.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def installed(sdist, tmp_path_factory, clean):
    """The package in a virtual environment of its own, which has its dependencies from this one; it is read-only."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    alone = ["--no-index", "--no-deps"]
    must([*pip, "wheel", *alone, "--no-build-isolation", "-w", folder, sdist], cwd=folder, env=clean)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    must([*pip, "--python", python, "install", *alone, wheel], cwd=folder, env=clean)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # Only the path: an editable installation in there has no effect.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    folders = [path for path in (site, *site.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    (folder / "empty").mkdir()
    cache, state = settings.from_environment().cache, folder / "state"
    env = clean | {"SYSEVENT_CACHE": str(cache), "XDG_STATE_HOME": str(state)}
    env |= {"SYSEVENT_LOCKS": str(folder / "locks")}
    yield Installed(site / "sysevent", folder / "venv" / "bin" / "sysevent", folder / "empty", env)
    for path in folders:
        path.chmod(0o755)


def test_the_sdist_is_complete(sdist, clean):
    """It has every file of a clone: from it everything can be built and tested."""
    known = ran(["git", "ls-files", "-z"], cwd=ROOT, env=clean)
    if known.returncode:
        pytest.skip(f"git ls-files: {known.stderr.strip()}")
    with tarfile.open(sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    names = [name for name in known.stdout.split("\0") if name and (ROOT / name).exists()]
    assert [name for name in names if name not in there] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--version", f"sysevent {__version__}"),
        ("list psci", "arm64.psci.off "),
        ("explain psci.off", "recorded kernels"),
        ("targets", "x86_64-tcg"),
        ("run --help", "PYTEST ARGS"),
        ("bisect --help", "_data/docs/bisect.md"),
    ],
)
def test_a_verb(installed, words, said):
    done = installed(*words.split())
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_a_layout(installed):
    done = installed("layout", "show", "--offline", "--abi", "x86_64")
    if "cache" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    assert "kvm_run.system_event" in done.stdout


def test_the_tests_are_not_installed(installed):
    """One line says so."""
    done = installed("test")
    assert done.returncode
    assert "are not installed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_run(installed, bootable):
    """It asks a guest; the commands that it prints are those of this installation, and its files are the user's."""
    bootable("x86_64")
    before = snapshot(installed.package)
    words = ["--offline", "--arch", "x86_64", "--on-end", "touch ended"]
    done = installed("run", *words, "--", "-k", "triple_fault", "--junitxml=tests.xml")
    assert done.returncode == 0, done.stdout + done.stderr
    results = Path(installed.env["XDG_STATE_HOME"]) / "sysevent" / "results"
    assert f"results: {results}" in done.stdout
    assert f"{installed.command} report" in done.stdout
    assert sorted(path.name for path in installed.here.iterdir()) == ["ended", "tests.xml"]
    page = installed("report", "--html", "-")
    assert page.returncode == 0, page.stderr
    assert "</html>" in page.stdout
    # Root may write to what is read-only.
    assert snapshot(installed.package) == before


def test_a_failure_can_be_repeated(installed, bootable):
    """Without a network, a kernel that is not cached is a MISS; its command is the installed one, and does the same."""
    bootable("x86_64")
    env = installed.env | {"SYSEVENT_CACHE": str(installed.here.parent / "cache")}
    there = msgspec.structs.replace(installed, env=env)
    first = there("run", "--offline", "--arch", "x86_64", "--", "-k", "triple_fault.real]")
    assert first.returncode == 1, first.stdout + first.stderr
    again = next(line for line in first.stdout.splitlines() if line.startswith("  again "))
    command, *words = shlex.split(again.removeprefix("  again "))
    assert command == str(installed.command)
    second = there(*words)
    assert second.returncode == 1, second.stdout + second.stderr
    assert "1 MISS" in second.stdout


def test_results_need_a_place(installed):
    """Without a home that can be written to, as in a container, one line says what to do before a guest starts."""
    blocked = installed.here.parent / "file"
    blocked.touch()
    there = msgspec.structs.replace(installed, env=installed.env | {"XDG_STATE_HOME": str(blocked)})
    done = there("run", "--offline", "--arch", "x86_64")
    assert done.returncode == 4
    assert done.stderr.strip() == (
        f"ERROR: no results can be kept in {blocked}/sysevent/results: {blocked} is not a directory; "
        "name a place with --results DIR"
    )


def snapshot(folder):
    """The files below a directory and when each was changed."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
