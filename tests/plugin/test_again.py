"""The command that a failure ends with: it gives the same verdict, and can be pasted anywhere."""

import os
import shlex
import subprocess
import sys

import pytest
from openpgp import library

from sysevent.checkout import ROOT

# Every option that can be given without a network, another kernel or a debugger; some name files beside the run.
GIVEN = [
    *("--arch", "arm64", "--target", "arm64-tc*", "--abi", "arm64", "--targets", "my lab.toml"),
    *("--strict-observed", "--strict-errata", "--floor", "5.18", "--fresh", "--offline"),
    *("--mirror", "http://mirror.example.org/it's", "--keyring", "certificates.pgp"),
    *("--require", "arm64-t*"),
]
LAB = """
[[target]]
name = "other-board"
arch = "arm64"
where = "ssh"
address = "127.0.0.1"
"""
NODE = "test_suite.py::test_arm64[arm64-tcg-psci.off.written]"


@pytest.fixture(scope="module")
def failed(runs):
    """A run with one failure, which only --strict-observed makes one."""
    runs.folder.joinpath("my lab.toml").write_text(LAB)
    runs.folder.joinpath("certificates.pgp").write_bytes(
        bytes(library().Tsk.generate("a").extract_certificate())
    )
    words = [*GIVEN, "--keep-for", "60", "-k", "test_arm64"]
    runs.start("strict", *words, breaks={"arm64.psci.off": "beyond"})
    return runs["strict"]


@pytest.fixture(scope="module")
def command(failed):
    """Its words, as a shell understands them."""
    (line,) = {line for line in failed.out.splitlines() if line.startswith("  again ")}
    return shlex.split(line.removeprefix("  again "))


def test_words(command, runs):
    """Absolute paths; --require of this target only, and not what is left behind."""
    here = runs.folder
    assert command == [
        *(
            str(ROOT / "sysevent"),
            "run",
            "--target=arm64-tc*",
            "--arch=arm64",
            f"--targets={here}/my lab.toml",
        ),
        *("--abi=arm64", "--require=arm64-t*", "--floor=5.18", "--strict-observed", "--strict-errata"),
        *(
            "--mirror=http://mirror.example.org/it's",
            f"--keyring={here}/certificates.pgp",
            "--offline",
            "--fresh",
        ),
        *("--", f"{here}/{NODE}"),
    ]


def test_verdict_is_the_same(command, failed, runs, tmp_path):
    """From another directory."""
    environment = os.environ | runs.environment("again", breaks={"arm64.psci.off": "beyond"})
    run = [sys.executable, "-m", "sysevent", *command[1:]]
    split = run.index("--")
    results = tmp_path / "results"
    done = subprocess.run(
        [*run[:split], "--results", str(results), *run[split:]],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    again = runs.ran(done.returncode, done.stdout, results)
    first = failed.statuses()["test_arm64[arm64-tcg-psci.off.written]"]
    assert first == "FAIL", done.stdout
    assert again.statuses() == {"test_arm64[arm64-tcg-psci.off.written]": first}
    assert done.returncode == failed.code == 1
