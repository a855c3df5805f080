"""What sysevent run hands to pytest."""

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import has_ended
from sample_records import RUN, verdict

from sysevent.cli import run
from sysevent.doctor import debian_access
from sysevent.errors import UsageError
from sysevent.prompt.verbs import add_arguments
from sysevent.report.run_log import RunLog


def options(*words, here=Path("/here")):
    """What pytest is given for these words."""
    parser = argparse.ArgumentParser()
    add_arguments(parser, "run")
    return run.pytest_options(parser.parse_args(words), here)


def test_nothing_given_nothing_passed():
    """The defaults are pytest's."""
    assert options() == []


def test_options_pass_as_they_are():
    """In the order of the table, each as one word."""
    assert options("--arch", "arm64", "--target=a*", "--target", "b*", "--offline", "--abi", "i386") == [
        "--target=a*",
        "--target=b*",
        "--arch=arm64",
        "--abi=i386",
        "--offline",
    ]


def test_defaults_are_left_to_pytest():
    """Only what was given is handed on."""
    assert options() == []
    assert options("--keep", "failed", "--keep-for", "60") == ["--keep=failed", "--keep-for=60"]


class Begun(Exception):
    """pytest is started."""


def begin(*_):
    raise Begun


def test_install_deps_also_brings_what_debian_needs(monkeypatch):
    """With the settings of the command line; without the option nothing is looked for."""
    asked = []
    monkeypatch.setattr(run, "ensure_qemu", lambda *_, **__: None)
    monkeypatch.setattr(run, "become_pytest", begin)
    monkeypatch.setattr(debian_access, "lacking", lambda settings: asked.append(settings) or ("key",))
    monkeypatch.setattr(debian_access, "install", lambda keys, progress: asked.append(keys))
    parser = argparse.ArgumentParser()
    add_arguments(parser, "run")
    for words in (["--install-deps", "--mirror", "https://mirror.invalid/debian"], []):
        with pytest.raises(Begun):
            run.run(argparse.Namespace(**vars(parser.parse_args(words)), pytest_args=[]))
    settings, keys = asked
    assert settings.mirror == "https://mirror.invalid/debian"
    assert keys == ("key",)


def test_install_deps_is_not_passed():
    """pytest does not know it."""
    assert options("--install-deps", "--strict-observed") == ["--strict-observed"]


def test_paths_become_absolute(tmp_path):
    """pytest runs at the root of the checkout, the user may stand elsewhere."""
    assert options("--targets", "lab.toml", "--results", "/abs", "--modules", "m", here=tmp_path) == [
        f"--targets={tmp_path}/lab.toml",
        f"--modules={tmp_path}/m",
        "--results=/abs",
    ]


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ("debian:6.12", "debian:6.12"),
        ("debian:5.10", "debian:5.10"),
        ("build/bzImage", "{here}/build/bzImage"),
        ("tree:../linux", "tree:{here}/../linux"),
        ("tree:/src/linux", "tree:/src/linux"),
        ("odd:name", "{here}/odd:name"),
    ],
)
def test_kernel_is_a_track_or_a_path(given, passed, tmp_path):
    """Only what is a path changes; a file may have a colon in its name."""
    (tmp_path / "odd:name").touch()
    assert options("--kernel", given, here=tmp_path) == [f"--kernel={passed.format(here=tmp_path)}"]


@pytest.fixture
def repeat(tmp_path):
    """repeat(codes, statuses): the exit code of runs that end with these codes and verdicts, and their arguments."""

    def started(codes, statuses, *words):
        parser = argparse.ArgumentParser()
        add_arguments(parser, "run")
        args = parser.parse_args(["--results", str(tmp_path / "all"), *words])
        args.pytest_args = ["-x"]
        seen = []

        def start(arguments, output):
            number = len(seen)
            seen.append(arguments)
            output.write_text(f"ERROR: no such target in {number}")
            if statuses[number]:
                log = RunLog(tmp_path / "all" / str(number + 1) / "run.jsonl")
                for record in (RUN, verdict("a.b", "arm64-tcg", statuses[number])):
                    log.write(record)
            return codes[number]

        return run.repeat(args, len(codes), start), seen

    return started


