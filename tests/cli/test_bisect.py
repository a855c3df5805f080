"""sysevent bisect on the command line: its exit codes, which git reads, and the report."""

import json
import subprocess

import msgspec
import pytest
from kernel_images import source_tree

from sysevent import cli
from sysevent.bisect.session import Equipment
from sysevent.build.kernel import BuiltKernel
from sysevent.cli import bisect as verb
from sysevent.errors import DiskFull, KernelNotBuilt


@pytest.fixture
def tree(tmp_path):
    """Two commits, of which the later one is main."""
    path = source_tree(tmp_path / "linux")
    (path / "arch" / "Kconfig").write_text("")
    git = ["git", "-C", str(path), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for n in (1, 2, 3):
        (path / "file").write_text(str(n))
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", f"change {n}"], check=True)
    return path


@pytest.fixture
def bisect(monkeypatch, tmp_path):
    """bisect(*words, **parts): the exit code where no program is missing, with these services replaced."""
    monkeypatch.setenv("SYSEVENT_CACHE", str(tmp_path / "cache"))

    def run(*words, **parts):
        services = verb.Services(
            **{"ensure_programs": lambda kind, arch: None, "results": tmp_path / "results"} | parts
        )

        def action():
            _, args = cli.parse(["bisect", *words])
            return verb.run(args, services)

        return cli.exit_code("bisect", action)

    return run


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--tree", "."],
        ["--good", "a", "--bad", "b"],
        ["--tree", ".", "--packages", "debian", "--good", "a", "--bad", "b"],
        ["--tree", "/nonexistent", "--good", "a", "--bad", "b", "--arch", "arm64"],
        ["--tree", "{tree}", "--good", "main", "--bad", "none", "--arch", "arm64"],
        ["--tree", "{tree}", "--good", "main", "--bad", "main", "--arch", "arm64"],
        ["--tree", "{tree}", "--good", "main~1", "--bad", "main"],
        ["--tree", "{tree}", "--good", "main~1", "--bad", "main", "--arch", "vax"],
        ["--tree", "{tree}", "--good", "main~1", "--bad", "main", "--test", "typo"],
        ["--tree", "{tree}", "--good", "main~1", "--bad", "main", "--arch", "arm64", "--boots", "0"],
        ["--tree", "{tree}", "--good", "main~1", "--bad", "main", "--arch", "arm64", "--kernel", "x"],
        ["--resume"],
        ["--unknown"],
        ["--boot-failure=maybe"],
        ["walk"],
        ["run", "--tree", "."],
        ["run", "--arch", "arm64", "--target", "none"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_129(words, tree, bisect, capsys, monkeypatch):
    """Never 1 to 127: git would take that for a bad revision."""
    monkeypatch.chdir(tree)
    assert bisect(*(word.format(tree=tree) for word in words)) == 129
    assert capsys.readouterr().err


def test_claims_about_headers_have_no_packages(bisect, capsys):
    """One line, with the command that does it."""
    words = ["--packages", "debian", "--good", "6.1", "--bad", "6.12", "--test", "layout.i386.system_event"]
    assert bisect(*words) == 129
    assert "claims about headers are searched with --tree; `sysevent layout diff`" in capsys.readouterr().err


def test_a_repository_without_a_kernel(bisect, tree, capsys):
    """Called that at once, before anything is built."""
    subprocess.run(["git", "-C", str(tree), "rm", "-q", "Kbuild"], check=True)
    me = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(tree), *me, "commit", "-qm", "none"], check=True)
    assert bisect("--tree", str(tree), "--good", "main~1", "--bad", "main", "--arch", "arm64") == 129
    error = capsys.readouterr().err
    assert f"--tree {tree} is not a kernel tree: main lacks one of Kbuild, Makefile, arch" in error
    assert error.count("\n") == 1


def raiser(error):
    """A service that raises."""

    def action(*args, **more):
        raise error

    return action


def test_error_in_our_own_code_is_129(bisect, tree, monkeypatch, capsys):
    """Not Python's own exit code 1."""
    monkeypatch.chdir(tree)
    assert bisect("run", "--arch", "arm64", ensure_programs=raiser(ZeroDivisionError())) == 129
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_interrupted_is_130(bisect, tree, monkeypatch):
    """As for every other verb."""
    monkeypatch.chdir(tree)
    assert bisect("run", "--arch", "arm64", ensure_programs=raiser(KeyboardInterrupt())) == 130


def test_other_verbs_keep_their_codes():
    """Only the verb that git runs is special."""
    assert cli.main(["targets", "--arch", "vax"]) == 2


def test_nothing_selected_is_125(bisect):
    """A pattern without a claim says nothing about the revision of a step."""
    assert bisect("run", "--arch", "arm64", "--test", "typo") == 125


def test_kernel_that_does_not_exist_is_129(bisect):
    """A path that does not exist is wrong usage, for every revision."""
    assert bisect("run", "--arch", "arm64", "--kernel", "/nonexistent/Image") == 129


class FakeBuilder:
    """A builder that fails in every tree."""

    def __init__(self, error):
        self.error = error

    def __call__(self, arch, folder, progress, **options):
        return self

    def build(self, tree, log):
        raise self.error


def test_full_disk_is_129(tree, bisect, monkeypatch):
    """It says nothing about the revision at hand."""
    monkeypatch.chdir(tree)
    full = FakeBuilder(DiskFull("building Image: no space left on the disk"))
    assert bisect("run", "--arch", "arm64", builder=full) == 129


