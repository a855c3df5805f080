"""sysevent bisect on the command line: exit codes, which are git's business, and the report."""

import json
import subprocess

import msgspec
import pytest

from sysevent.bisect.session import Means
from sysevent.build.kernel import Built
from sysevent.cli import bisect, bisect_run, main
from sysevent.errors import DiskFull


@pytest.fixture
def tree(tmp_path):
    """Two commits, of which the later one is main."""
    path = tmp_path / "linux"
    (path / "arch").mkdir(parents=True)
    (path / "Kbuild").write_text("")
    git = ["git", "-C", str(path), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for n in (1, 2, 3):
        (path / "file").write_text(str(n))
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", f"change {n}"], check=True)
    return path


@pytest.fixture
def equipped(monkeypatch, tmp_path):
    """A machine that has all the tools, and a cache of its own."""
    monkeypatch.setattr(bisect, "see_to_tools", lambda kind, arch: None)
    monkeypatch.setattr(bisect_run, "see_to_tools", lambda kind, arch: None)
    monkeypatch.setattr(bisect_run, "see_to_qemu", lambda *args, **more: None)
    monkeypatch.setenv("SYSEVENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bisect, "ROOT", tmp_path)


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
def test_wrong_usage_is_129(words, tree, equipped, capsys, monkeypatch):
    """Never 1 to 127: git would take that for a bad revision."""
    monkeypatch.chdir(tree)
    assert main(["bisect", *(word.format(tree=tree) for word in words)]) == 129
    assert capsys.readouterr().err


def test_error_of_our_own_is_129(monkeypatch, capsys):
    """Not Python's own exit code 1."""

    def broken(args):
        raise ZeroDivisionError

    monkeypatch.setattr(bisect, "run", broken)
    assert main(["bisect"]) == 129
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_interrupted_is_130(monkeypatch):
    """As every other verb."""

    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(bisect, "run", interrupted)
    assert main(["bisect"]) == 130


def test_other_verbs_keep_their_codes(monkeypatch):
    """Only what git may call is special."""
    assert main(["targets", "--arch", "vax"]) == 2


def test_nothing_selected_is_125(tree, equipped, monkeypatch, capsys):
    """As a step, a pattern without a claim tells nothing."""
    monkeypatch.chdir(tree)
    assert main(["bisect", "run", "--arch", "arm64", "--test", "typo"]) == 125


def test_kernel_that_is_nowhere_is_129(equipped):
    """A path that does not exist is wrong usage, for every revision."""
    assert main(["bisect", "run", "--arch", "arm64", "--kernel", "/nonexistent/Image"]) == 129


def test_full_disk_is_129(tree, equipped, monkeypatch, capsys):
    """It says nothing of the revision at hand."""

    class Builder:
        def __init__(self, *args, **more):
            pass

        def build(self, tree, log):
            raise DiskFull("building Image: no space left on the disk")

    monkeypatch.chdir(tree)
    monkeypatch.setattr(bisect_run, "KernelBuilder", Builder)
    assert main(["bisect", "run", "--arch", "arm64"]) == 129


class Bench:
    """Builds and boots: the third commit's SYSTEM_OFF lacks its datum."""

    def __init__(self, recording):
        self.recording = recording

    def build(self, tree, log):
        return Built((tree / "file").read_text(), {"build": 0.1}, (), "gcc-12.2.0")

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


def test_whole_search(tree, equipped, monkeypatch, recording, tmp_path, capsys):
    """Exit code 0; the report on stdout, and as text and JSON among the results; nothing is left to resume."""
    bench = Bench(recording("debian-6.12"))
    monkeypatch.setattr(bisect, "means", lambda *args, **more: Means(bench.boot, bench))
    words = ["bisect", "--tree", str(tree), "--good", "main~2", "--bad", "main", "--test", "arm64.psci.off"]
    assert main(words) == 0
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
    assert main(["bisect", "--resume"]) == 129
    assert main([*words, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == found


def test_ends_mistaken_is_1(tree, equipped, monkeypatch, recording, capsys):
    """A search that cannot be made: the answer is no, with the reason."""
    bench = Bench(recording("debian-6.12"))
    monkeypatch.setattr(bisect, "means", lambda *args, **more: Means(bench.boot, bench))
    words = ["bisect", "--tree", str(tree), "--test", "arm64.psci.off"]
    assert main([*words, "--good", "main~2", "--bad", "main~1"]) == 1
    assert "the bad end is good" in capsys.readouterr().out
    assert main([*words, "--good", "main", "--bad", "main~1"]) == 1
    assert "No search" in capsys.readouterr().out