def test_repeat(repeat, tmp_path, capsys):
    """Each run has results of its own and the same options; a line for each, and the comparison."""
    code, words = repeat([0, 0], ["PASS", "PASS"], "--arch", "arm64")
    assert code == 0
    assert words == [["--arch=arm64", f"--results={tmp_path}/all/{n}", "-x"] for n in (1, 2)]
    lines = capsys.readouterr().out.splitlines()
    assert [line[:10] for line in lines] == ["run 1 of 2", "run 2 of 2", "2 runs, 2 ", "results: /"]


def test_repeat_with_other_verdicts(repeat, capsys):
    assert repeat([0, 1, 0], ["PASS", "MISS", "PASS"])[0] == 1
    assert "a.b on arm64-tcg: 2 PASS, 1 MISS" in capsys.readouterr().out


def test_repeat_without_a_log(repeat, capsys):
    """A run that could not write one differs from the others."""
    assert repeat([0, 3], ["PASS", None])[0] == 3
    assert "1 PASS, 1 no verdict" in capsys.readouterr().out


def test_repeat_stops(repeat, capsys):
    """After an interrupted run, with the table of those so far; after a usage error, with its message."""
    assert len(repeat([0, 2, 0], ["PASS", "PASS", "PASS"])[1]) == 2
    assert "2 runs, 2 verdicts" in capsys.readouterr().out


def test_repeat_of_what_cannot_run(repeat):
    with pytest.raises(UsageError, match=r"exit code 4:\nERROR: no such target in 0"):
        repeat([4, 4], [None, None])


def test_repeat_needs_an_empty_directory(repeat, tmp_path):
    (tmp_path / "all" / "1").mkdir(parents=True)
    with pytest.raises(UsageError, match="is not empty: name a new directory"):
        repeat([0], ["PASS"])


@pytest.mark.parametrize("given", ["0", "-1", "many", "", "1.5"])
def test_repeat_needs_a_number(given):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser, "run")
    with pytest.raises(
        argparse.ArgumentError, match=r"--repeat: .*(expected a number from 1|an empty value)"
    ):
        parser.parse_args([f"--repeat={given}"])


def test_an_interrupted_repetition_ends_its_run(tmp_path):
    """In order: the run gets SIGTERM, and is waited for."""
    marker = tmp_path / "pid"
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "test_it.py").write_text(
        f"import os, pathlib, time\ndef test():\n    pathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
    )
    script = (
        "import sys; from pathlib import Path; from sysevent import interrupts; from sysevent.cli import run; "
        f"run.ROOT = Path({str(tmp_path)!r}); w = interrupts.in_order(); w.__enter__(); "
        f"run.start_pytest(['-p', 'no:cacheprovider'], Path({str(tmp_path / 'out')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    with process:
        end = time.monotonic() + 30
        while not marker.exists() or not marker.read_text():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGHUP)
        assert b"Interrupted: SIGHUP" in process.stderr.read()
    assert has_ended(int(marker.read_text()))


def test_formats_are_handed_on():
    """By one option, as plugins of pytest have options of such names; relative to where the user stands."""
    assert options("--json", "run.json", "--text=/a=b", "--export", "json=x") == [
        "--export=text=/a=b",
        "--export=json=/here/run.json",
        "--export=json=/here/x",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--junit", "-"], "--junit -: the standard output has the progress of the run; name a file"),
        (["--junit", "/dev/null/x"], "--junit /dev/null/x cannot be written: /dev/null is not a directory"),
        (["--junit", "x", "--ktap", "./x"], "--junit x and --ktap ./x: each format needs a place of its own"),
        (["--export", "junti=x"], "--export junti, did you mean junit\\?; expected one of text, json, "),
    ],
)
def test_formats_that_cannot_be_written(words, message, tmp_path, monkeypatch):
    """Before a kernel is built, which takes minutes."""
    # A checkout may be read-only.
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    add_arguments(parser, "run")
    with pytest.raises(UsageError, match=f"^{message}"):
        run.run(parser.parse_args([*words, "--build", "/nowhere"]))


def test_repeated_runs_write_no_formats():
    """Each would write the same file."""
    parser = argparse.ArgumentParser()
    add_arguments(parser, "run")
    args = parser.parse_args(["--repeat", "2", "--json", "x", "--arch", "arm64"])
    with pytest.raises(UsageError, match=r"^--json x: every run of --repeat would write this file"):
        run.run(args)