def test_tree_that_does_not_build_is_125(tree, bisect, monkeypatch, capsys, tmp_path):
    """The reason is printed, with the directory of make's output."""
    monkeypatch.chdir(tree)
    broken = FakeBuilder(KernelNotBuilt("building Image failed: kvm_main.c:9: error"))
    assert bisect("run", "--arch", "arm64", "--results", str(tmp_path / "logs"), builder=broken) == 125
    assert capsys.readouterr().out == "cannot tell: building Image failed: kvm_main.c:9: error\n"
    (tmp_path / "logs" / "build.log").touch()
    assert bisect("run", "--arch", "arm64", "--results", str(tmp_path / "logs"), builder=broken) == 125
    assert capsys.readouterr().out.splitlines()[1] == f"  logs: {tmp_path / 'logs'}"


@pytest.mark.parametrize(
    "error",
    [KernelNotBuilt("it failed"), KeyboardInterrupt(), DiskFull("no space"), ZeroDivisionError()],
    ids=repr,
)
def test_no_temporary_directory_stays_empty(error, tree, bisect, monkeypatch, tmp_path):
    """Whatever ended the step."""
    monkeypatch.chdir(tree)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    bisect("run", "--arch", "arm64", builder=FakeBuilder(error))
    assert list((tmp_path / "temporary").iterdir()) == []


class Bench:
    """Builds and boots: the third commit's SYSTEM_OFF lacks its datum."""

    def __init__(self, recording):
        self.recording = recording

    def build(self, tree, log):
        return BuiltKernel((tree / "file").read_text(), {"build": 0.1}, (), "gcc-12.2.0")

    def equip(self, question, settings, jobs, folder):
        return Equipment(self.boot, self)

    def boot(self, kernel, logs):
        self.kernel = kernel
        return self

    def facts(self):
        return self.recording.facts["arm64-tcg"]

    def observe(self, scenario, abi):
        seen = self.recording.of("arm64-tcg", scenario.name)
        raw = seen.exits["exit"]
        ndata = bytes(4) if self.kernel == "3" else raw.head[36:40]
        changed = msgspec.structs.replace(raw, head=raw.head[:36] + ndata + raw.head[40:])
        return msgspec.structs.replace(seen, exits={"exit": changed})

    def close(self):
        pass


def test_whole_search(tree, bisect, recording, tmp_path, capsys):
    """Exit code 0; the report on stdout, and as text and JSON among the results; nothing is left to resume."""
    equip = Bench(recording("debian-6.12")).equip
    words = ["--tree", str(tree), "--good", "main~2", "--bad", "main", "--test", "arm64.psci.off"]
    assert bisect(*words, equip=equip) == 0
    text = capsys.readouterr().out
    assert text.startswith("First bad commit: ")
    assert "(change 3)" in text.splitlines()[0]
    assert "  ndata: expected 1, got 0" in text
    assert text.count("kvm_run at 'exit'") == 2
    assert "sysevent bisect run --arch arm64 --test arm64.psci.off" in text
    (folder,) = (tmp_path / "results").iterdir()
    assert (folder / "report.txt").read_text() == text
    found = json.loads((folder / "report.json").read_text())
    assert found["end"] == "found"
    assert found["evidence"]["bad"]["judged"][0]["mismatches"][0]["what"] == "ndata"
    assert bisect("--resume", equip=equip) == 129
    assert bisect(*words, "--json", "-", equip=equip) == 0
    assert json.loads(capsys.readouterr().out) == found


def test_wrong_ends_are_1(tree, bisect, recording, capsys):
    """A search that is not possible; the reason is printed."""
    equip = Bench(recording("debian-6.12")).equip
    words = ["--tree", str(tree), "--test", "arm64.psci.off"]
    assert bisect(*words, "--good", "main~2", "--bad", "main~1", equip=equip) == 1
    assert "the bad end is good" in capsys.readouterr().out
    assert bisect(*words, "--good", "main", "--bad", "main~1", equip=equip) == 1
    assert "No search" in capsys.readouterr().out


def test_interrupted_search_says_how_to_go_on(tree, bisect, recording, capsys, tmp_path):
    """The command continues with the step that was interrupted, with the options that are not stored."""
    bench = Bench(recording("debian-6.12"))
    build, built = bench.build, []

    def interrupted(tree, log):
        built.append(log)
        if len(built) == 2:
            raise KeyboardInterrupt
        return build(tree, log)

    bench.build = interrupted
    words = [
        "--tree",
        str(tree),
        "--good",
        "main~2",
        "--bad",
        "main",
        "--test",
        "arm64.psci.off",
        "--jobs",
        "4",
    ]
    assert bisect(*words, equip=bench.equip) == 130
    (folder,) = (tmp_path / "results").iterdir()
    said = capsys.readouterr().err.splitlines()
    command = f"sysevent bisect --resume --results={folder} --jobs=4"
    assert said[-2:] == [
        f"sysevent: kernels judged so far: 1; to go on: {command}",
        "sysevent: interrupted by Ctrl-C",
    ]
    assert bisect(*command.split()[2:], equip=bench.equip) == 0
    assert len(built) == 4
    assert bisect("--resume", "--results", str(tmp_path), equip=bench.equip) == 129
